"""When a refused payment is tried again."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.core.period import BillingCalendar, Cadence
from billing_pipeline.payments.retries import RETRY_DAYS, next_attempt_at

UTC_MONTHS = BillingCalendar("UTC", Cadence.MONTH, date(2026, 1, 1))
BERLIN = BillingCalendar("Europe/Berlin", Cadence.MONTH, date(2026, 1, 1))
FIRST = datetime(2026, 2, 1, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(("refusals", "days_later"), [(1, 1), (2, 3), (3, 5), (4, 7), (5, None), (6, None)])
def test_a_punctual_delivery_retries_on_days_1_3_5_and_7(refusals: int, days_later: int | None) -> None:
    """Semantics, hand-off to payments."""
    now = FIRST + timedelta(days=(0, *RETRY_DAYS, 8)[refusals - 1])
    expected = None if days_later is None else FIRST + timedelta(days=days_later)
    assert next_attempt_at(refusals, FIRST, now, UTC_MONTHS) == expected


@pytest.mark.parametrize(
    ("refusals", "now", "expected"),
    [
        (2, FIRST + timedelta(days=1, minutes=5), FIRST + timedelta(days=3)),  # a late minute moves nothing
        (2, FIRST + timedelta(days=2, hours=23), FIRST + timedelta(days=3, hours=23)),  # not an hour later
        (2, FIRST + timedelta(days=30), FIRST + timedelta(days=31)),  # downtime: the attempts left are kept
        (4, FIRST + timedelta(days=30), FIRST + timedelta(days=31)),
    ],
)
def test_a_late_delivery_never_retries_within_a_day(refusals: int, now: datetime, expected: datetime) -> None:
    assert next_attempt_at(refusals, FIRST, now, UTC_MONTHS) == expected


def test_days_are_local() -> None:
    """The clocks go forward on 29 March 2026: the same wall-clock time is 23 hours later."""
    first = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
    assert next_attempt_at(1, first, first, BERLIN) == first + timedelta(hours=23)


@given(st.lists(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=20)), min_size=5, max_size=5))
def test_there_are_five_attempts_and_each_waits_for_the_one_before(delays: list[timedelta]) -> None:
    now = FIRST
    for refusals, delay in enumerate(delays, start=1):
        following = next_attempt_at(refusals, FIRST, now, UTC_MONTHS)
        if refusals == 5:
            assert following is None
            return
        assert following is not None
        assert following >= now + timedelta(days=1)
        assert following >= FIRST + timedelta(days=RETRY_DAYS[refusals - 1])
        now = following + delay
