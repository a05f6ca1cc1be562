"""Change how many of its fees a customer's subscription has: seats, say."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from billing_pipeline.catalog import Subscription
from billing_pipeline.catalog.problems import suggestion
from billing_pipeline.catalog.scalars import decimal
from billing_pipeline.catalog.subscription import QuantityChange
from billing_pipeline.core.errors import CatalogError, Refused
from billing_pipeline.core.plain_text import instant, plain
from billing_pipeline.operations.changes.customer_change import CustomerCatalog, CustomerChange, owner
from billing_pipeline.operations.changes.start import NOW
from billing_pipeline.operations.context import Billing

_ONE = Decimal(1)  # how many there are of a fee that nothing is said of


@dataclass(frozen=True, slots=True)
class ChangeSubscription:
    """Change how many of its fees a subscription has.

    They hold from the start on, until a change that is scheduled later. The whole of the start's local day counts.

    Attributes:
        subscription: the subscription's id.
        quantities: how many of a fee, by the fee's id: {"platform": "3"}.
        start: from when
    """

    subscription: str
    quantities: dict[str, str]
    start: str = NOW

    def customer_id(self, billing: Billing) -> str:
        """Whose subscription it is. Raises Refused also where no quantity is given, or one is none."""
        self._decimals()
        return owner(billing, "subscription", self.subscription)

    def changed(self, recorded: CustomerCatalog) -> CustomerChange:
        """The subscription with the quantities. Raises Refused where its plans have no such fee."""
        standing, quantities = recorded.catalog.subscriptions[self.subscription], self._decimals()
        _require_fees(recorded, standing, quantities)
        since = max(recorded.start(self.start), standing.start)
        named = " ".join(f"--quantity {fee}={plain(quantity)}" for fee, quantity in quantities.items())
        words = f"subscription change {self.subscription} {named} --start {instant(since)}"
        return CustomerChange(_with_quantities(standing, quantities, since), since, words)

    def _decimals(self) -> dict[str, Decimal]:
        if not self.quantities:
            raise Refused("No quantity is given.", hint="Write --quantity FEE=NUMBER.")
        return {fee: _quantity(fee, text) for fee, text in self.quantities.items()}


def _quantity(fee: str, text: str) -> Decimal:
    try:
        quantity = decimal(text)
    except CatalogError as error:
        raise Refused(f"The quantity of {fee}: {error.message}", hint=error.hint) from None
    if quantity < 0:
        raise Refused(f"The quantity of {fee} is negative: {text}.", hint="Write 0 or more.")
    return quantity


def _require_fees(recorded: CustomerCatalog, standing: Subscription, quantities: Mapping[str, Decimal]) -> None:
    plans = [recorded.plan_versions[phase.plan, phase.plan_version or 0] for phase in standing.phases]
    fees = {fee.id for plan in plans for fee in plan.fees}
    for name in quantities:
        if name not in fees:
            raise Refused(
                f"None of the plans of {standing.id} has a fee {name!r}.", hint=suggestion(name, sorted(fees))
            )


def _with_quantities(standing: Subscription, quantities: Mapping[str, Decimal], since: datetime) -> Subscription:
    """With the change, as far as it says anything new: another one at the same instant is replaced."""
    before = [change for change in standing.quantity_changes if change.start < since]
    after = [change for change in standing.quantity_changes if change.start > since]
    until_then: dict[str, Decimal] = dict(standing.quantities)
    for change in before:
        until_then |= change.quantities
    at_once = [change.quantities for change in standing.quantity_changes if change.start == since]
    stated = {fee: number for change in at_once for fee, number in change.items()} | dict(quantities)
    new = {fee: number for fee, number in stated.items() if until_then.get(fee, _ONE) != number}
    changes = [*before, QuantityChange(since, new), *after] if new else [*before, *after]
    return replace(standing, quantity_changes=tuple(changes))
