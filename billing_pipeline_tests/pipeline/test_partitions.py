"""Dagster's partitions are the ledger's periods: the same keys, the same instants, the open one included."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.core.period import BillingCalendar, Cadence, calendar
from billing_pipeline_tests.examples import examples

if TYPE_CHECKING:
    from dagster import TimeWindowPartitionsDefinition

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # its summer time is half an hour
    "Asia/Kathmandu",  # 5:45
    "Pacific/Kiritimati",  # the first to see a day
    "Pacific/Pago_Pago",  # the last
    "America/Santiago",  # its clocks jump over midnight
    "Africa/Cairo",  # so do these
    "Asia/Beirut",
    "America/Sao_Paulo",
)
FIRST_DAYS = {
    Cadence.DAY: date(2026, 1, 31),
    Cadence.WEEK: date(2026, 1, 1),  # weeks from Thursday to Wednesday
    Cadence.MONTH: date(2024, 1, 1),
    Cadence.QUARTER: date(2024, 2, 1),  # quarters from February on
    Cadence.YEAR: date(2019, 4, 1),
}
NOW = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)


def partitions(known: BillingCalendar) -> "TimeWindowPartitionsDefinition":
    from billing_pipeline.pipeline.partitions import billing_periods

    return billing_periods(known)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cadence", Cadence)
def test_keys_and_windows_are_the_ledgers(cadence: Cadence, zone: str) -> None:
    known = calendar(zone, cadence, FIRST_DAYS[cadence])
    periods = [*known.until(NOW)]
    made = partitions(known)
    keys = made.get_partition_keys(current_time=NOW)
    assert keys == [period.key for period in periods]
    windows = [made.time_window_for_partition_key(key) for key in keys]
    assert [(one.start.astimezone(UTC), one.end.astimezone(UTC)) for one in windows] == [
        (period.start, period.end) for period in periods
    ]


@pytest.mark.parametrize("cadence", Cadence)
def test_where_midnight_comes_twice_a_partition_begins_at_one_of_them(cadence: Cadence) -> None:
    """1 November 2026 in Havana: a day begins at the first, Dagster's quarter at the second. The keys are the same."""
    known = calendar("America/Havana", cadence, FIRST_DAYS[cadence])
    periods, made = [*known.until(NOW)], partitions(known)
    assert made.get_partition_keys(current_time=NOW) == [period.key for period in periods]
    for period in periods:
        begins = made.time_window_for_partition_key(period.key).start.astimezone(UTC)
        assert begins - period.start in {timedelta(0), timedelta(hours=1)}


@given(
    zone=st.sampled_from(ZONES),
    cadence=st.sampled_from([*Cadence]),
    first=st.dates(date(2015, 1, 1), date(2025, 12, 31)),
    elapsed=st.timedeltas(timedelta(0), timedelta(days=400)),
)
@examples(60)
def test_the_last_partition_is_the_open_period(zone: str, cadence: Cadence, first: date, elapsed: timedelta) -> None:
    day = first if cadence in {Cadence.DAY, Cadence.WEEK} else first.replace(day=1)
    known = calendar(zone, cadence, day)
    now = known.midnight(day) + elapsed
    open_period = known.period_of(now)
    assert open_period is not None
    keys = partitions(known).get_partition_keys(current_time=now)
    assert keys[-1] == open_period.key
    assert keys[0] == day.isoformat()


def test_a_period_is_there_from_its_first_instant() -> None:
    known = calendar("Europe/Berlin", "month", date(2026, 1, 1))
    begins = datetime(2026, 2, 28, 23, 0, tzinfo=UTC)  # 1 March, 00:00 in Berlin
    made = partitions(known)
    assert made.get_partition_keys(current_time=begins - timedelta(microseconds=1))[-1] == "2026-02-01"
    assert made.get_partition_keys(current_time=begins)[-1] == "2026-03-01"


def test_the_assets_have_those_of_the_settings() -> None:
    from billing_pipeline.pipeline.partitions import BILLING_PERIODS
    from billing_pipeline.settings import load_settings

    assert partitions(load_settings().calendar) == BILLING_PERIODS
