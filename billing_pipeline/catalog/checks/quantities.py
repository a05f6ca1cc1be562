"""Quantities of a subscription's fees: do they name fees, in order of time, and can what they cost be billed?"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from billing_pipeline.catalog.checks.known import Known, Path
from billing_pipeline.catalog.plan import Fee
from billing_pipeline.catalog.problems import suggestion
from billing_pipeline.catalog.subscription import Subscription
from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.money import EXACT, LARGEST_AMOUNT

Given = tuple[Path, Mapping[str, Decimal]]  # quantities, and where they stand


def check_quantities(subscription: Subscription, known: Known) -> Iterator[CatalogError]:
    """Quantities and their changes."""
    fees = _fees(subscription, known)
    names = {fee.id for fee in fees} | _recorded(subscription, known)
    complete = all(known.plan(phase) for phase in subscription.phases)  # a plan that is missing has its own problem
    for path, quantities in _given(subscription):
        for name, quantity in quantities.items():
            if complete and name not in names:
                message = f"None of its plans has a fee {name!r}."
                yield CatalogError(message, hint=suggestion(name, sorted(names)), path=(*path, name))
            yield from _check_amount(name, quantity, fees, (*path, name))
    yield from _check_times(subscription, known)


def _fees(subscription: Subscription, known: Known) -> list[Fee]:
    plans = (known.plan(phase) for phase in subscription.phases)
    return [fee for plan in plans if plan for fee in plan.fees]


def _given(subscription: Subscription) -> Iterator[Given]:
    yield ("quantities",), subscription.quantities
    for i, change in enumerate(subscription.quantity_changes):
        yield ("quantity_changes", i, "quantities"), change.quantities


def _recorded(subscription: Subscription, known: Known) -> set[str]:
    """Names that were right once: another plan may have had the fee."""
    recorded = known.existing.subscriptions.get(subscription.id) if known.existing else None
    return {name for _, quantities in _given(recorded) for name in quantities} if recorded else set()


def _check_amount(name: str, quantity: Decimal, fees: list[Fee], path: Path) -> Iterator[CatalogError]:
    largest = max((fee.amount for fee in fees if fee.id == name), default=Decimal(0))
    if EXACT.multiply(largest, quantity) > LARGEST_AMOUNT:
        message = f"{quantity} times {largest} is larger than any bill ({LARGEST_AMOUNT:.0E})."
        yield CatalogError(message, hint="Check the quantity and the fee.", path=path)


def _check_times(subscription: Subscription, known: Known) -> Iterator[CatalogError]:
    before, end = subscription.start, subscription.end
    for i, change in enumerate(subscription.quantity_changes):
        path = ("quantity_changes", i, "start")
        if change.start < before or (i and change.start == before):
            after = "the one before it" if i else "the subscription, which starts on " + known.when(before)
            hint = "Write changes in the order of their starts."
            yield CatalogError(f"The change does not come after {after}.", hint=hint, path=path)
        elif end is not None and end <= change.start:
            hint = "Remove the change, or end the subscription later."
            yield CatalogError("The change comes when the subscription has ended.", hint=hint, path=path)
        before = change.start
