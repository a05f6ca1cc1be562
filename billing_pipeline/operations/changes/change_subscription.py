"""Change how many of its fees a subscription has: seats, say."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from billing_pipeline.catalog import Subscription
from billing_pipeline.catalog.problems import suggestion
from billing_pipeline.catalog.scalars import decimal
from billing_pipeline.catalog.subscription import QuantityChange
from billing_pipeline.core.errors import CatalogError, Refused
from billing_pipeline.core.plain_text import instant, maybe_plain
from billing_pipeline.operations.changes.customer_change import Changed, Theirs, Wanted, change_customer, owner
from billing_pipeline.operations.changes.start import NOW
from billing_pipeline.operations.context import Billing

_ONE = Decimal(1)  # how many there are of a fee that nothing is said of


def change_subscription(
    billing: Billing, subscription: str, quantities: Mapping[str, str], *, start: str = NOW, dry_run: bool = False
) -> Changed:
    """From ``start`` on the fees named have these quantities, until a change that is scheduled later.

    Args:
        billing: names the actor.
        subscription: id.
        quantities: how many of a fee, by the fee's id: decimals, not negative.
        start: as :func:`parse_start` reads it. The whole of its local day counts.
        dry_run: show it and record nothing.

    Raises:
        Refused: there is no such subscription or fee, a quantity is none, or the period is locked for the customer.
    """
    wanted = {fee: _quantity(fee, text) for fee, text in quantities.items()}
    if not wanted:
        raise Refused("No quantity is given.", hint="Write --quantity FEE=NUMBER.")

    def want(theirs: Theirs) -> Wanted:
        standing = theirs.catalog.subscriptions[subscription]
        _require_fees(theirs, standing, wanted)
        since = max(theirs.start(start), standing.start)
        named = " ".join(f"--quantity {fee}={maybe_plain(quantity)}" for fee, quantity in wanted.items())
        words = f"subscription change {subscription} {named} --start {instant(since)}"
        return Wanted(_changed(standing, wanted, since), since, words)

    return change_customer(billing, owner(billing, "subscription", subscription), want, dry_run=dry_run)


def _quantity(fee: str, text: str) -> Decimal:
    try:
        quantity = decimal(text)
    except CatalogError as error:
        raise Refused(f"The quantity of {fee}: {error.message}", hint=error.hint) from None
    if quantity < 0:
        raise Refused(f"The quantity of {fee} is negative: {text}.", hint="Write 0 or more.")
    return quantity


def _require_fees(theirs: Theirs, standing: Subscription, wanted: Mapping[str, Decimal]) -> None:
    plans = [theirs.plan_versions[phase.plan, phase.plan_version or 0] for phase in standing.phases]
    fees = {fee.id for plan in plans for fee in plan.fees}
    for name in wanted:
        if name not in fees:
            raise Refused(
                f"None of the plans of {standing.id} has a fee {name!r}.", hint=suggestion(name, sorted(fees))
            )


def _changed(standing: Subscription, wanted: Mapping[str, Decimal], since: datetime) -> Subscription:
    """With the change, as far as it says anything new: another one at the same instant is replaced."""
    before = [change for change in standing.quantity_changes if change.start < since]
    after = [change for change in standing.quantity_changes if change.start > since]
    known: dict[str, Decimal] = dict(standing.quantities)
    for change in before:
        known |= change.quantities
    said = {fee: n for one in standing.quantity_changes if one.start == since for fee, n in one.quantities.items()}
    new = {fee: n for fee, n in (said | dict(wanted)).items() if known.get(fee, _ONE) != n}
    changes = [*before, QuantityChange(since, new), *after] if new else [*before, *after]
    return replace(standing, quantity_changes=tuple(changes))
