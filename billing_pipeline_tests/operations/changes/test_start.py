"""From when something counts, as people and programs say it."""

from datetime import date

import pytest

from billing_pipeline.core.errors import Refused
from billing_pipeline.core.period import calendar
from billing_pipeline.operations.changes.start import parse_start
from billing_pipeline_tests.sandbox import instant

BERLIN = calendar("Europe/Berlin", "month", date(2026, 1, 1))
NOW = instant("2026-03-31T22:30")  # in Berlin it is April already


@pytest.mark.parametrize(
    ("said", "start"),
    [
        ("now", "2026-03-31T22:30"),
        ("current-period", "2026-03-31T22:00"),  # summer time began on 29 March
        ("previous-period", "2026-02-28T23:00"),
        ("2026-03-01", "2026-02-28T23:00"),  # a local day begins at its midnight
        ("2026-03-01T00:00:00Z", "2026-03-01"),
        ("2026-03-01T12:00+02:00", "2026-03-01T10:00"),
        ("1772323200", "2026-03-01"),  # seconds since the epoch, as the field's APIs give them
        (" 1772323200 ", "2026-03-01"),
    ],
)
def test_a_start(said: str, start: str) -> None:
    assert parse_start(said, BERLIN, NOW) == instant(start)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("yesterday", "previous-period"),
        ("", "current-period"),
        ("2026-02-30", "a day"),
        ("2026-03-01T12:00", "with its zone"),
        ("1772323200000", "milliseconds"),
        ("177232320", "10 digits"),
        ("-1772323200", "10 digits"),
    ],
)
def test_what_is_no_start_is_refused_with_what_would_be(said: str, hint: str) -> None:
    with pytest.raises(Refused, match="is no start") as raised:
        parse_start(said, BERLIN, NOW)
    assert hint in raised.value.hint


def test_there_is_nothing_before_the_first_period() -> None:
    with pytest.raises(Refused, match="before the first") as raised:
        parse_start("previous-period", BERLIN, instant("2026-01-15"))
    assert "2025-12-31T23:00" in raised.value.hint
    with pytest.raises(Refused, match="has not started"):
        parse_start("current-period", BERLIN, instant("2025-12-15"))
