"""Fees by local days: months of every length, days of 23 and 25 hours, changes, ends, seats, cadences and rounding."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from billing_pipeline.catalog import Plan
from billing_pipeline.catalog.plan import Fee, FeeCadence
from billing_pipeline.core.period import BillingCalendar, calendar
from billing_pipeline.rating.fees.fees import FeeKey, fee_key, fees_of
from billing_pipeline_tests.rating.fees.fee_case import due, fee_terms, written
from billing_pipeline_tests.terms import UTC_MONTHS

BERLIN = calendar("Europe/Berlin", "month", date(2026, 1, 1))
TOKYO = calendar("Asia/Tokyo", "month", date(2026, 1, 1))
NEW_YORK = calendar("America/New_York", "month", date(2026, 1, 1))
SAO_PAULO = calendar("America/Sao_Paulo", "month", date(2018, 1, 1))  # its clocks jumped over midnight then

MONTHLY = "{id: f, amount: 100}"
ARREARS = "{id: f, amount: 100, timing: in_arrears}"
TO_TWO = "phases: [{{plan: one}}, {{plan: two, start: {}}}]"


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2026-01-01", "2026-01-01 f 2026-01-01..2026-02-01 x1 100.00"),
        ("2026-01-31", "2026-01-31 f 2026-01-31..2026-02-01 x1 3.23"),  # 1 of 31
        ("2026-01-10", "2026-01-10 f 2026-01-10..2026-02-01 x1 70.97"),  # 22 of 31
        ("2026-04-10", "2026-04-10 f 2026-04-10..2026-05-01 x1 70.00"),  # 21 of 30
        ("2026-02-10", "2026-02-10 f 2026-02-10..2026-03-01 x1 67.86"),  # 19 of 28
        ("2028-02-10", "2028-02-10 f 2028-02-10..2028-03-01 x1 68.97"),  # 20 of 29
        ("2026-01-10T23:59:59Z", "2026-01-10 f 2026-01-10..2026-02-01 x1 70.97"),  # the whole day
    ],
)
def test_the_first_month_costs_its_days(start: str, expected: str) -> None:
    all_due = due(fee_terms(MONTHLY, f"start: {start}"))
    assert written(all_due)[0] == expected
    assert [fees.starts for fees in all_due[:2]] == [True, False]


def test_the_examples_that_the_modules_begin_with() -> None:
    fees = "{id: seat, amount: 31}, {id: support, amount: 15.50, timing: in_arrears}, {id: f, amount: 50, every: once}"
    seats = "quantities: {seat: 2}, quantity_changes: [{start: 2026-01-20, quantities: {seat: 3}}]"
    terms = fee_terms(fees, f"start: 2026-01-10, {seats}")
    assert written(due(terms, days=("2026-01-01", "2026-03-01"))) == [
        "2026-01-10 f 2026-01-10..2026-01-11 x1 50.00",
        "2026-01-10 seat 2026-01-10..2026-01-20 x2 20.00",
        "2026-01-10 seat 2026-01-20..2026-02-01 x3 36.00",
        "2026-02-01 seat 2026-02-01..2026-03-01 x3 93.00",
        "2026-02-01 support 2026-01-10..2026-02-01 x1 11.00",
        "2026-03-01 seat 2026-03-01..2026-04-01 x3 93.00",
        "2026-03-01 support 2026-02-01..2026-03-01 x1 15.50",
    ]
    ended = fee_terms(fees, f"start: 2026-01-10, end: 2026-02-15, {seats}")
    (february,) = (fees.key for fees in due(terms, days=("2026-02-01", "2026-02-01")) if fees.in_advance)
    assert [str(line.amount) for line in fees_of(ended, UTC_MONTHS, february)] == ["46.50"]
    assert written(due(ended, days=("2026-02-02", "2026-03-01"))) == [
        "2026-02-15 support 2026-02-01..2026-02-15 x1 7.75"
    ]
    changed = f"start: 2026-01-01, {TO_TWO.format('2026-01-16T15:00:00Z')}, {seats}"
    parts = written(due(fee_terms("{id: seat, amount: 31}", changed, others="{id: seat, amount: 62}"))[:1])
    assert parts == [
        "2026-01-01 seat 2026-01-01..2026-01-16 x2 30.00",
        "2026-01-01 seat 2026-01-16..2026-01-20 x2 16.00",
        "2026-01-01 seat 2026-01-20..2026-02-01 x3 72.00",
    ]


@pytest.mark.parametrize(
    ("place", "start", "expected", "instant"),
    [
        # 29 March 2026 has 23 hours in Berlin, 25 October has 25.
        (BERLIN, "2026-03-29", "2026-03-29 f 2026-03-29..2026-04-01 x1 9.68", "2026-03-28T23:00"),
        (BERLIN, "2026-03-30", "2026-03-30 f 2026-03-30..2026-04-01 x1 6.45", "2026-03-29T22:00"),
        (BERLIN, "2026-10-25", "2026-10-25 f 2026-10-25..2026-11-01 x1 22.58", "2026-10-24T22:00"),
        # 4 November 2018 began at 01:00 in São Paulo.
        (SAO_PAULO, "2018-11-04", "2018-11-04 f 2018-11-04..2018-12-01 x1 90.00", "2018-11-04T03:00"),
        # A day is the local one.
        (TOKYO, "2026-01-31T15:00:00Z", "2026-02-01 f 2026-02-01..2026-03-01 x1 100.00", "2026-01-31T15:00"),
        (TOKYO, "2026-01-31T14:59:59Z", "2026-01-31 f 2026-01-31..2026-02-01 x1 3.23", "2026-01-31T14:59:59"),
        (NEW_YORK, "2026-02-01T04:59:59Z", "2026-01-31 f 2026-01-31..2026-02-01 x1 3.23", "2026-02-01T04:59:59"),
        (NEW_YORK, "2026-02-01T05:00:00Z", "2026-02-01 f 2026-02-01..2026-03-01 x1 100.00", "2026-02-01T05:00"),
    ],
)
def test_days_are_local_ones_of_whatever_length(
    place: BillingCalendar, start: str, expected: str, instant: str
) -> None:
    all_due = due(fee_terms(MONTHLY, f"start: {start}", calendar=place), place, ("2018-01-01", "2026-12-31"))
    assert written(all_due)[0] == expected
    assert all_due[0].lines[0].start == datetime.fromisoformat(instant).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("2026-01-16", ["f 2026-01-01..2026-01-16 x1 48.39", "f 2026-01-16..2026-02-01 x1 103.23"]),
        ("2026-01-16T15:00:00Z", ["f 2026-01-01..2026-01-16 x1 48.39", "f 2026-01-16..2026-02-01 x1 103.23"]),
        ("2026-01-01T00:00:01Z", ["f 2026-01-01..2026-02-01 x1 200.00"]),
        ("2026-01-31T23:59:59Z", ["f 2026-01-01..2026-01-31 x1 96.77", "f 2026-01-31..2026-02-01 x1 6.45"]),
        ("2026-02-01", ["f 2026-01-01..2026-02-01 x1 100.00"]),
    ],
)
def test_the_day_of_a_plan_change_belongs_to_the_new_plan(change: str, expected: list[str]) -> None:
    all_due = due(fee_terms(MONTHLY, f"start: 2026-01-01, {TO_TWO.format(change)}"), days=("2026-01-01", "2026-01-31"))
    assert written(all_due) == [f"2026-01-01 {line}" for line in expected]


def test_a_change_inside_a_day_counts_from_its_instant() -> None:
    (january,) = due(
        fee_terms(MONTHLY, f"start: 2026-01-01T06:00:00Z, {TO_TWO.format('2026-01-16T15:00:00Z')}"),
        days=("2026-01-01", "2026-01-31"),
    )
    assert [(line.phase_start, line.start) for line in january.lines] == [
        (datetime(2026, 1, 1, 6, tzinfo=UTC), datetime(2026, 1, 1, 6, tzinfo=UTC)),
        (datetime(2026, 1, 16, 15, tzinfo=UTC), datetime(2026, 1, 16, 15, tzinfo=UTC)),
    ]
    february = due(
        fee_terms(MONTHLY, f"start: 2026-01-01, {TO_TWO.format('2026-01-16T15:00:00Z')}"),
        days=("2026-02-01", "2026-02-01"),
    )
    (line,) = february[0].lines
    assert line.start == datetime(2026, 2, 1, tzinfo=UTC)  # a phase that runs on counts from the day


def test_of_several_changes_on_one_day_the_last_one_counts() -> None:
    phases = "phases: [{plan: one}, {plan: two, start: 2026-01-16T08:00:00Z}, {plan: one, start: 2026-01-16T09:00:00Z}]"
    all_due = due(fee_terms(MONTHLY, f"start: 2026-01-01, {phases}"), days=("2026-01-01", "2026-01-31"))
    assert written(all_due) == [
        "2026-01-01 f 2026-01-01..2026-01-16 x1 48.39",
        "2026-01-01 f 2026-01-16..2026-02-01 x1 51.61",
    ]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("2026-01-16", ["2026-01-01 f 2026-01-01..2026-01-16 x1 48.39"]),  # its first instant: not charged
        ("2026-01-16T00:00:00.000001Z", ["2026-01-01 f 2026-01-01..2026-01-17 x1 51.61"]),
        ("2026-01-15T23:59:59Z", ["2026-01-01 f 2026-01-01..2026-01-16 x1 48.39"]),
        ("2026-01-01T01:00:00Z", ["2026-01-01 f 2026-01-01..2026-01-02 x1 3.23"]),
        ("2026-01-01", []),  # never in force
        ("2026-02-01", ["2026-01-01 f 2026-01-01..2026-02-01 x1 100.00"]),
        (
            "2026-02-01T00:00:01Z",
            ["2026-01-01 f 2026-01-01..2026-02-01 x1 100.00", "2026-02-01 f 2026-02-01..2026-02-02 x1 3.57"],
        ),
        ("9999-12-31T23:59:59Z", None),
    ],
)
def test_the_day_of_an_end_is_charged_unless_the_end_is_its_first_instant(end: str, expected: list[str] | None) -> None:
    texts = written(due(fee_terms(MONTHLY, f"start: 2026-01-01, end: '{end}'")))
    assert texts == (written(due(fee_terms(MONTHLY, "start: 2026-01-01"))) if expected is None else expected)


@pytest.mark.parametrize(
    ("fees", "subscription", "first_three"),
    [
        (
            MONTHLY,
            "start: 2026-01-31, billing_time: anniversary",
            ["2026-01-31 f 2026-01-31..2026-02-28", "2026-02-28 f 2026-02-28..2026-03-31", "2026-03-31 f 2026-03-31"],
        ),
        (
            MONTHLY,
            "start: 2028-01-31, billing_time: anniversary",
            ["2028-01-31 f 2028-01-31..2028-02-29", "2028-02-29 f 2028-02-29..2028-03-31", "2028-03-31 f 2028-03-31"],
        ),
        (
            MONTHLY,
            "start: 2026-01-15T18:00:00Z, billing_time: anniversary",
            ["2026-01-15 f 2026-01-15..2026-02-15", "2026-02-15 f 2026-02-15..2026-03-15", "2026-03-15 f 2026-03-15"],
        ),
        (
            "{id: f, amount: 100, every: quarter}",
            "start: 2025-11-30, billing_time: anniversary",
            ["2025-11-30 f 2025-11-30..2026-02-28", "2026-02-28 f 2026-02-28..2026-05-30", "2026-05-30 f 2026-05-30"],
        ),
        (
            "{id: f, amount: 100, every: year}",
            "start: 2024-02-29, billing_time: anniversary",
            ["2024-02-29 f 2024-02-29..2025-02-28", "2025-02-28 f 2025-02-28..2026-02-28", "2026-02-28 f 2026-02-28"],
        ),
        (
            "{id: f, amount: 100, every: week}",
            "start: 2026-01-07, billing_time: anniversary",
            ["2026-01-07 f 2026-01-07..2026-01-14", "2026-01-14 f 2026-01-14..2026-01-21", "2026-01-21 f 2026-01-21"],
        ),
    ],
)
def test_anniversaries_count_from_the_first_day_and_never_drift(
    fees: str, subscription: str, first_three: list[str]
) -> None:
    texts = written(due(fee_terms(fees, subscription)))
    assert [line[: len(start)] for line, start in zip(texts, first_three, strict=False)] == first_three
    assert {line.rsplit(" ", 1)[1] for line in texts} == {"100.00"}  # each is whole


def test_a_leap_day_comes_back() -> None:
    all_due = due(fee_terms("{id: f, amount: 1, every: year}", "start: 2024-02-29, billing_time: anniversary"))
    assert [str(fees.due) for fees in all_due] == [
        "2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29", "2029-02-28",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fee", "start", "expected"),
    [
        ("amount: 5, every: day", "2026-01-07", ["2026-01-07 f 2026-01-07..2026-01-08 x1 5.00", "2026-01-08 f"]),
        (
            "amount: 70, every: week",  # from Mondays
            "2026-01-07",
            ["2026-01-07 f 2026-01-07..2026-01-12 x1 50.00", "2026-01-12 f 2026-01-12..2026-01-19 x1 70.00"],
        ),
        (
            "amount: 90, every: quarter",
            "2026-02-01",
            ["2026-02-01 f 2026-02-01..2026-04-01 x1 59.00", "2026-04-01 f 2026-04-01..2026-07-01 x1 90.00"],
        ),
        (
            "amount: 365, every: year",
            "2026-12-30",
            ["2026-12-30 f 2026-12-30..2027-01-01 x1 2.00", "2027-01-01 f 2027-01-01..2028-01-01 x1 365.00"],
        ),
        (
            "amount: 366, every: year",
            "2028-12-31",
            ["2028-12-31 f 2028-12-31..2029-01-01 x1 1.00", "2029-01-01 f 2029-01-01..2030-01-01 x1 366.00"],
        ),
    ],
)
def test_other_cadences_are_aligned_to_the_calendar(fee: str, start: str, expected: list[str]) -> None:
    texts = written(due(fee_terms(f"{{id: f, {fee}}}", f"start: {start}")))
    assert [line[: len(said)] for line, said in zip(texts, expected, strict=False)] == expected


@pytest.mark.parametrize(
    ("cadence", "first", "every", "expected"),
    [
        ("week", "2026-01-07", "week", "2026-01-07 f 2026-01-08..2026-01-14"),  # a ledger of weeks from Wednesdays
        ("week", "2026-01-07", "month", "2026-01-08 f 2026-01-08..2026-02-01"),
        ("quarter", "2026-02-01", "quarter", "2026-01-08 f 2026-01-08..2026-02-01"),  # … of quarters from February
        ("quarter", "2025-11-01", "quarter", "2026-01-08 f 2026-01-08..2026-02-01"),
        ("year", "2025-07-01", "year", "2026-01-08 f 2026-01-08..2026-07-01"),
        ("year", "2025-07-01", "quarter", "2026-01-08 f 2026-01-08..2026-04-01"),
        ("day", "2026-01-03", "week", "2026-01-08 f 2026-01-08..2026-01-12"),
    ],
)
def test_a_fee_as_long_as_billing_periods_is_aligned_to_them(
    cadence: str, first: str, every: str, expected: str
) -> None:
    place = calendar("UTC", cadence, date.fromisoformat(first))
    all_due = due(fee_terms(f"{{id: f, amount: 1000, every: {every}}}", "start: 2026-01-08", calendar=place), place)
    line = all_due[0].lines[0]
    assert f"{line.price} {line.service_start}..{line.service_end}" == expected.partition(" ")[2]
    if every == cadence:
        period = place.period_of(place.midnight(all_due[1].due))
        assert period is None or period.first_day == all_due[1].due


def test_a_ledger_that_takes_over_asks_only_for_what_starts_in_its_own_time() -> None:
    """Paid elsewhere: what started before; in arrears nothing was, so it is due for the whole service period."""
    fees = f"{MONTHLY}, {{id: late, amount: 100, timing: in_arrears}}, {{id: yearly, amount: 365, every: year}}"
    terms = fee_terms(fees, "start: 2024-05-20, billing_time: anniversary", calendar=BERLIN)
    assert written(due(terms, BERLIN, ("2026-01-01", "2026-01-31"))) == [
        "2026-01-20 f 2026-01-20..2026-02-20 x1 100.00",
        "2026-01-20 late 2025-12-20..2026-01-20 x1 100.00",
    ]


BACK = "start: 2026-01-10, phases: [{{plan: one}}, {{plan: two, start: {}}}, {{plan: one, start: {}}}]"
ONCE = "{id: f, amount: 30, every: once}"


@pytest.mark.parametrize(
    ("others", "subscription", "expected"),
    [
        ("", "start: 2026-01-10", ["2026-01-10 f 2026-01-10..2026-01-11 x1 30.00"]),
        ("", "start: 2026-01-10, end: 2026-01-20", ["2026-01-10 f 2026-01-10..2026-01-11 x1 30.00"]),
        ("", "start: 2026-01-10, quantities: {f: 4}", ["2026-01-10 f 2026-01-10..2026-01-11 x4 120.00"]),
        (
            "",  # back on the plan: not again
            BACK.format("2026-02-05", "2026-03-05"),
            ["2026-01-10 f 2026-01-10..2026-01-11 x1 30.00"],
        ),
        (
            "{id: g, amount: 8, every: once}",  # another plan has its own
            "start: 2026-01-10, phases: [{plan: one}, {plan: two, start: 2026-02-05T11:00:00Z}]",
            ["2026-01-10 f 2026-01-10..2026-01-11 x1 30.00", "2026-02-05 g 2026-02-05..2026-02-06 x1 8.00"],
        ),
        (
            "{id: g, amount: 8, every: once, timing: in_arrears}",
            "start: 2026-01-10, phases: [{plan: one}, {plan: two, start: 2026-01-31}]",
            ["2026-01-10 f 2026-01-10..2026-01-11 x1 30.00", "2026-02-01 g 2026-01-31..2026-02-01 x1 8.00"],
        ),
        (
            "{id: g, amount: 8, every: once}",  # replaced on the day on which it starts: not for this one day
            BACK.format("2026-01-10T11:00Z", "2026-03-05"),
            ["2026-01-10 g 2026-01-10..2026-01-11 x1 8.00", "2026-03-05 f 2026-03-05..2026-03-06 x1 30.00"],
        ),
    ],
)
def test_a_one_off_fee_is_due_when_its_plan_first_starts(others: str, subscription: str, expected: list[str]) -> None:
    assert written(due(fee_terms(ONCE, subscription, others=others))) == expected


def seats(base: str, *changes: str) -> str:
    """Quantities of fee f: ``base`` first, then each change ``start quantity``."""
    listed = ", ".join(
        "{{start: '{}', quantities: {{{}: {}}}}}".format(start, *quantity.split("="))
        for start, quantity in (change.split() for change in changes)
    )
    return f"start: 2026-01-01, quantities: {{f: {base}}}, quantity_changes: [{listed}]"


@pytest.mark.parametrize(
    ("subscription", "expected"),
    [
        (seats("3"), ["f 2026-01-01..2026-02-01 x3 300.00"]),
        (seats("2.5"), ["f 2026-01-01..2026-02-01 x2.5 250.00"]),
        (seats("0"), []),
        (
            seats("3", "2026-01-16T12:00:00Z f=5"),  # the day of the change has the new quantity
            ["f 2026-01-01..2026-01-16 x3 145.16", "f 2026-01-16..2026-02-01 x5 258.06"],
        ),
        (
            seats("3", "2026-01-16 f=0", "2026-01-21 f=1"),
            ["f 2026-01-01..2026-01-16 x3 145.16", "f 2026-01-21..2026-02-01 x1 35.48"],
        ),
        (seats("3", "2026-01-16 f=3"), ["f 2026-01-01..2026-02-01 x3 300.00"]),
        (seats("3", "2026-01-16 g=9"), ["f 2026-01-01..2026-02-01 x3 300.00"]),  # another fee's
        (
            seats("3", "2026-01-16T08:00:00Z f=9", "2026-01-16T18:00:00Z f=4"),
            ["f 2026-01-01..2026-01-16 x3 145.16", "f 2026-01-16..2026-02-01 x4 206.45"],
        ),
        (seats("3", "2026-01-16T08:00:00Z f=9", "2026-01-16T18:00:00Z f=3"), ["f 2026-01-01..2026-02-01 x3 300.00"]),
        (seats("3", "2026-01-01T08:00:00Z f=2"), ["f 2026-01-01..2026-02-01 x2 200.00"]),
        (seats("3", "2026-02-01 f=2"), ["f 2026-01-01..2026-02-01 x3 300.00"]),
    ],
)
def test_each_quantity_costs_its_days(subscription: str, expected: list[str]) -> None:
    fees = f"{MONTHLY}, {{id: g, amount: 0}}"
    all_due = due(fee_terms(fees, subscription), days=("2026-01-01", "2026-01-31"))
    assert written(all_due) == [f"2026-01-01 {line}" for line in expected]
    assert len(all_due) == 1  # also where nothing is left of it: the service period was asked for


def test_a_quantity_lasts_through_plan_changes_and_periods() -> None:
    changed = seats("3", "2026-01-11 f=5")
    all_due = due(fee_terms(MONTHLY, f"{changed}, {TO_TWO.format('2026-01-21')}"), days=("2026-01-01", "2026-02-01"))
    assert written(all_due) == [
        "2026-01-01 f 2026-01-01..2026-01-11 x3 96.77",
        "2026-01-01 f 2026-01-11..2026-01-21 x5 161.29",
        "2026-01-01 f 2026-01-21..2026-02-01 x5 354.84",
        "2026-02-01 f 2026-02-01..2026-03-01 x5 1000.00",
    ]


@pytest.mark.parametrize(
    ("subscription", "expected"),
    [
        ("start: 2026-01-31", ["2026-01-31 f 2026-01-31..2026-02-01 x1 100.00"]),
        ("start: 2026-01-01, end: 2026-01-02", ["2026-01-01 f 2026-01-01..2026-01-02 x1 100.00"]),
        ("start: 2026-01-01, end: 2026-01-01", []),
        (
            f"start: 2026-01-01, {TO_TWO.format('2026-01-31')}",  # each phase in force
            ["2026-01-01 f 2026-01-01..2026-01-31 x1 100.00", "2026-01-01 f 2026-01-31..2026-02-01 x1 6.45"],
        ),
        (seats("3", "2026-01-16 f=5"), ["2026-01-01 f 2026-01-01..2026-02-01 x3 300.00"]),  # as it began
    ],
)
def test_a_fee_that_is_not_prorated_costs_all_of_it(subscription: str, expected: list[str]) -> None:
    all_due = due(fee_terms("{id: f, amount: 100, prorate: false}", subscription), days=("2026-01-01", "2026-01-31"))
    assert written(all_due) == expected


@pytest.mark.parametrize(
    ("currency", "amount", "rounding", "rounded"),
    [
        ("USD", "0.05", "half_up", "0.03"),  # half of April, 0.025
        ("USD", "0.05", "half_even", "0.02"),
        ("USD", "0.07", "half_even", "0.04"),  # 0.035
        ("USD", "0.049999999998", "half_up", "0.02"),  # amounts may be finer than the currency
        ("JPY", "101", "half_up", "51"),
        ("JPY", "101", "half_even", "50"),
        ("JPY", "100.9", "half_up", "50"),
        ("KWD", "1.001", "half_up", "0.501"),
        ("KWD", "1.001", "half_even", "0.500"),
    ],
)
def test_a_line_is_rounded_once_to_its_currency(currency: str, amount: str, rounding: str, rounded: str) -> None:
    terms = fee_terms(f"{{id: f, amount: '{amount}'}}", "start: 2026-04-16", currency=currency, rounding=rounding)
    (line,) = due(terms, days=("2026-04-01", "2026-04-30"))[0].lines
    assert (str(line.amount), line.amount.currency) == (rounded, currency)


def test_quantities_are_multiplied_before_rounding() -> None:
    (line,) = due(fee_terms("{id: f, amount: '0.004'}", "start: 2026-04-16, quantities: {f: 1000}"))[0].lines
    assert str(line.amount) == "2.00"


@pytest.mark.parametrize(
    ("subscription", "expected"),
    [
        (
            "start: 2026-01-10, end: 2026-02-15T10:00:00Z",
            ["2026-02-01 f 2026-01-10..2026-02-01 x1 70.97", "2026-02-16 f 2026-02-01..2026-02-16 x1 53.57"],
        ),
        ("start: 2026-01-10, end: 2026-02-01", ["2026-02-01 f 2026-01-10..2026-02-01 x1 70.97"]),
        ("start: 2026-01-10, end: 2026-01-11", ["2026-01-11 f 2026-01-10..2026-01-11 x1 3.23"]),
        ("start: 2026-01-10, end: 2026-01-10", []),
        (
            "start: 2026-01-31, billing_time: anniversary, end: 2026-03-10",
            ["2026-02-28 f 2026-01-31..2026-02-28 x1 100.00", "2026-03-10 f 2026-02-28..2026-03-10 x1 32.26"],
        ),
    ],
)
def test_arrears_fall_due_after_the_service_period_or_the_end(subscription: str, expected: list[str]) -> None:
    all_due = due(fee_terms(ARREARS, subscription))
    assert written(all_due) == expected
    assert not any(due_then.in_advance for due_then in all_due)


def fee(day: str, every: str, timing: str = "in_advance") -> FeeKey:
    return FeeKey("s", date.fromisoformat(day), FeeCadence(every), timing)


def test_fees_due_together_are_one_and_others_are_their_own() -> None:
    fees = (
        f"{MONTHLY}, {{id: g, amount: 1}}, {{id: w, amount: 7, every: week}}, {{id: l, amount: 3, timing: in_arrears}}"
    )
    all_due = due(fee_terms(fees, "start: 2026-06-01"), days=("2026-06-01", "2026-06-08"))
    assert [(due_then.key, [line.price for line in due_then.lines]) for due_then in all_due] == [
        (fee("2026-06-01", "month"), ["f", "g"]),
        (fee("2026-06-01", "week"), ["w"]),
        (fee("2026-06-08", "week"), ["w"]),
    ]


def test_a_line_says_all_that_a_document_needs() -> None:
    terms = fee_terms("{id: f, name: Platform fee, amount: 100}", "start: 2026-01-01, quantities: {f: 2}")
    (line,) = due(terms, days=("2026-02-01", "2026-02-28"))[0].lines
    assert line._asdict() == {
        "kind": "fee",
        "subscription": "s",
        "plan": "one",
        "plan_version": 1,
        "price": "f",
        "product": None,
        "description": "Platform fee",
        "service_start": date(2026, 2, 1),
        "service_end": date(2026, 3, 1),
        "dimensions": {},
        "quantity": Decimal(2),
        "amount": line.amount,
        "phase_start": datetime(2026, 1, 1, tzinfo=UTC),
        "start": datetime(2026, 2, 1, tzinfo=UTC),
        "adjusts": None,
        "adjusts_document": None,
    }


FEBRUARY = fee("2026-02-01", "month")
JANUARY_ARREARS = fee("2026-02-01", "month", "in_arrears")


def test_what_a_service_period_costs_now_follows_the_terms() -> None:
    fees = f"{MONTHLY}, {{id: late, amount: 31, timing: in_arrears}}"
    (february,) = fees_of(fee_terms(fees, "start: 2026-01-01"), UTC_MONTHS, FEBRUARY)
    assert str(february.amount) == "100.00"
    ended = fee_terms(fees, "start: 2026-01-01, end: 2026-02-15")
    (part,) = fees_of(ended, UTC_MONTHS, FEBRUARY)
    assert (part.service_end, str(part.amount)) == (date(2026, 2, 15), "50.00")
    gone = fee_terms(fees, "start: 2026-01-01, end: 2026-01-21")
    assert fees_of(gone, UTC_MONTHS, FEBRUARY) == ()
    (late,) = fees_of(gone, UTC_MONTHS, JANUARY_ARREARS)  # by its old name, though it falls due earlier now
    assert str(late.amount) == "20.00"
    with pytest.raises(KeyError, match="other"):
        fees_of(gone, UTC_MONTHS, FEBRUARY._replace(subscription="other"))


def test_a_line_names_its_service_period_also_when_nothing_of_it_is_due_any_more() -> None:
    (february,) = fees_of(fee_terms(MONTHLY, "start: 2026-01-01"), UTC_MONTHS, FEBRUARY)
    gone = fee_terms(MONTHLY, "start: 2026-01-01, end: 2026-01-21")
    assert fee_key(gone, UTC_MONTHS, february) == FEBRUARY
    replaced = fee_terms(MONTHLY, "start: 2026-01-01, plan: two")
    with pytest.raises(KeyError):
        fee_key(replaced, UTC_MONTHS, february)
    plan = Plan("one", "USD", fees=(Fee("f", Decimal(100)),))
    assert fee_key(replaced, UTC_MONTHS, february, plan) == FEBRUARY


@pytest.mark.parametrize("every", ["week", "month", "quarter", "year", "once"])
def test_a_service_period_keeps_its_name_where_the_start_moves_in_it(every: str) -> None:
    fees = f"{{id: f, amount: 100, every: {every}}}"
    begun, moved = (fee_terms(fees, f"start: {start}") for start in ("2026-01-22", "2026-01-20"))
    (was,) = (due_then for due_then in due(begun, days=("2026-01-22", "2026-01-22")))
    (now,) = (due_then for due_then in due(moved, days=("2026-01-20", "2026-01-20")))
    assert now.key == was.key
    assert fees_of(moved, UTC_MONTHS, was.key) == now.lines
    assert {fee_key(moved, UTC_MONTHS, line) for line in now.lines} == {was.key}


def test_a_plan_without_fees_costs_nothing() -> None:
    assert due(fee_terms("", "start: 2026-01-01")) == []
