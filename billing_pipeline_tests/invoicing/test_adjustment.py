"""Adjustments: by subject, what a final document would say now less what was billed for it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from billing_pipeline.core.money import from_major
from billing_pipeline.invoicing.adjustment import FinalDocument, adjustments, billed_lines
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
