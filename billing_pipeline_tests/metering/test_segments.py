"""Segments: which part of a period each price is in force, without gaps or overlaps."""

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.core.period import calendar
from billing_pipeline.metering.segments import Segment, segments
from billing_pipeline_tests.terms import JANUARY, subscribed, terms_of


def spans(text: str) -> list[tuple[str, str, str]]:
    """(plan/price, start, end) of January's segments; whole days without their time."""
    return [
        (f"{segment.plan.id}/{segment.price.id}", _short(segment.start), _short(segment.end))
        for segment in segments(terms_of(text), JANUARY)
    ]


def _short(at: datetime) -> str:
    return at.strftime("%m-%d %H:%M").removesuffix(" 00:00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (subscribed("basic 2025-06-01"), [("basic/api", "01-01", "02-01")]),
        (subscribed("basic 2026-01-10"), [("basic/api", "01-10", "02-01")]),
        (subscribed("basic 2025-06-01", end="2026-01-10"), [("basic/api", "01-01", "01-10")]),
        (subscribed("basic 2026-02-01"), []),
        (subscribed("basic 2025-06-01", end="2026-01-01"), []),
        (subscribed("basic 2026-01-05", end="2026-01-05"), []),  # ended before it began
        (
            subscribed("basic 2026-01-01", "mixed 2026-01-15T12:00:00Z"),
            [
                ("basic/api", "01-01", "01-15 12:00"),
                ("mixed/api", "01-15 12:00", "02-01"),
                ("mixed/gb", "01-15 12:00", "02-01"),
            ],
        ),
        (
            subscribed("basic 2026-01-01", "mixed 2026-01-15", "basic 2026-02-01"),
            [("basic/api", "01-01", "01-15"), ("mixed/api", "01-15", "02-01"), ("mixed/gb", "01-15", "02-01")],
        ),
    ],
)
def test_a_price_is_in_force_within_its_phase_subscription_and_period(
    text: str, expected: list[tuple[str, str, str]]
) -> None:
    assert spans(text) == expected


def test_a_segment_is_named_by_its_phase_and_measured_at_its_end() -> None:
    (segment,) = segments(terms_of(subscribed("basic 2025-06-01")), JANUARY)
    assert segment.key == ("s", datetime(2025, 6, 1, tzinfo=UTC), "api")
    assert segment.cuts == (segment.end,)


def test_the_example_that_the_module_begins_with() -> None:
    discount = "discounts: [{id: d, customer: acme, start: 2026-01-20, percent: 10, prices: [api]}]"
    terms = terms_of(f"{subscribed('basic 2025-06-01', 'mixed 2026-01-15T12:00:00Z')}\n{discount}")
    assert [
        (segment.plan.id, segment.price.id, _short(segment.start), [_short(cut) for cut in segment.cuts])
        for segment in segments(terms, JANUARY)
    ] == [
        ("basic", "api", "01-01", ["01-15 12:00"]),
        ("mixed", "api", "01-15 12:00", ["01-20", "02-01"]),
        ("mixed", "gb", "01-15 12:00", ["02-01"]),
    ]


def test_days_are_those_of_the_billing_zone() -> None:
    berlin = calendar("Europe/Berlin", "month", date(2025, 1, 1))
    terms = terms_of(subscribed("basic 2026-03-29", "mixed 2026-03-30"), months=berlin)
    first, *_ = segments(terms, berlin.period("2026-03-01"))
    assert (first.start, first.end) == (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))


@given(
    starts=st.sets(st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 31)), min_size=1, max_size=6),  # noqa: DTZ001
    end=st.none() | st.datetimes(datetime(2026, 4, 1), datetime(2026, 5, 15)),  # noqa: DTZ001
)
def test_phases_leave_no_gap_and_no_overlap(starts: set[datetime], end: datetime | None) -> None:
    """Whatever the phases: each instant of the subscription is in one segment of the price."""
    ordered = [start.replace(tzinfo=UTC) for start in sorted(starts)]
    until = end.replace(tzinfo=UTC).isoformat() if end else "null"
    terms = terms_of(subscribed(*(f"basic {start.isoformat()}" for start in ordered), end=until))
    months = calendar("UTC", "month", date(2026, 1, 1))
    in_force: list[Segment] = [
        segment for period in months.until(datetime(2026, 6, 1, tzinfo=UTC)) for segment in segments(terms, period)
    ]
    assert in_force[0].start == ordered[0]
    for before, after in pairwise(in_force):
        assert before.start < before.end == after.start
    assert in_force[-1].end == (end.replace(tzinfo=UTC) if end else datetime(2026, 7, 1, tzinfo=ZoneInfo("UTC")))
