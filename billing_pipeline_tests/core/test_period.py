"""Billing periods: no gap and no overlap, whatever clocks do."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.core.errors import CatalogError, Refused
from billing_pipeline.core.period import BillingCalendar, Cadence, Duration, calendar

# Days of 23 and 25 hours, half-hour changes, clocks changed at midnight, days left out, both hemispheres.
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "America/Havana",
    "Asia/Beirut", "Pacific/Apia", "Asia/Kathmandu", "Africa/Cairo", "Antarctica/Troll",
)  # fmt: skip
CALENDARS = st.builds(
    BillingCalendar,
    st.sampled_from(ZONES),
    st.sampled_from(Cadence),
    st.dates(date(2000, 1, 1), date(2020, 1, 1)).map(lambda day: day.replace(day=1)),
)
INSTANTS = st.datetimes(datetime(2000, 1, 2), datetime(2035, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


@given(CALENDARS)
def test_periods_follow_each_other_without_gap_or_overlap(made: BillingCalendar) -> None:
    periods = list(islice(made.until(datetime(2040, 1, 1, tzinfo=UTC)), 60))
    assert periods[0].first_day == made.first_day
    for before, after in pairwise(periods):
        assert (before.end, before.next_day) == (after.start, after.first_day)
        assert before.start <= before.end
        assert made.next(before) == after
        assert made.previous(after) == before
    assert made.previous(periods[0]) is None


@given(CALENDARS, INSTANTS)
def test_every_instant_is_in_one_period_or_before_the_first(made: BillingCalendar, at: datetime) -> None:
    period = made.period_of(at)
    if period is None:
        assert at < made.midnight(made.first_day)
    else:
        assert period.start <= at < period.end
        assert made.period(period.key) == period


@given(st.sampled_from(ZONES), INSTANTS)
def test_an_instant_is_in_the_local_day_between_two_midnights(zone: str, at: datetime) -> None:
    made = BillingCalendar(zone, Cadence.DAY, date(2000, 1, 1))
    day = made.local_day(at)
    assert made.midnight(day) <= at < made.midnight(day + timedelta(days=1))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),  # has no midnight: it begins at 01:00
        ("America/Sao_Paulo", date(2018, 2, 17), 25),  # 23:00 comes twice
        ("America/Havana", date(2026, 11, 1), 25),  # has two midnights: it begins at the first
        ("Pacific/Apia", date(2011, 12, 30), 0),  # did not happen
    ],
)
def test_a_day_has_the_hours_it_had(zone: str, day: date, hours: float) -> None:
    made = BillingCalendar(zone, Cadence.DAY, day)
    assert made.midnight(day + timedelta(days=1)) - made.midnight(day) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("cadence", "first", "key", "next_day"),
    [
        ("day", date(2026, 1, 1), "2026-03-29", date(2026, 3, 30)),
        ("week", date(2026, 1, 5), "2026-03-23", date(2026, 3, 30)),
        ("month", date(2026, 1, 1), "2026-02-01", date(2026, 3, 1)),
        ("quarter", date(2026, 2, 1), "2026-11-01", date(2027, 2, 1)),
        ("year", date(2024, 7, 1), "2025-07-01", date(2026, 7, 1)),
    ],
)
def test_a_key_names_a_period(cadence: str, first: date, key: str, next_day: date) -> None:
    made = calendar("Europe/Berlin", cadence, first)
    period = made.period(key)
    assert (period.key, period.next_day) == (key, next_day)
    assert period.days == (next_day - period.first_day).days
    assert period.start.astimezone(ZoneInfo("Europe/Berlin")).hour == 0


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("2026-01-15", "The period that holds that day is 2026-01-01"),
        ("2025-12-01", "No billing period starts on 2025-12-01"),
        ("January", "is no period"),
        ("2026-13-01", "is no period"),
    ],
)
def test_a_key_that_names_none_is_refused(key: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        calendar("UTC", "month", date(2026, 1, 1)).period(key)


def test_a_month_starts_on_its_first() -> None:
    with pytest.raises(Refused, match="Use 2026-01-01"):
        calendar("UTC", "month", date(2026, 1, 15))


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("3 days", Duration(days=3)),
        ("1 day", Duration(days=1)),
        (" 12 hours ", Duration(hours=12)),
        ("0 days", Duration()),
        (0, Duration()),
        ("0", Duration()),
    ],
)
def test_durations(text: str | int, duration: Duration) -> None:
    assert Duration.parse(text) == duration
    assert Duration.parse(str(duration)) == duration


@pytest.mark.parametrize("text", ["", "3", "-1 day", "1.5 days", "1 week", "123456 days", "day", "1 dayz", 3])
def test_what_is_no_duration_is_refused(text: str | int) -> None:
    with pytest.raises(CatalogError, match="is no duration"):
        Duration.parse(text)


def test_days_are_local_and_hours_elapse() -> None:
    berlin = calendar("Europe/Berlin", "month", date(2026, 1, 1))
    saturday = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert berlin.after(saturday, Duration(days=1)) == datetime(2026, 3, 29, 10, tzinfo=UTC)  # noon again
    assert berlin.after(saturday, Duration(hours=24)) == datetime(2026, 3, 29, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cadence", "at", "count", "ends"),
    [
        ("month", "2026-01-31", 1, "2026-02-01"),
        ("month", "2026-01-31", 12, "2027-01-01"),
        ("month", "2025-11-30", 3, "2026-02-01"),  # periods before the first one count, too
        ("quarter", "2025-12-31", 2, "2026-04-01"),
        ("year", "2026-05-05", 2, "2028-01-01"),
        ("week", "2025-12-31", 1, "2026-01-01"),  # weeks from the first day on, and back
        ("day", "2026-01-05", 3, "2026-01-08"),
    ],
)
def test_the_end_of_the_nth_period(cadence: str, at: str, count: int, ends: str) -> None:
    made = calendar("UTC", cadence, date(2026, 1, 1))
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert made.nth_end(instant, count) == made.midnight(date.fromisoformat(ends))
