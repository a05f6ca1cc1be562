"""End a subscription, or move its end."""

from dataclasses import replace

from billing_pipeline.catalog.scalars import written
from billing_pipeline.core.errors import Refused
from billing_pipeline.core.plain_text import instant
from billing_pipeline.operations.changes.customer_change import Changed, Theirs, Wanted, change_customer, owner
from billing_pipeline.operations.changes.start import NOW
from billing_pipeline.operations.context import Billing


def cancel_subscription(billing: Billing, subscription: str, *, end: str = NOW, dry_run: bool = False) -> Changed:
    """The subscription ends at ``end``; what is scheduled at or after it is dropped.

    One that has ended before stays as it is: who asks twice changes nothing.

    Args:
        billing: names the actor.
        subscription: id.
        end: as :func:`parse_start` reads it. The local day that holds it is charged, unless it begins there.
        dry_run: show it and record nothing.

    Raises:
        Refused: there is no such subscription, it starts later, or would end inside a period that is locked.
    """

    def want(theirs: Theirs) -> Wanted:
        standing, ends = theirs.catalog.subscriptions[subscription], theirs.start(end)
        if ends < standing.start:
            starts = written(standing.start, theirs.calendar)
            raise Refused(
                f"Subscription {subscription} starts on {starts}, after {written(ends, theirs.calendar)}.",
                hint=f"To end it before it bills anything: --end {starts}",
            )
        words = f"subscription cancel {subscription} --end {instant(ends)}"
        if standing.end is not None and standing.end <= min(ends, theirs.now):
            return Wanted(standing, ends, words, f"It ended on {written(standing.end, theirs.calendar)}.")
        phases = tuple(phase for phase in standing.phases if phase.start < ends) or standing.phases[:1]
        quantities = tuple(change for change in standing.quantity_changes if change.start < ends)
        made = replace(standing, end=ends, phases=phases, quantity_changes=quantities)
        return Wanted(made, min(ends, standing.end or ends), words)

    return change_customer(billing, owner(billing, "subscription", subscription), want, dry_run=dry_run)
