"""Service periods of fees, in local days: from one start of `every` to the next, whatever the billing periods are."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from billing_pipeline.catalog.plan import FeeCadence
from billing_pipeline.catalog.subscription import Subscription
from billing_pipeline.core.period import DAYS, MONTHS, BillingCalendar, Cadence

# A Monday, the first of a month, a quarter and a year: what calendar weeks, months, quarters and years count from.
_ALIGNED = date(2001, 1, 1)
_SHORTEST = 28  # days that every month has
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class ServicePeriod:
    """A service period: the local days ``[first_day, next_day)`` that one amount of a fee pays for."""

    first_day: date
    next_day: date

    @property
    def days(self) -> int:
        """The days that the whole amount pays for."""
        return (self.next_day - self.first_day).days


# How long each is, in months and in days; that of a one-off fee is the day on which it is due.
_LENGTHS = {FeeCadence(every.value): (MONTHS.get(every, 0), DAYS.get(every, 0)) for every in Cadence} | {
    FeeCadence.ONCE: (0, 1)
}


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The service periods of a cadence, without gap or overlap.

    Attributes:
        months: how long each is, or 0.
        days: likewise, where it is not months.
        anchor: a day on which one starts. Months count from it, so that the 31st comes back after each shorter month.
    """

    months: int
    days: int
    anchor: date

    @classmethod
    def of(cls, every: FeeCadence, subscription: Subscription, calendar: BillingCalendar) -> "Rhythm":
        """The rhythm of a subscription: from its own first day, or like the calendar."""
        if subscription.billing_time == "anniversary":
            return cls(*_LENGTHS[every], calendar.local_day(subscription.start))
        return cls(*_LENGTHS[every], calendar.first_day if every.value == calendar.cadence.value else _ALIGNED)

    def holding(self, day: date) -> ServicePeriod:
        """The service period that holds a local day."""
        index = self._index(day)
        return ServicePeriod(self._nth(index), self._nth(index + 1))

    def between(self, first: date, last: date) -> Iterator[ServicePeriod]:
        """The service periods that have a day in ``[first, last]``, oldest first."""
        day = first
        while day <= last:
            period = self.holding(day)
            yield period
            day = period.next_day

    def _index(self, day: date) -> int:
        if not self.months:
            return (day - self.anchor).days // self.days
        index = ((day.year - self.anchor.year) * 12 + day.month - self.anchor.month) // self.months
        return index if self._nth(index) <= day else index - 1

    def _nth(self, index: int) -> date:
        if not self.months:
            return self.anchor + timedelta(days=index * self.days)
        years, month = divmod(self.anchor.month - 1 + index * self.months, 12)
        year, day = self.anchor.year + years, self.anchor.day
        return date(year, month + 1, day if day <= _SHORTEST else min(day, monthrange(year, month + 1)[1]))
