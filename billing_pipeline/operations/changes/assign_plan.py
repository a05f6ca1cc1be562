"""Put a customer on another plan: now, later, or from the start of a period that is still open for them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from billing_pipeline.catalog import Phase, Plan, Subscription
from billing_pipeline.catalog.problems import suggestion
from billing_pipeline.catalog.scalars import written
from billing_pipeline.core.errors import Refused
from billing_pipeline.core.plain_text import instant
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.operations.changes.customer_change import Changed, Theirs, Wanted, change_customer
from billing_pipeline.operations.changes.start import NOW
from billing_pipeline.operations.context import Billing


def assign_plan(
    billing: Billing,
    customer: str,
    plan: str,
    *,
    subscription: str | None = None,
    start: str = NOW,
    dry_run: bool = False,
) -> Changed:
    """The plan's newest version is in force from ``start`` on, in place of the phases that start at or after it.

    A customer without a subscription that is in force then, or later, gets a new one. Where that version is in force
    already and nothing else is scheduled, nothing changes: its tiers go on.

    Args:
        billing: names the actor.
        customer: id.
        plan: id.
        subscription: id; None where the customer has one.
        start: as :func:`parse_start` reads it.
        dry_run: show it and record nothing.

    Raises:
        Refused: an id is unknown, it is not clear which subscription is meant, it has ended, the plan is in another
            currency, or the period is locked for the customer.
    """

    def want(theirs: Theirs) -> Wanted:
        since = theirs.start(start)
        version = _plan(theirs, plan)
        standing = _named(theirs, subscription) if subscription else _only(theirs, since)
        made = _moved(theirs, standing, version, since) if standing else _new(theirs, version, since)
        words = f"plan assign {customer} {plan} --subscription {made.id} --start {instant(since)}"
        note = f"It still ends on {written(made.end, theirs.calendar)}." if made.end else ""
        return Wanted(made, since, words, note, firm=True)

    return change_customer(billing, customer, want, dry_run=dry_run)


def _plan(theirs: Theirs, plan: str) -> Plan:
    plans = theirs.catalog.plans
    if plan not in plans:
        raise Refused(f"There is no plan {plan!r}.", hint=suggestion(plan, plans))
    return plans[plan]


def _named(theirs: Theirs, subscription: str) -> Subscription:
    subscriptions = theirs.catalog.subscriptions
    if subscription not in subscriptions:
        raise Refused(
            f"Customer {theirs.customer.id} has no subscription {subscription!r}.",
            hint=suggestion(subscription, subscriptions),
        )
    return subscriptions[subscription]


def _only(theirs: Theirs, since: datetime) -> Subscription | None:
    """The one that is in force at the start, or will be; None where there is none."""
    lasting = [one for one in theirs.catalog.subscriptions.values() if one.end is None or one.end > since]
    if len(lasting) > 1:
        names = ", ".join(sorted(one.id for one in lasting))
        raise Refused(
            f"Customer {theirs.customer.id} has {len(lasting)} subscriptions: {names}.",
            hint="Name one with --subscription.",
        )
    return lasting[0] if lasting else None


def _moved(theirs: Theirs, subscription: Subscription, plan: Plan, since: datetime) -> Subscription:
    if subscription.end is not None and subscription.end <= since:
        raise Refused(
            f"Subscription {subscription.id} ends on {written(subscription.end, theirs.calendar)}; no plan starts "
            f"in it on {written(since, theirs.calendar)}.",
            hint="Leave --subscription out to start a new subscription, or take the end back: apply this one without "
            "its end with billing catalog apply, after billing catalog export.",
        )
    phases = _phases(subscription.phases, plan, since)
    return replace(subscription, start=min(subscription.start, since), phases=phases)


def _phases(phases: Sequence[Phase], plan: Plan, since: datetime) -> tuple[Phase, ...]:
    """Those that start before; and the plan, unless the last of them is the same."""
    kept = tuple(phase for phase in phases if phase.start < since)
    if kept and (kept[-1].plan, kept[-1].plan_version) == (plan.id, plan.version):
        return kept
    return (*kept, Phase(plan.id, since, plan_version=plan.version))


def _new(theirs: Theirs, plan: Plan, since: datetime) -> Subscription:
    base = name = f"{theirs.customer.id}-{plan.id}"
    number = 1
    while ledger_catalog.owner(theirs.connection, "subscription", name) is not None:
        number += 1
        name = f"{base}-{number}"
    return Subscription(name, theirs.customer.id, since, _phases((), plan, since))
