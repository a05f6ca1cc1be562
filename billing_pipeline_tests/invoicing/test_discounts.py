"""Discounts by table: order, what they apply to, when they hold, how amounts round and documents compete."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from billing_pipeline.invoicing.discounts import discount_lines, discounts_taken
from billing_pipeline_tests.invoicing.discounted import Based, base, discounts, january, taken
from billing_pipeline_tests.terms import JANUARY, UTC_MONTHS

FEE = {"kind": "fee", "price": "platform", "description": "Platform fee"}


@pytest.mark.parametrize(
    ("written", "amount", "expected"),
    [
        ((), "100", []),
        (("percent: 10",), "100", ["-10.00"]),
        (("percent: 100",), "100", ["-100.00"]),
        (("percent: 0",), "100", []),
        (("amount: 25",), "100", ["-25.00"]),
        (("amount: 250",), "100", ["-100.00"]),  # not below zero
        (("percent: 10", "amount: 25"), "100", ["-10.00", "-25.00"]),
        (("amount: 25", "percent: 10"), "100", ["-25.00", "-7.50"]),  # of what the first left
        (("percent: 10", "percent: 10"), "100", ["-10.00", "-9.00"]),
        (("percent: 100", "amount: 25"), "100", ["-100.00"]),
        (("amount: 90", "amount: 25", "percent: 50"), "100", ["-90.00", "-10.00"]),
        (("percent: 10", "amount: 25"), "0", []),
        (("percent: 10", "amount: 25"), "-3", []),
    ],
)
def test_each_takes_from_what_the_last_left(written: tuple[str, ...], amount: str, expected: list[str]) -> None:
    assert [found for _, _, found in taken(discounts(*written), base(amount))] == expected


@pytest.mark.parametrize(
    ("currency", "rounding", "amount", "percent", "expected"),
    [
        ("USD", "half_up", "0.25", "10", ["-0.03"]),
        ("USD", "half_even", "0.25", "10", ["-0.02"]),
        ("USD", "half_even", "0.35", "10", ["-0.04"]),
        ("USD", "half_up", "0.04", "10", []),  # nothing to state
        ("JPY", "half_up", "1005", "10", ["-101"]),
        ("JPY", "half_even", "1005", "10", ["-100"]),
        ("KWD", "half_up", "1.005", "10", ["-0.101"]),
        ("KWD", "half_even", "1.005", "10", ["-0.100"]),
        ("USD", "half_up", "1000000000000.03", "33.333333333333", ["-333333333333.34"]),  # 333333333333.339999…
    ],
)
def test_a_percentage_is_rounded_once(
    currency: str, rounding: str, amount: str, percent: str, expected: list[str]
) -> None:
    terms = discounts(f"percent: {percent}", currency=currency, rounding=rounding)
    assert [found for _, _, found in taken(terms, base(amount, currency=currency))] == expected


def test_lines_are_rounded_together_not_one_by_one() -> None:
    """Ten lines of 0.05: ten per cent of each would be 0.01 ten times."""
    assert taken(discounts("percent: 10"), *[base("0.05", dimensions={"n": str(n)}) for n in range(10)]) == [
        ("closing", "d1", "-0.05")
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"end": datetime(2026, 1, 23, 18, tzinfo=UTC)},
        {"end": datetime(2026, 1, 23, 18, tzinfo=UTC), "prices": ("api", "gb")},
        {"periods": 1, "prices": ()},
    ],
)
def test_lines_are_rounded_together_though_the_discount_was_changed_between_them(changed: Mapping[str, Any]) -> None:
    """2.26 was due before and 27.57 since: of the 29.83 a tenth is 2.98, not 0.23 + 2.76."""
    terms = discounts("percent: 10, prices: [api]")
    then, now = terms.discounts, [replace(terms.discounts[0], **changed)]
    before, later = (base(amount) for amount in ("2.26", "27.57"))
    offered = {id(before[1]): then, id(later[1]): now}
    found = discount_lines(terms, UTC_MONTHS, JANUARY, [before, later], lambda _, line: offered[id(line)])
    assert [str(line.amount) for _, line in found] == ["-2.98"]


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ("", "-13.50"),
        (", prices: [api]", "-10.00"),
        (", prices: [gb]", "-3.00"),
        (", prices: [api, gb]", "-13.00"),
    ],
)
def test_named_prices(prices: str, expected: str) -> None:
    """A plan's true-up is of no price: only discounts on everything lower it."""
    bases = [base("100"), base("30", price="gb"), base("5", kind="true_up", price=None)]
    assert taken(discounts(f"percent: 10{prices}"), *bases) == [("closing", "d1", expected)]


