"""Subscriptions: do customer, plans and times fit each other, and what is recorded?"""

from collections.abc import Iterator
from itertools import pairwise

from billing_pipeline.catalog.checks.known import Known
from billing_pipeline.catalog.checks.quantities import check_quantities
from billing_pipeline.catalog.subscription import Phase, Subscription
from billing_pipeline.core.errors import CatalogError


def check_subscription(subscription: Subscription, known: Known) -> Iterator[CatalogError]:
    """References, currencies, the order of times, and what may not move."""
    yield from known.reference("customer", subscription.customer, ("customer",))
    if not subscription.phases:
        yield CatalogError("There is no phase.", hint="Write plan: a plan.", path=("phases",))
    for i, phase in enumerate(subscription.phases):
        yield from _check_phase_plan(subscription, i, phase, known)
    yield from _check_times(subscription, known)
    yield from check_quantities(subscription, known)
    yield from _check_recorded(subscription, known)


def _check_phase_plan(subscription: Subscription, i: int, phase: Phase, known: Known) -> Iterator[CatalogError]:
    path = ("phases", i, "plan")
    yield from known.reference("plan", phase.plan, path)
    plan = known.catalog.plans.get(phase.plan)
    customer = known.catalog.customers.get(subscription.customer)
    if plan and customer and plan.currency != customer.currency:
        yield CatalogError(
            f"Plan {plan.id!r} is in {plan.currency}, customer {customer.id!r} in {customer.currency}.",
            hint=f"Name a plan in {customer.currency}; nothing is converted.",
            path=path,
        )


def _check_times(subscription: Subscription, known: Known) -> Iterator[CatalogError]:
    start, end, phases = subscription.start, subscription.end, subscription.phases
    if end is not None and end < start:
        message = f"The end {known.when(end)} is before the start {known.when(start)}."
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


def _check_recorded(subscription: Subscription, known: Known) -> Iterator[CatalogError]:
    recorded = known.existing.subscriptions.get(subscription.id) if known.existing else None
    if recorded is None:
        return
    hint = "Put it back; end this subscription and add one with another id."
    if recorded.customer != subscription.customer:
        message = f"The subscription is of customer {recorded.customer!r} and cannot pass to another."
        yield CatalogError(message, hint=hint, path=("customer",))
    if _is_elsewhere(subscription, recorded) or _is_elsewhere(recorded, subscription):
        until = f" to {known.when(recorded.end)}" if recorded.end else ""
        message = (
            f"The subscription is recorded from {known.when(recorded.start)}{until}; this is another time altogether."
        )
        yield CatalogError(message, hint=hint, path=("start",))


def _is_elsewhere(one: Subscription, other: Subscription) -> bool:
    """Whether ``one`` is in force some time, and only after ``other``."""
    return other.end is not None and other.end <= one.start and other.start < other.end
