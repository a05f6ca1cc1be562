"""The schedule of a subscription's fees: when they fall due, for which service periods, and what each comes to.

A subscription's phases become stays in local days, and each fee of a stay becomes parts: stretches of days at one
quantity. The day of a change, of plan or quantity, belongs wholly to what comes after it; the day on which a
subscription ends is paid for unless it ends at that day's first instant.

On plan one from 1 January 2026, on plan two from 16 January 15:00, two seats at first and three from 20 January, with a
fee for each seat on both plans. The stays are [1 January, 16 January) and [16 January, …), and the parts of January:

====  ========================  =====
plan  days                      seats
====  ========================  =====
one   [1 January, 16 January)   2
two   [16 January, 20 January)  2
two   [20 January, 1 February)  3
====  ========================  =====
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from billing_pipeline.catalog.plan import Fee, FeeCadence, Plan
from billing_pipeline.catalog.subscription import Phase, Subscription
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.money import EXACT, round_amount
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.rating.bounds import prorated
from billing_pipeline.rating.fees.periods import ONE_DAY, Rhythm, ServicePeriod
from billing_pipeline.rating.line import LineKind, RatedLine
from billing_pipeline.rating.pricing import end_day

IN_ADVANCE, IN_ARREARS = "in_advance", "in_arrears"
FIRST_PLAN = date(1, 1, 1)  # names what is due once for the plan that a subscription starts with, whenever that is
_ONE = Decimal(1)
_FAR = datetime(9999, 1, 1, tzinfo=UTC)  # an end from here on means 'never'; local days near the last one overflow


class FeeKey(NamedTuple):
    """The fees of a subscription, of one cadence and timing, for one service period.

    Attributes:
        day: names the service period: see :meth:`Schedule.key`.
    """

    subscription: str
    day: date
    every: FeeCadence
    timing: str


@dataclass(frozen=True, slots=True)
class Stay:
    """A subscription's phase in local days ``[first_day, next_day)``.

    Attributes:
        opens: whether it is the first that the subscription is on this plan.
        scheduled: whether it follows on another, and was recorded before the day on which it starts.
    """

    phase: Phase
    plan: Plan
    first_day: date
    next_day: date
    opens: bool
    scheduled: bool


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a fee that one line pays for: the local days ``[first_day, next_day)``, at one quantity."""

    stay: Stay
    fee: Fee
    first_day: date
    next_day: date
    quantity: Decimal

    @property
    def days(self) -> int:
        """The days that it pays for."""
        return (self.next_day - self.first_day).days


@dataclass(frozen=True, slots=True)
class Schedule:
    """The days on which a subscription's fees fall due, and what for.

    Attributes:
        first_day: the subscription's.
        next_day: the first that it is not paid for.
    """

    subscription: Subscription
    terms: Terms
    calendar: BillingCalendar
    stays: tuple[Stay, ...]
    first_day: date
    next_day: date

    @classmethod
    def of(cls, subscription: Subscription, terms: Terms, calendar: BillingCalendar) -> "Schedule":
        """The schedule of one of the customer's subscriptions."""
        first, following = calendar.local_day(subscription.start), _following_day(subscription, calendar)
        return cls(subscription, terms, calendar, tuple(_stays(subscription, terms, calendar)), first, following)

    def kinds(self) -> list[tuple[FeeCadence, str]]:
        """The cadences and timings of all fees."""
        return sorted({(fee.every, fee.timing) for stay in self.stays for fee in stay.plan.fees})

    def rhythm(self, every: FeeCadence) -> Rhythm:
        """The service periods of a cadence."""
        return Rhythm.of(every, self.subscription, self.calendar)

    def periods(self, every: FeeCadence, timing: str, first: date, last: date) -> Iterator[ServicePeriod]:
        """Service periods among which are all that fall due in ``[first, last]``."""
        rhythm = self.rhythm(every)
        if every is FeeCadence.ONCE:  # whatever the days: there are no more of them than plans
            return (rhythm.holding(stay.first_day) for stay in self.stays if stay.opens)
        if timing == IN_ADVANCE:
            return rhythm.between(max(first, self.first_day), min(last, self.next_day))
        # In arrears what ended yesterday falls due today, so each period is looked for a day earlier.
        return rhythm.between(max(first - ONE_DAY, self.first_day), min(last, self.next_day) - ONE_DAY)

    def due(self, timing: str, period: ServicePeriod, stay: Stay | None = None) -> date:
        """The day on which the fees of a service period, or of one stay in it, fall due: within the subscription.

        What is due in advance for a stay that was scheduled falls due when the stay starts, for its part of the period.
        """
        if timing == IN_ADVANCE:
            first = max(period.first_day, self.first_day)
            return max(first, stay.first_day) if stay is not None and stay.scheduled else first
        return self.next_day if period.first_day < self.next_day < period.next_day else period.next_day

    def key(self, every: FeeCadence, timing: str, period: ServicePeriod, stay: Stay | None = None) -> FeeKey:
        """The name of the fees of a service period, or of one stay in it.

        What is due in advance keeps its name where the subscription's start is moved, and with it the day on which it
        falls due: it is the first day of the whole service period, or that of a stay that was scheduled. In arrears it
        is the day on which it falls due.
        """
        day = self.due(timing, period, stay)
        if timing == IN_ADVANCE and every is FeeCadence.ONCE:
            day = FIRST_PLAN if day == self.first_day else day
        elif timing == IN_ADVANCE and day == self.first_day:
            day = period.first_day
        return FeeKey(self.subscription.id, day, every, timing)

    def named(self, key: FeeKey) -> ServicePeriod:
        """The service period that a key names."""
        if key.timing != IN_ADVANCE:
            # What is due on a day paid for the days until the day before, also where the subscription ended then.
            return self.rhythm(key.every).holding(key.day - ONE_DAY)
        return self.rhythm(key.every).holding(self.first_day if key.day == FIRST_PLAN else key.day)

    def stay_of(self, line: RatedLine) -> Stay | None:
        """The stay whose fee a line is; None where the subscription is scheduled otherwise by now."""
        phase = line.plan, line.plan_version, line.phase_start
        return next((stay for stay in self.stays if (stay.plan.id, stay.plan.version, stay.phase.start) == phase), None)

    def known_on(self, day: date, parts: Iterable[Part]) -> bool:
        """Whether it was known on the day on which fees fall due that one of them does."""
        for part in parts:
            recorded_at = self.subscription.recorded_later(part.stay.phase)
            known = recorded_at is None or self.calendar.local_day(recorded_at) <= day
            if known and part.stay.first_day <= day < part.stay.next_day:
                return True
        return False

    def parts(self, every: FeeCadence, timing: str, period: ServicePeriod) -> Iterator[Part]:
        """The parts of all fees that are paid for a service period."""
        for stay in self.stays:
            for fee in stay.plan.fees:
                if (fee.every, fee.timing) == (every, timing):
                    yield from _parts(fee, stay, period, self.subscription, self.calendar)

    def lines(self, parts: Iterable[Part], period: ServicePeriod) -> Iterator[RatedLine]:
        """A line for each part that does not come to zero."""
        for part in parts:
            line = self._line(part, period)
            if line.amount.minor:
                yield line

    def _line(self, part: Part, period: ServicePeriod) -> RatedLine:
        plan, fee, phase = part.stay.plan, part.fee, part.stay.phase
        amount = fee_amount(fee, part.quantity, part.days, period)
        return RatedLine(
            kind=LineKind.FEE,
            subscription=self.subscription.id,
            plan=plan.id,
            plan_version=plan.version,
            price=fee.id,
            product=None,
            description=fee.name,
            service_start=part.first_day,
            service_end=part.next_day,
            dimensions={},
            quantity=part.quantity,
            amount=round_amount(amount, plan.currency, self.terms.account.rounding),
            phase_start=phase.start,
            start=max(self.calendar.midnight(part.first_day), phase.start, *self._changed_on(part)),
        )

    def _changed_on(self, part: Part) -> list[datetime]:
        """The instants at which the quantity of a part was changed on its first day."""
        return [
            change.start
            for change in self.subscription.quantity_changes
            if part.fee.id in change.quantities and self.calendar.local_day(change.start) == part.first_day
        ]


