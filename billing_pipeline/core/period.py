"""Billing periods and durations. Instants are UTC; boundaries are local midnights of the billing time zone.

A day of 23 or 25 hours makes no gap and no overlap, because every boundary is computed as a local date first.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from billing_pipeline.core.errors import CatalogError, Refused


class Cadence(StrEnum):
    """How long a billing period is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


A_DAY = timedelta(days=1)  # between two local days, not between two instants
# Whatever is recorded lies before it: periods, grace and delays must still end within what a date can say.
END_OF_TIME = datetime(9000, 1, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)  # the least time: what is known before ``at + MOMENT`` is known at ``at``
MONTHS = {Cadence.MONTH: 1, Cadence.QUARTER: 3, Cadence.YEAR: 12}
DAYS = {Cadence.DAY: 1, Cadence.WEEK: 7}
_DURATION = re.compile(r"\s*(\d{1,5})\s*(day|hour)s?\s*\Z")


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """Whole local calendar days, or elapsed hours."""

    days: int = 0
    hours: int = 0

    @classmethod
    def parse(cls, text: str | int) -> "Duration":
        """``"3 days"``, ``"12 hours"`` or ``0``. Raises CatalogError for anything else."""
        if text in {0, "0"}:
            return cls()
        match = _DURATION.match(str(text))
        if not match:
            raise CatalogError(f"{text!r} is no duration.", hint="Write '3 days' or '12 hours'.")
        count, unit = int(match[1]), match[2]
        return cls(days=count) if unit == "day" else cls(hours=count)

    def __str__(self) -> str:
        count, unit = (self.hours, "hour") if self.hours else (self.days, "day")
        return f"{count} {unit}{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True, order=True)
class BillingPeriod:
    """A billing period: half-open ``[start, end)``.

    Attributes:
        first_day: the first local day; its ISO form is the partition key.
        next_day: the first local day after the period: the issue date of its closing documents.
        start: UTC instant of ``first_day``'s local midnight.
        end: UTC instant of ``next_day``'s local midnight.
    """

    first_day: date
    next_day: date
    start: datetime
    end: datetime

    @property
    def key(self) -> str:
        """The period's name, which is the partition key, e.g. ``2026-01-01``."""
        return self.first_day.isoformat()

    @property
    def days(self) -> int:
        """Local calendar days in the period."""
        return (self.next_day - self.first_day).days


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The UTC instant at which a day begins in a zone; where the clocks jump over midnight, at the jump."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class BillingCalendar:
    """Which periods there are: a settings triple, written to the ledger once.

    Attributes:
        time_zone: IANA name.
        cadence: the length of a period.
        first_day: first local day of the first period; periods before it do not exist.
    """

    time_zone: str
    cadence: Cadence
    first_day: date

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which billing days begin."""
        return ZoneInfo(self.time_zone)

    def midnight(self, day: date) -> datetime:
        """The UTC instant at which local ``day`` begins."""
        return midnight(day, self.zone)

    def local_day(self, instant: datetime) -> date:
        """The local day that holds ``instant``."""
        return instant.astimezone(self.zone).date()

    def after(self, instant: datetime, duration: Duration) -> datetime:
        """``instant`` plus local calendar days, or plus elapsed hours."""
        if duration.hours:
            return instant.astimezone(UTC) + timedelta(hours=duration.hours)
        local = instant.astimezone(self.zone)
        return (local.replace(tzinfo=None) + timedelta(days=duration.days)).replace(tzinfo=self.zone).astimezone(UTC)

    def period(self, key: str) -> BillingPeriod:
        """The period of a partition key. Raises Refused for a day on which no period starts."""
        try:
            day = date.fromisoformat(key)
        except ValueError:
            raise Refused(f"{key!r} is no period.", hint="Write its first day, e.g. 2026-01-01.") from None
        period = self.period_of(self.midnight(day)) if day >= self.first_day else None
        if period is None or period.first_day != day:
            near = f" The period that holds that day is {period.key}." if period else ""
            raise Refused(
                f"No billing period starts on {key}.{near}",
                hint=f"Periods are one {self.cadence} long, from {self.first_day} on ({self.time_zone}).",
            )
        return period

    def period_of(self, instant: datetime) -> BillingPeriod | None:
        """The period that holds ``instant``, or None before the first period."""
        return None if self.local_day(instant) < self.first_day else self.service_of(instant)

    def service_of(self, instant: datetime) -> BillingPeriod:
        """The service period of what counts at ``instant``, also before the first period, which bills nothing there."""
        return self._nth(self._index(self.local_day(instant)))

    def next(self, period: BillingPeriod) -> BillingPeriod:
        """The period that starts where ``period`` ends."""
        return self._nth(self._index(period.first_day) + 1)

    def previous(self, period: BillingPeriod) -> BillingPeriod | None:
        """The period that ends where ``period`` starts; None for the first."""
        index = self._index(period.first_day)
        return self._nth(index - 1) if index else None

    def nth_end(self, instant: datetime, count: int) -> datetime:
        """Where the ``count``-th period ends, counted from the one that holds ``instant``.

        It also counts periods before the first one: what began there has used them up.
        """
        return self._nth(self._index(self.local_day(instant)) + count - 1).end

    def until(self, instant: datetime) -> Iterator[BillingPeriod]:
        """All periods that have started at ``instant``, oldest first."""
        period = self._nth(0)
        while period.start <= instant:
            yield period
            period = self.next(period)

    def _index(self, day: date) -> int:
        if self.cadence in DAYS:
            return (day - self.first_day).days // DAYS[self.cadence]
        months = (day.year - self.first_day.year) * 12 + day.month - self.first_day.month
        return months // MONTHS[self.cadence]

    def _nth(self, index: int) -> BillingPeriod:
        first, following = self._first_day(index), self._first_day(index + 1)
        return BillingPeriod(first, following, self.midnight(first), self.midnight(following))

    def _first_day(self, index: int) -> date:
        if self.cadence in DAYS:
            return self.first_day + timedelta(days=index * DAYS[self.cadence])
        month = self.first_day.month - 1 + index * MONTHS[self.cadence]
        return date(self.first_day.year + month // 12, month % 12 + 1, 1)


def calendar(time_zone: str, cadence: str, first_day: date) -> BillingCalendar:
    """A checked calendar. Raises Refused where the first day does not fit the cadence."""
    checked = BillingCalendar(time_zone, Cadence(cadence), first_day)
    if checked.cadence in MONTHS and first_day.day != 1:
        raise Refused(f"A {cadence} cannot start on day {first_day.day}.", hint=f"Use {first_day.replace(day=1)}.")
    return checked
