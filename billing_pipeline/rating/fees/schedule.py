"""When one subscription's fees fall due, for which service periods, and what each comes to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from billing_pipeline.catalog.plan import FeeCadence
from billing_pipeline.catalog.subscription import Subscription
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.money import EXACT, round_amount
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.rating.bounds import prorated
from billing_pipeline.rating.fees.parts import Part, Stay, following_day, parts, stays
from billing_pipeline.rating.fees.periods import ONE_DAY, Rhythm, ServicePeriod
from billing_pipeline.rating.line import LineKind, RatedLine

IN_ADVANCE, IN_ARREARS = "in_advance", "in_arrears"


class FeeKey(NamedTuple):
    """The fees of a subscription, of one cadence and timing, for one service period: named by the day they fall due."""

    subscription: str
    due: date
    every: FeeCadence
    timing: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a subscription's fees fall due, and for what.

    Attributes:
        first_day: the subscription's.
        next_day: the first that it is not charged for.
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
        first, following = calendar.local_day(subscription.start), following_day(subscription, calendar)
        return cls(subscription, terms, calendar, tuple(stays(subscription, terms, calendar)), first, following)

    def kinds(self) -> list[tuple[FeeCadence, str]]:
        """The cadences and timings of all fees."""
        return sorted({(fee.every, fee.timing) for stay in self.stays for fee in stay.plan.fees})

    def rhythm(self, every: FeeCadence) -> Rhythm:
        """The service periods of a cadence."""
        return Rhythm.of(every, self.subscription, self.calendar)

    def periods(self, every: FeeCadence, timing: str, first: date, last: date) -> Iterator[ServicePeriod]:
        """Service periods among which are all that fall due in ``[first, last]``."""
        rhythm = self.rhythm(every)
        if every is FeeCadence.ONCE:
            return (rhythm.holding(stay.first_day) for stay in self.stays if stay.opens)
        if timing == IN_ADVANCE:
            return rhythm.between(max(first, self.first_day), min(last, self.next_day))
        return rhythm.between(max(first - ONE_DAY, self.first_day), min(last, self.next_day) - ONE_DAY)

    def due(self, timing: str, period: ServicePeriod) -> date:
        """The day on which a service period's fees fall due."""
        if timing == IN_ADVANCE:
            return max(period.first_day, self.first_day)
        return self.next_day if period.first_day < self.next_day < period.next_day else period.next_day

    def key(self, every: FeeCadence, timing: str, period: ServicePeriod) -> FeeKey:
        """The name of a service period."""
        return FeeKey(self.subscription.id, self.due(timing, period), every, timing)

    def parts(self, every: FeeCadence, timing: str, period: ServicePeriod) -> Iterator[Part]:
        """All that is to be paid for a service period."""
        for stay in self.stays:
            for fee in stay.plan.fees:
                if (fee.every, fee.timing) == (every, timing):
                    yield from parts(fee, stay, period, self.subscription, self.calendar)

    def lines(self, found: Iterable[Part], period: ServicePeriod) -> Iterator[RatedLine]:
        """A line for each part that does not come to zero."""
        for part in found:
            line = self._line(part, period)
            if line.amount.minor:
                yield line

    def _line(self, part: Part, period: ServicePeriod) -> RatedLine:
        plan, fee, phase = part.stay.plan, part.fee, part.stay.phase
        amount = EXACT.multiply(fee.amount, part.quantity)
        if fee.prorate:
            amount = prorated(amount, part.days, period.days)
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
            start=max(self.calendar.midnight(part.first_day), phase.start),
        )