@pytest.mark.parametrize(
    ("written", "bases", "expected"),
    [
        (  # one allowance, used by documents in their order
            ("amount: 25",),
            [base("10", "opening"), base("10"), base("30", "delayed")],
            [("opening", "d1", "-10.00"), ("closing", "d1", "-10.00"), ("delayed", "d1", "-5.00")],
        ),
        (
            ("amount: 25",),
            [base("30"), base("30", "delayed")],
            [("closing", "d1", "-25.00")],
        ),
        (  # the second sees what the first left of each document
            ("amount: 25", "percent: 50"),
            [base("10"), base("30", "delayed")],
            [("closing", "d1", "-10.00"), ("delayed", "d1", "-15.00"), ("delayed", "d2", "-7.50")],
        ),
        (
            ("amount: 25", "amount: 25"),
            [base("30"), base("40", "delayed")],
            [("closing", "d1", "-25.00"), ("closing", "d2", "-5.00"), ("delayed", "d2", "-20.00")],
        ),
        (  # a document without the named price takes none of it
            ("amount: 25, prices: [gb]",),
            [base("30"), base("40", "delayed", price="gb")],
            [("delayed", "d1", "-25.00")],
        ),
        (  # a percentage is rounded on each document
            ("percent: 50",),
            [base("0.01"), base("0.01", "delayed")],
            [("closing", "d1", "-0.01"), ("delayed", "d1", "-0.01")],
        ),
    ],
)
def test_documents_compete(written: tuple[str, ...], bases: list[Based], expected: list[tuple[str, str, str]]) -> None:
    assert taken(discounts(*written), *bases) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("start: 2026-01-01", ["-10.00", "-10.00"]),
        ("start: 2026-01-15", ["-10.00"]),
        ("start: 2026-01-01, end: 2026-01-15", ["-10.00"]),
        ("start: 2026-01-01, end: 2026-01-01", []),  # ended before it began
        ("start: 2025-12-05, periods: 1", []),
        ("start: 2025-12-05, periods: 2", ["-10.00", "-10.00"]),
        ("start: 2026-01-31T23:59:59Z, periods: 1", []),
        ("start: 2024-12-31, periods: 13", []),  # before the ledger's first period, and used up with the 13th
        ("start: 2024-12-31, periods: 14", ["-10.00", "-10.00"]),
        ("start: 2026-02-01", []),
        ("start: 2025-06-01, end: 2026-01-01", []),
    ],
)
def test_a_percentage_lowers_what_counts_while_it_holds(written: str, expected: list[str]) -> None:
    terms = discounts(f"percent: 10, {written}")
    lines = [base("100"), base("100", start=january(15))]
    assert [found for one in lines for _, _, found in taken(terms, one)] == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("start: 2026-01-01", ["-50.00"]),
        ("start: 2026-01-31T23:59:59Z", ["-50.00"]),  # in full, however short it holds
        ("start: 2026-01-31T23:59:59Z, periods: 1", ["-50.00"]),
        ("start: 2025-06-01, end: 2026-01-01T00:00:00.000001Z", ["-50.00"]),
        ("start: 2025-06-01, end: 2026-01-01", []),
        ("start: 2026-01-10, end: 2026-01-10", []),
        ("start: 2025-12-31, periods: 1", []),
        ("start: 2025-12-31, periods: 2", ["-50.00"]),
        ("start: 2026-02-01", []),
    ],
)
def test_a_fixed_amount_applies_in_full(written: str, expected: list[str]) -> None:
    lines = [base("20"), base("70", start=january(15))]
    assert [found for _, _, found in taken(discounts(f"amount: 50, {written}"), *lines)] == expected


@pytest.mark.parametrize(("period", "holds"), [("2026-01-01", True), ("2026-03-01", True), ("2026-04-01", False)])
def test_each_service_period_has_its_own_allowance(period: str, holds: bool) -> None:  # noqa: FBT001
    """Three periods, the one that holds the start being the first."""
    service = UTC_MONTHS.period(period)
    terms = discounts("amount: 5, start: 2026-01-20, periods: 3")
    found = taken(terms, base("7", start=service.start), period=service)
    assert found == ([("closing", "d1", "-5.00")] if holds else [])


