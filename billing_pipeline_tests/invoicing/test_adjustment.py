"""Adjustments: by subject, what a final document would say now less what was billed for it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from billing_pipeline.core.money import from_major
from billing_pipeline.invoicing.adjustment import FinalDocument, adjustments, billed_lines, correction_of
from billing_pipeline.invoicing.document import DocumentIdentity, DocumentKind, DocumentPlan
from billing_pipeline.rating.line import LineKind, RatedLine
from billing_pipeline_tests.invoicing.discounted import base
from billing_pipeline_tests.terms import JANUARY

PLAN = DocumentPlan(
    DocumentIdentity("acme", DocumentKind.CLOSING, date(2026, 1, 1), date(2026, 2, 1)),
    "USD",
    datetime(2026, 2, 4, tzinfo=UTC),
    frozenset(),
)


def january(calls: int, *, tax: bool = False) -> tuple[RatedLine, ...]:
    """What January's document says of so many calls: 0.10 each, discount d1 of 10%, and VAT of 20%."""
    usage = base(str(calls * Decimal("0.10")), quantity=Decimal(calls))[1]
    discount = base(
        str(calls * Decimal("-0.01")), kind=LineKind.DISCOUNT, price=None, description="Discount d1 (10%)"
    )[1]  # fmt: skip
    vat = base(str(calls * Decimal("0.018")), kind=LineKind.TAX, price=None, description="VAT 20%")[1]
    return (usage, discount, vat) if tax else (usage, discount)


def said(lines: Sequence[RatedLine]) -> list[tuple[str, str, Decimal | None]]:
    return [(line.description, str(line.amount), line.quantity) for line in lines]


def test_the_example_that_the_module_begins_with() -> None:
    final = FinalDocument(PLAN, january(1000, tax=True), (), batch=1, change=1, terms="", late=True)
    assert said(final.lines) == [
        ("api", "100.00", 1000),
        ("Discount d1 (10%)", "-10.00", None),
        ("VAT 20%", "18.00", None),
    ]
    first = adjustments(january(1050), final, JANUARY)
    assert said(first) == [
        ("Adjustment of 2026-01-01: api", "5.00", 50),
        ("Adjustment of 2026-01-01: Discount d1 (10%)", "-0.50", None),
    ]
    assert {(line.kind, line.adjusts_document) for line in first} == {(LineKind.ADJUSTMENT, PLAN.identity.id)}
    assert [line.adjusts for line in first] == [LineKind.USAGE, LineKind.DISCOUNT]
    adjusted = replace(final, corrections=tuple(first))
    assert said(billed_lines(adjusted, JANUARY)) == [("api", "105.00", 1050), ("Discount d1 (10%)", "-10.50", None)]
    assert adjustments(january(1050), adjusted, JANUARY) == []
    assert said(adjustments(january(1030), adjusted, JANUARY)) == [
        ("Adjustment of 2026-01-01: api", "-2.00", -20),
        ("Adjustment of 2026-01-01: Discount d1 (10%)", "0.20", None),
    ]


def test_what_only_one_side_knows_stands_with_its_whole_amount() -> None:
    final = FinalDocument(PLAN, january(1000), (), batch=1, change=1, terms="", late=True)
    other = base("3.00", price="gb", description="gb")[1]
    assert said(adjustments([*january(1000), other], final, JANUARY)) == [
        ("Adjustment of 2026-01-01: gb", "3.00", None)
    ]
    assert said(adjustments(january(1000)[:1], final, JANUARY)) == [
        ("Adjustment of 2026-01-01: Discount d1 (10%)", "10.00", None)
    ]


def test_a_fee_in_one_part_or_in_two_is_the_same_fee() -> None:
    days = (date(2026, 2, 1), date(2026, 2, 15), date(2026, 3, 1))
    whole = base("28.00", kind=LineKind.FEE, price="seat", service_start=days[0], service_end=days[2])[1]
    parts = [
        whole._replace(amount=from_major(Decimal(amount), "USD"), service_start=start, service_end=end)
        for amount, start, end in (("14.00", *days[:2]), ("13.00", *days[1:]))
    ]
    final = FinalDocument(PLAN, (whole,), (), batch=1, change=1, terms="", late=False)
    (line,) = adjustments(parts, final, JANUARY)
    assert (line.description, str(line.amount)) == ("Adjustment of 2026-02-01: api", "-1.00")
    assert (line.service_start, line.service_end) == (days[0], days[2])


WEEK = timedelta(days=7)
FIRST = date(2026, 1, 5)


def visit(amount: str, start: date, days: int = 7, quantity: int = 1) -> RatedLine:
    """A fee of days of one week."""
    return base(
        amount, kind=LineKind.FEE, price="visit", description="visit", quantity=Decimal(quantity),
        service_start=start, service_end=start + timedelta(days=days),
    )[1]  # fmt: skip


def monday(line: RatedLine) -> date | None:
    return line.service_start - timedelta(days=line.service_start.weekday()) if line.service_start else None


