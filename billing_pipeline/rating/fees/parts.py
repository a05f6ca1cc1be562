"""Parts of fees: one phase and one quantity in one service period, in local days.

The day of a change, of plan or quantity, belongs wholly to what comes after it; the day on which a subscription ends is
charged unless it ends at that day's first instant.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

from billing_pipeline.catalog.plan import Fee, FeeCadence, Plan
from billing_pipeline.catalog.subscription import Phase, Subscription
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.rating.fees.periods import ServicePeriod
from billing_pipeline.rating.pricing import end_day

_ONE = Decimal(1)
_FAR = datetime(9999, 1, 1, tzinfo=UTC)  # an end from here on means 'never'; local days near the last one overflow


@dataclass(frozen=True, slots=True)
class Stay:
    """A phase in local days ``[first_day, next_day)``.

    Attributes:
        opens: whether it is the first that the subscription is on this plan.
    """

    phase: Phase
    plan: Plan
    first_day: date
    next_day: date
    opens: bool


@dataclass(frozen=True, slots=True)
class Part:
    """What one line of a fee pays for: the local days ``[first_day, next_day)``, at one quantity."""

    stay: Stay
    fee: Fee
    first_day: date
    next_day: date
    quantity: Decimal

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.next_day - self.first_day).days


def following_day(subscription: Subscription, calendar: BillingCalendar) -> date:
    """The first local day that a subscription is not charged for; ``date.max`` where it goes on."""
    end = subscription.end
    if end is None or end >= _FAR:
        return date.max
    return end_day(end, calendar) if end > subscription.start else calendar.local_day(subscription.start)


def stays(subscription: Subscription, terms: Terms, calendar: BillingCalendar) -> Iterator[Stay]:
    """The phases that have days, in order; one that is replaced on the day on which it starts has none."""
    firsts = [calendar.local_day(phase.start) for phase in subscription.phases]
    seen: set[str] = set()
    for phase, (first, following) in zip(
        subscription.phases, pairwise([*firsts, following_day(subscription, calendar)]), strict=True
    ):
        if first < following:
            yield Stay(phase, terms.plan(phase), first, following, opens=phase.plan not in seen)
            seen.add(phase.plan)


def parts(
    fee: Fee, stay: Stay, period: ServicePeriod, subscription: Subscription, calendar: BillingCalendar
) -> Iterator[Part]:
    """The parts of a fee that one phase has in a service period, in order."""
    first, following = max(stay.first_day, period.first_day), min(stay.next_day, period.next_day)
    if first >= following or (fee.every is FeeCadence.ONCE and not (stay.opens and stay.first_day == first)):
        return
    steps = _quantities(fee.id, first, following, subscription, calendar)
    for (start, quantity), (end, _) in pairwise([*(steps if fee.prorate else steps[:1]), (following, _ONE)]):
        yield Part(stay, fee, start, end, quantity)


def _quantities(
    fee: str, first: date, following: date, subscription: Subscription, calendar: BillingCalendar
) -> list[tuple[date, Decimal]]:
    """The quantities in ``[first, following)``, each from its day on; the last that is given for a day counts."""
    in_force = {first: subscription.quantities.get(fee, _ONE)}
    for change in subscription.quantity_changes:
        day = calendar.local_day(change.start)
        if fee in change.quantities and day < following:
            in_force[max(day, first)] = change.quantities[fee]
    steps = list(in_force.items())
    return [steps[0], *(after for before, after in pairwise(steps) if before[1] != after[1])]
