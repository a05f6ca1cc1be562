"""End a discount."""

from dataclasses import replace

from billing_pipeline.catalog.scalars import written
from billing_pipeline.core.errors import Refused
from billing_pipeline.core.plain_text import instant
from billing_pipeline.operations.changes.customer_change import Changed, Theirs, Wanted, change_customer, owner
from billing_pipeline.operations.changes.start import NOW
from billing_pipeline.operations.context import Billing


def end_discount(billing: Billing, discount: str, *, end: str = NOW, dry_run: bool = False) -> Changed:
    """The discount holds until ``end``; one that has ended before it stays as it is.

    Args:
        billing: names the actor.
        discount: id.
        end: as :func:`parse_start` reads it.
        dry_run: show it and record nothing.

    Raises:
        Refused: there is no such discount, it starts later, or would end inside a period that is locked.
    """

    def want(theirs: Theirs) -> Wanted:
        standing, ends = theirs.catalog.discounts[discount], theirs.start(end)
        if ends < standing.start:
            starts = written(standing.start, theirs.calendar)
            raise Refused(
                f"Discount {discount} starts on {starts}, after {written(ends, theirs.calendar)}.",
                hint=f"To end it before it lowers anything: --end {starts}",
            )
        words = f"discount end {discount} --end {instant(ends)}"
        over = standing.ends(theirs.calendar)
        if over is not None and over <= min(ends, theirs.now):
            return Wanted(standing, ends, words, f"It ended on {written(over, theirs.calendar)}.")
        return Wanted(replace(standing, end=ends), min(ends, over or ends), words)

    return change_customer(billing, owner(billing, "discount", discount), want, dry_run=dry_run)