def test_each_service_period_of_a_fee_is_adjusted_on_its_own_and_its_parts_together() -> None:
    """Of three weeks the second is dearer from its third day on, and the third altogether."""
    weeks = [FIRST, FIRST + WEEK, FIRST + 2 * WEEK]
    final = FinalDocument(PLAN, tuple(visit("7.00", week) for week in weeks), (), 1, 1, "", late=False)
    parts = [visit("2.00", weeks[1], 2), visit("10.00", weeks[1] + timedelta(days=2), 5, quantity=2)]
    now = [visit("7.00", weeks[0]), *parts, visit("14.00", weeks[2], quantity=2)]
    found = adjustments(now, final, JANUARY, monday)
    assert said(found) == [
        ("Adjustment of 2026-01-12: visit", "5.00", Decimal(2)),
        ("Adjustment of 2026-01-19: visit", "7.00", Decimal(1)),
    ]
    assert [(line.service_start, line.service_end) for line in found] == [(week, week + WEEK) for week in weeks[1:]]
    adjusted = replace(final, corrections=tuple(found))
    assert adjustments(now, adjusted, JANUARY, monday) == []
    assert said(adjustments(final.lines, adjusted, JANUARY, monday)) == [
        ("Adjustment of 2026-01-12: visit", "-5.00", Decimal(-2)),
        ("Adjustment of 2026-01-19: visit", "-7.00", Decimal(-1)),
    ]


def usage(amount: str = "10.00", **given: Any) -> RatedLine:
    return base(amount, **given)[1]


def adjusting(amount: str, what: str = "api", **given: Any) -> RatedLine:
    """An adjustment of January that another document bills."""
    given = {"adjusts": LineKind.USAGE, **given}
    return base(amount, kind=LineKind.ADJUSTMENT, description=f"Adjustment of 2026-01-01: {what}", **given)[1]


OTHER_PHASE = datetime(2026, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "own", "corrections", "expected"),
    [
        pytest.param([], [], [], [], id="nothing was billed and nothing is due"),
        pytest.param([], [usage()], [], ["-10.00"], id="what is due no more is given back"),
        pytest.param([], [], [adjusting("3.00")], ["-3.00"], id="issued again, what others billed for it is undone"),
        pytest.param([usage()], [usage("8.00")], [adjusting("2.00")], [], id="billed with its corrections"),
        pytest.param([usage()], [usage()], [adjusting("2.00"), adjusting("-2.00")], [], id="there and back"),
        pytest.param([usage()], [usage()], [adjusting("-4.00")], ["4.00"], id="a credit note that corrects"),
        pytest.param([usage()], [usage()], [adjusting("1.00", adjusts=None)], [], id="what corrects nothing"),
        pytest.param(
            [usage(quantity=Decimal(120))], [usage(quantity=Decimal(100))], [], [], id="more of it for the same amount"
        ),
        pytest.param([usage("0.00")], [], [], [], id="a line of zero"),
        pytest.param(
            [usage(dimensions={"region": "eu"})], [usage(dimensions={"region": "us"})], [], ["10.00", "-10.00"],
            id="another region is another line",
        ),
        pytest.param(
            [usage(phase_start=OTHER_PHASE)], [usage()], [], ["10.00", "-10.00"], id="a plan that was taken again"
        ),
        pytest.param(
            [usage("7.00", kind=LineKind.TRUE_UP)], [usage("9.00", kind=LineKind.TRUE_UP), usage()], [],
            ["-2.00", "-10.00"], id="a true-up is no usage",
        ),
        pytest.param(
            [usage(kind=LineKind.FEE, plan="dear")], [usage("4.00", kind=LineKind.FEE)], [], ["10.00", "-4.00"],
            id="the fee of another plan",
        ),
        pytest.param(
            [usage(kind=LineKind.FEE, plan_version=2)], [usage("4.00", kind=LineKind.FEE)], [], ["6.00"],
            id="the fee of another version of the plan",
        ),
        pytest.param(
            [usage(), usage("3.00", kind=LineKind.TAX), usage("-5.00", kind=LineKind.CREDIT)], [usage()], [], [],
            id="tax and credits follow from the carrier",
        ),
        pytest.param(
            [usage()], [usage(), adjusting("9.00")], [], [], id="what it carried itself counts for what that corrects"
        ),
    ],
)  # fmt: skip
def test_what_is_due_is_compared_with_what_was_billed(
    now: list[RatedLine], own: list[RatedLine], corrections: list[RatedLine], expected: list[str]
) -> None:
    final = FinalDocument(PLAN, tuple(own), tuple(corrections), batch=1, change=1, terms="", late=True)
    assert [str(line.amount) for line in adjustments(now, final, JANUARY)] == expected


def test_a_correction_of_an_adjustment_corrects_what_that_one_adjusts() -> None:
    """A credit note of 4.00 on the document that carries an adjustment of January counts for January."""
    document, carried = uuid4(), adjusting("9.00", adjusts_document=PLAN.identity.id, quantity=Decimal(90))
    gives_back = from_major(Decimal("-4.00"), "USD")
    corrected = correction_of(carried, document, JANUARY, gives_back)
    assert (corrected.adjusts, corrected.adjusts_document) == (LineKind.USAGE, PLAN.identity.id)
    assert said([corrected]) == [("Adjustment of 2026-01-01: api", "-4.00", None)]
    own = correction_of(usage(), document, JANUARY, gives_back)
    assert (own.kind, own.adjusts, own.adjusts_document) == (LineKind.ADJUSTMENT, LineKind.USAGE, document)
    assert said([own]) == [("Adjustment of 2026-01-01: api", "-4.00", None)]