def fee_amount(fee: Fee, quantity: Decimal, days: int, period: ServicePeriod) -> Decimal:
    """What so many of a fee cost for so many days of a service period, unrounded."""
    amount = EXACT.multiply(fee.amount, quantity)
    return prorated(amount, days, period.days) if fee.prorate else amount


def _following_day(subscription: Subscription, calendar: BillingCalendar) -> date:
    """The first local day that a subscription is not paid for; ``date.max`` where it goes on."""
    end = subscription.end
    if end is None or end >= _FAR:
        return date.max
    return end_day(end, calendar) if end > subscription.start else calendar.local_day(subscription.start)


def _stays(subscription: Subscription, terms: Terms, calendar: BillingCalendar) -> Iterator[Stay]:
    """The phases that have days, in order; one that is replaced on the day on which it starts has none."""
    firsts = [calendar.local_day(phase.start) for phase in subscription.phases]
    seen: set[str] = set()  # plans: coming back to one opens it no second time
    follows = False
    for phase, (first, following) in zip(
        subscription.phases, pairwise([*firsts, _following_day(subscription, calendar)]), strict=True
    ):
        if first < following:
            scheduled = follows and phase.recorded_at is not None and phase.recorded_at < calendar.midnight(first)
            yield Stay(phase, terms.plan(phase), first, following, phase.plan not in seen, scheduled)
            seen.add(phase.plan)
            follows = True


def _parts(
    fee: Fee, stay: Stay, period: ServicePeriod, subscription: Subscription, calendar: BillingCalendar
) -> Iterator[Part]:
    """The parts of a fee that one phase has in a service period, in order."""
    first, following = max(stay.first_day, period.first_day), min(stay.next_day, period.next_day)
    # A fee that is due once is due when its plan begins: not in later phases on that plan, nor on later days.
    if first >= following or (fee.every is FeeCadence.ONCE and not (stay.opens and stay.first_day == first)):
        return
    # Without proration the first quantity pays for the whole, whatever it becomes afterwards.
    steps = _quantities(fee.id, first, following, subscription, calendar)
    for (start, quantity), (end, _) in pairwise([*(steps if fee.prorate else steps[:1]), (following, _ONE)]):
        yield Part(stay, fee, start, end, quantity)


def _quantities(
    fee: str, first: date, following: date, subscription: Subscription, calendar: BillingCalendar
) -> list[tuple[date, Decimal]]:
    """The quantities in ``[first, following)``, each from its day on; the last that is given for a day counts."""
    # Changes are in the order of their instants: one before the first day sets what holds on it, a later one its own
    # day, and of several on one day the last stays.
    in_force = {first: subscription.quantities.get(fee, _ONE)}
    for change in subscription.quantity_changes:
        day = calendar.local_day(change.start)
        if fee in change.quantities and day < following:
            in_force[max(day, first)] = change.quantities[fee]
    steps = list(in_force.items())
    return [steps[0], *(after for before, after in pairwise(steps) if before[1] != after[1])]
