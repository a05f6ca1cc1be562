"""One value at a time: what is accepted, and what is refused with a hint."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.catalog import scalars
from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.period import BillingCalendar, Duration, calendar

BERLIN = calendar("Europe/Berlin", "month", date(2026, 1, 1))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0.10", "0.10"),
        ("1e-3", "0.001"),
        ("-5", "-5"),
        (7, "7"),
        ("999999999999999999.999999999999", "999999999999999999.999999999999"),
        ("1.0000000000000000", "1"),  # zeros are no decimals
        ("0e999", "0"),
    ],
)
def test_a_decimal_is_exact(written: object, value: str) -> None:
    assert scalars.decimal(written) == Decimal(value)


@pytest.mark.parametrize(
    "written",
    [
        "1,5",
        "1_000",
        "0x10",
        ".inf",
        "nan",
        "NaN",
        "1e400",
        "1e18",
        "1e-13",
        "1" * 200,
        "",
        " 1",
        "٣",
        0.1,
        True,
        None,
        [],
    ],
)
def test_what_is_no_decimal_is_refused(written: object) -> None:
    with pytest.raises(CatalogError):
        scalars.decimal(written)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18) + 1, max_value=10**18 - 1, places=12))
def test_any_decimal_of_the_allowed_size_is_read_back_exactly(number: Decimal) -> None:
    assert scalars.decimal(str(number)) == number


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-01-01", datetime(2025, 12, 31, 23, tzinfo=UTC)),
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),  # summer time
        ("2026-01-01T12:00Z", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("2026-01-01 12:00:00.000001 +01:00", datetime(2026, 1, 1, 11, 0, 0, 1, tzinfo=UTC)),
    ],
)
def test_an_instant_is_utc_and_a_day_begins_at_local_midnight(written: str, instant: datetime) -> None:
    assert scalars.instant(written, BERLIN) == instant
    assert scalars.instant(written, BERLIN).tzinfo is UTC


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("2026-01-01", None),  # no calendar to place a day
        ("2026-02-29", BERLIN),
        ("2026-1-1", BERLIN),
        ("20260101", BERLIN),
        ("2026-01-01T12:00:00", BERLIN),  # no zone
        ("2026-01-01T25:00:00Z", BERLIN),
        ("2026-01-01T12:00:00.1234567Z", BERLIN),  # finer than a microsecond
        ("0001-01-01", BERLIN),  # before the first UTC instant there is
        ("9999-12-31T23:59:59-12:00", BERLIN),
        ("now", BERLIN),
        (20260101, BERLIN),
        (None, BERLIN),
    ],
)
def test_what_is_no_instant_is_refused(written: object, known: BillingCalendar | None) -> None:
    with pytest.raises(CatalogError, match="neither a day nor an instant"):
        scalars.instant(written, known)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2025, 12, 31, 23, tzinfo=UTC), "2026-01-01"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T01:00:00+01:00"),
    ],
)
def test_an_instant_is_written_as_a_local_day_where_one_begins(instant: datetime, text: str) -> None:
    assert scalars.written(instant, BERLIN) == text
    assert scalars.instant(text, BERLIN) == instant


@pytest.mark.parametrize(
    ("written", "duration"),
    [("3 days", Duration(days=3)), ("1 hour", Duration(hours=1)), ("0", Duration()), (0, Duration())],
)
def test_a_duration_is_days_or_hours(written: object, duration: Duration) -> None:
    assert scalars.duration(written) == duration


@pytest.mark.parametrize(
    "written", ["3", "-1 day", "3 weeks", "1.5 days", "three days", "", True, ["3 days"], "999999 days"]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(CatalogError):
        scalars.duration(written)


@pytest.mark.parametrize("written", ["true", "yes", 1, None])
def test_only_true_and_false_are_booleans(written: object) -> None:
    with pytest.raises(CatalogError, match="neither true nor false"):
        scalars.boolean(written)


@pytest.mark.parametrize("written", ["1.0", "1e3", True, 1.5, None, "9" * 30])
def test_what_is_no_whole_number_is_refused(written: object) -> None:
    with pytest.raises(CatalogError, match="not a whole number"):
        scalars.integer(written)


def test_a_whole_number_may_be_text() -> None:
    assert (scalars.integer("-12"), scalars.integer(12)) == (-12, 12)


@pytest.mark.parametrize(
    ("value", "message"),
    [(True, "true is not a text. Quote it: 'true'."), ([], "Expected a text, not a list."), (None, "Expected a text")],
)
def test_what_is_no_text_is_refused(value: object, message: str) -> None:
    with pytest.raises(CatalogError) as refused:
        scalars.text(value)
    assert str(refused.value).startswith(message)


def test_a_long_value_is_cut_in_messages() -> None:
    assert len(scalars.shown("x" * 1000)) == 78
