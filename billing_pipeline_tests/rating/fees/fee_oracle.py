"""What fees cost, another way: day by day, in fractions, with service periods found by walking the calendar."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby, pairwise
from math import floor

from billing_pipeline.catalog import Phase, Plan, Subscription
from billing_pipeline.catalog.plan import Fee
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.money import MINOR_DIGITS, Rounding
from billing_pipeline.core.period import BillingCalendar

DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)
_MONTHS = {"month": 1, "quarter": 3, "year": 12}

Line = tuple[date, str, date, date, Decimal, int]  # due, fee, first day, next day, quantity, minor units


@dataclass(frozen=True)
class Oracle:
    """One subscription of one customer."""

    terms: Terms
    calendar: BillingCalendar
    subscription: Subscription

    def lines(self, first: date, last: date) -> list[Line]:
        """Those due in ``[first, last]``."""
        days = self._charged_days(last)
        lines = [line for fee in self._fees() for line in self._of_fee(*fee, days)]
        return sorted(line for line in lines if first <= line[0] <= last and line[-1])

    def _fees(self) -> set[tuple[str, Fee]]:
        return {(phase.plan, fee) for phase in self.subscription.phases for fee in self._plan(phase).fees}

    def _plan(self, phase: Phase) -> Plan:
        return self.terms.plan(phase)

    def _charged_days(self, last: date) -> dict[date, Phase]:
        """The phase that is in force last on each day, well beyond ``last``."""
        start, end = self.subscription.start, self.subscription.end
        by_day = {}
        day = self.calendar.local_day(start)
        while day <= last + 800 * DAY:
            midnight, following = self.calendar.midnight(day), self.calendar.midnight(day + DAY)
            if end is not None and (end <= midnight or end == start):
                break
            moment = (following if end is None else min(following, end)) - MOMENT
            by_day[day] = next(phase for phase in reversed(self.subscription.phases) if phase.start <= moment)
            day += DAY
        return by_day

    def _of_fee(self, plan: str, fee: Fee, days: dict[date, Phase]) -> Iterator[Line]:
        if fee.every == "once":
            yield from self._once(plan, fee, days)
            return
        ended = max(days, default=date.min) + DAY if days else date.min
        for first, following in self._service_periods(fee, max(days, default=date.min)):
            whole = [first + n * DAY for n in range((following - first).days)]
            charged = [(day, days[day]) for day in whole if day in days and days[day].plan == plan]
            due = max(first, min(days)) if fee.timing == "in_advance" else min(following, ended)
            for _, run in groupby(self._runs(charged, fee), key=lambda run: run[0]):
                part = [day for _, day in run]
                quantity = self._quantity(fee, part[0])
                share = Fraction(len(part), len(whole)) if fee.prorate else Fraction(1)
                minor = self._rounded(Fraction(fee.amount) * Fraction(quantity) * share)
                yield due, fee.id, part[0], part[-1] + DAY, quantity, minor

    def _once(self, plan: str, fee: Fee, days: dict[date, Phase]) -> Iterator[Line]:
        first = min((day for day, phase in days.items() if phase.plan == plan), default=None)
        if first is not None:
            due = first if fee.timing == "in_advance" else first + DAY
            quantity = self._quantity(fee, first)
            minor = self._rounded(Fraction(fee.amount) * Fraction(quantity))
            yield due, fee.id, first, first + DAY, quantity, minor

    def _runs(self, charged: list[tuple[date, Phase]], fee: Fee) -> Iterator[tuple[object, date]]:
        """What must not change within a line, for each day: the phase, the quantity, and how often either did."""
        run, before = 0, None
        for day, phase in charged:
            now = (phase.start, self._quantity(fee, day) if fee.prorate else None)
            run += now != before
            before = now
            yield run, day

    def _quantity(self, fee: Fee, day: date) -> Decimal:
        end_of_day = self.calendar.midnight(day + DAY)
        quantity = self.subscription.quantities.get(fee.id, Decimal(1))
        for change in self.subscription.quantity_changes:
            if change.start < end_of_day:
                quantity = change.quantities.get(fee.id, quantity)
        return quantity

    def _service_periods(self, fee: Fee, last: date) -> Iterator[tuple[date, date]]:
        """Those from before the subscription's start until after its last charged day."""
        own = self.calendar.local_day(self.subscription.start)
        if self.subscription.billing_time == "anniversary":
            starts = _anniversaries(own, fee.every, last)
        else:
            span = (last - own).days + 2 * 370
            days = (own - 370 * DAY + n * DAY for n in range(span))
            starts = [day for day in days if self._begins(fee.every, day)]
        return pairwise(starts)

    def _begins(self, every: str, day: date) -> bool:
        if every == self.calendar.cadence:
            period = self.calendar.period_of(self.calendar.midnight(day))
            return period is not None and period.first_day == day
        return {
            "day": True,
            "week": day.weekday() == 0,
            "month": day.day == 1,
            "quarter": day.day == 1 and day.month in {1, 4, 7, 10},
            "year": (day.month, day.day) == (1, 1),
        }[every]

    def _rounded(self, amount: Fraction) -> int:
        scaled: Fraction = amount * 10 ** MINOR_DIGITS[self.terms.customer.currency]
        if self.terms.account.rounding is Rounding.HALF_EVEN:
            return round(scaled)
        return floor(scaled + Fraction(1, 2))


def _anniversaries(own: date, every: str, last: date) -> list[date]:
    starts = [own]
    while starts[-1] <= last + 370 * DAY:
        count = len(starts)
        starts.append(
            own + count * DAY * {"day": 1, "week": 7}[every] if every not in _MONTHS else _later(own, every, count)
        )
    return starts


def _later(own: date, every: str, count: int) -> date:
    """The same day of a later month, or the last that it has."""
    year, month = divmod(own.year * 12 + own.month - 1 + count * _MONTHS[every], 12)
    for day in range(own.day, 0, -1):
        try:
            return datetime(year, month + 1, day).date()  # noqa: DTZ001 - a day
        except ValueError:
            continue
    raise AssertionError(own)