def _capped(*parts: str, credit: str) -> list[Based]:
    """Parts of a price's usage, day by day, and the credit of its maximum, which counts at the end."""
    used = [base(part, start=january(day)) for day, part in enumerate(parts, start=1)]
    return [*used, base(credit, kind="true_up", start=JANUARY.end - timedelta(microseconds=1))]


@pytest.mark.parametrize(
    ("written", "bases", "expected"),
    [
        (("percent: 10",), _capped("100", "50", credit="-30"), ["-12.00"]),
        (("amount: 500",), _capped("100", "50", credit="-30"), ["-120.00"]),
        (("percent: 100", "amount: 5"), _capped("100", "50", credit="-30"), ["-120.00"]),
        (("percent: 10, end: 2026-01-02",), _capped("100", "50", credit="-30"), ["-10.00"]),
        (("percent: 10, start: 2026-01-02",), _capped("100", "50", credit="-30"), ["-2.00"]),
        (("percent: 100, end: 2026-01-02",), _capped("100", "50", credit="-80"), ["-70.00"]),  # all that it costs
        (("percent: 100, start: 2026-01-02",), _capped("100", "50", credit="-80"), []),
        # what another price costs does not pay for it
        (("percent: 100, end: 2026-01-02",), [*_capped("100", credit="-80"), base("9", price="gb")], ["-29.00"]),
        (
            ("percent: 100, end: 2026-01-02, prices: [api]", "percent: 50"),
            [*_capped("100", credit="-80"), base("9", price="gb")],
            ["-20.00", "-4.50"],
        ),
    ],
)
def test_a_negative_line_lowers_what_there_is(
    written: tuple[str, ...], bases: list[Based], expected: list[str]
) -> None:
    assert [found for _, _, found in taken(discounts(*written), *bases)] == expected


def test_a_discount_is_spread_over_its_lines() -> None:
    """In proportion to what was left, the cents left over to the largest remainders."""
    bases = [base("1"), base("1", dimensions={"n": "2"}), base("1", dimensions={"n": "3"}), base("0", price="gb")]
    first, second = discounts_taken(discounts("amount: 1", "percent: 50"), UTC_MONTHS, JANUARY, bases)
    assert [share for _, share in first.shares] == [34, 33, 33, 0]
    assert [share for _, share in second.shares] == [33, 34, 33, 0]  # of 66, 67 and 67
    assert [line for line, _ in second.shares] == [line for _, line in bases]


def test_a_line_says_what_its_lines_have_in_common() -> None:
    terms = discounts("percent: 12.50, start: 2025-12-20, prices: [api]", "amount: 3, start: 2026-01-09")
    first = base("100", service_start=date(2026, 1, 5), service_end=date(2026, 1, 9), start=january(5))
    fee = base("100", **FEE, subscription="t", service_start=date(2026, 1, 10), start=january(10))
    (_, percentage), (_, fixed) = discount_lines(terms, UTC_MONTHS, JANUARY, [first, fee])
    assert (
        percentage
        == base(
            "-12.50",
            kind="discount",
            description="Discount d1 (12.5%)",
            service_start=date(2026, 1, 5),
            service_end=date(2026, 1, 9),
            phase_start=None,
        )[1]
    )
    assert (
        fixed
        == base(
            "-3",
            kind="discount",
            subscription=None,
            price=None,
            description="Discount d2 (3.00 USD)",
            service_start=date(2026, 1, 5),
            phase_start=None,
            start=january(9),
        )[1]
    )


def test_fees_count_where_their_service_part_starts() -> None:
    """The fee of February stands on January's closing document, and takes February's percentage."""
    february = UTC_MONTHS.period("2026-02-01")
    fee = base("100", **FEE, start=datetime(2026, 2, 1, tzinfo=UTC))
    assert taken(discounts("percent: 10, start: 2026-02-01"), fee, period=february) == [("closing", "d1", "-10.00")]
    assert taken(discounts("percent: 10, start: 2026-01-01, periods: 1"), fee, period=february) == []
