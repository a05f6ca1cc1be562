"""Subscriptions: do customer, plans and times fit each other, and what is recorded?"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise

from billing_pipeline.catalog.checks.check_context import CheckContext, Path
from billing_pipeline.catalog.checks.on_demand import check_on_demand
from billing_pipeline.catalog.plan import Fee
from billing_pipeline.catalog.problems import suggestion
from billing_pipeline.catalog.subscription import Phase, Subscription
from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.money import EXACT, LARGEST_AMOUNT


def check_subscription(subscription: Subscription, context: CheckContext) -> Iterator[CatalogError]:
    """References, currencies, the order of times, and what may not move."""
    yield from context.reference("customer", subscription.customer, ("customer",))
    if not subscription.phases:
        yield CatalogError("There is no phase.", hint="Write plan: a plan.", path=("phases",))
    for i, phase in enumerate(subscription.phases):
        yield from _check_phase_plan(subscription, i, phase, context)
    yield from _check_times(subscription, context)
    yield from check_quantities(subscription, context)
    yield from _check_recorded(subscription, context)


def _check_phase_plan(
    subscription: Subscription, i: int, phase: Phase, context: CheckContext
) -> Iterator[CatalogError]:
    path = ("phases", i, "plan")
    yield from context.reference("plan", phase.plan, path)
    plan = context.catalog.plans.get(phase.plan)
    customer = context.catalog.customers.get(subscription.customer)
    if plan and customer and plan.currency != customer.currency:
        yield CatalogError(
            f"Plan {plan.id!r} is in {plan.currency}, customer {customer.id!r} in {customer.currency}.",
            hint=f"Name a plan in {customer.currency}; nothing is converted.",
            path=path,
        )
    pinned = context.plan(phase)
    if pinned is not None and ("plan", phase.plan) not in context.files:  # else the plan says it itself
        for error in check_on_demand(pinned, context):
            message = f"Plan {pinned.id!r} cannot be billed: {error.message}"
            yield CatalogError(message, hint=error.hint, path=path)


def _check_times(subscription: Subscription, context: CheckContext) -> Iterator[CatalogError]:
    start, end, phases = subscription.start, subscription.end, subscription.phases
    if end is not None and end < start:
        message = f"The end {context.when(end)} is before the start {context.when(start)}."
        yield CatalogError(message, hint="Swap or correct them.", path=("end",))
    if phases and phases[0].start != start:
        message = "The first phase does not start with the subscription."
        yield CatalogError(message, hint="Leave its start out.", path=("phases", 0, "start"))
    for i, (before, phase) in enumerate(pairwise(phases), start=1):
        path = ("phases", i, "start")
        if phase.start <= before.start:
            hint = "Write phases in the order of their starts."
            yield CatalogError("The phase does not start after the one before it.", hint=hint, path=path)
        elif end is not None and end <= phase.start:
            hint = "Remove the phase, or end the subscription later."
            yield CatalogError("The phase starts when the subscription has ended.", hint=hint, path=path)


def _check_recorded(subscription: Subscription, context: CheckContext) -> Iterator[CatalogError]:
    recorded = context.recorded("subscription", subscription.id)
    if recorded is None:
        return
    hint = "Put it back; end this subscription and add one with another id."
    if recorded.customer != subscription.customer:
        message = f"The subscription is of customer {recorded.customer!r} and cannot pass to another."
        yield CatalogError(message, hint=hint, path=("customer",))
    if _is_elsewhere(subscription, recorded) or _is_elsewhere(recorded, subscription):
        until = f" to {context.when(recorded.end)}" if recorded.end else ""
        message = (
            f"The subscription is recorded from {context.when(recorded.start)}{until}; this is another time altogether."
        )
        yield CatalogError(message, hint=hint, path=("start",))


def _is_elsewhere(later: Subscription, earlier: Subscription) -> bool:
    """Whether ``one`` is in force some time, and only after ``other``."""
    return earlier.end is not None and earlier.end <= later.start and earlier.start < earlier.end


Given = tuple[Path, Mapping[str, Decimal]]  # quantities, and where they stand


def check_quantities(subscription: Subscription, context: CheckContext) -> Iterator[CatalogError]:
    """Do the quantities of a subscription's fees name fees, in order of time, and can what they cost be billed?"""
    fees = _fees(subscription, context)
    names = {fee.id for fee in fees} | _recorded(subscription, context)
    complete = all(context.plan(phase) for phase in subscription.phases)  # a plan that is missing has its own problem
    for path, quantities in _given(subscription):
        for name, quantity in quantities.items():
            if complete and name not in names:
                message = f"None of its plans has a fee {name!r}."
                yield CatalogError(message, hint=suggestion(name, sorted(names)), path=(*path, name))
            yield from _check_amount(name, quantity, fees, (*path, name))
    yield from _check_change_times(subscription, context)


def _fees(subscription: Subscription, context: CheckContext) -> list[Fee]:
    plans = (context.plan(phase) for phase in subscription.phases)
    return [fee for plan in plans if plan for fee in plan.fees]


def _given(subscription: Subscription) -> Iterator[Given]:
    yield ("quantities",), subscription.quantities
    for i, change in enumerate(subscription.quantity_changes):
        yield ("quantity_changes", i, "quantities"), change.quantities


def _recorded(subscription: Subscription, context: CheckContext) -> set[str]:
    """Names that were right once: another plan may have had the fee."""
    recorded = context.recorded("subscription", subscription.id)
    return {name for _, quantities in _given(recorded) for name in quantities} if recorded else set()


def _check_amount(name: str, quantity: Decimal, fees: list[Fee], path: Path) -> Iterator[CatalogError]:
    largest = max((fee.amount for fee in fees if fee.id == name), default=Decimal(0))
    if EXACT.multiply(largest, quantity) > LARGEST_AMOUNT:
        message = f"{quantity} times {largest} is larger than any bill ({LARGEST_AMOUNT:.0E})."
        yield CatalogError(message, hint="Check the quantity and the fee.", path=path)


def _check_change_times(subscription: Subscription, context: CheckContext) -> Iterator[CatalogError]:
    before, end = subscription.start, subscription.end
    for i, change in enumerate(subscription.quantity_changes):
        path = ("quantity_changes", i, "start")
        if change.start < before or (i and change.start == before):
            after = "the one before it" if i else "the subscription, which starts on " + context.when(before)
            hint = "Write changes in the order of their starts."
            yield CatalogError(f"The change does not come after {after}.", hint=hint, path=path)
        elif end is not None and end <= change.start:
            hint = "Remove the change, or end the subscription later."
            yield CatalogError("The change comes when the subscription has ended.", hint=hint, path=path)
        before = change.start
