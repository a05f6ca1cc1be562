"""Comparing documents line by line, whatever the lines are."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.core.money import Money
from billing_pipeline.operations.reading.invoice_difference import changed_lines
from billing_pipeline.rating.line import LineKind, RatedLine

LINE = RatedLine(
    kind=LineKind.USAGE,
    subscription="s",
    plan="payg",
    plan_version=1,
    price="compute",
    product=None,
    description="compute",
    service_start=date(2026, 1, 1),
    service_end=date(2026, 2, 1),
    dimensions={"region": "eu"},
    quantity=Decimal("10.0"),
    adjusts=None,
    amount=Money(100, "USD"),
)


def change(**fields: Any) -> RatedLine:
    return LINE._replace(**fields)


US = change(dimensions={"region": "us"})


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ([LINE], [LINE], []),
        ([LINE], [change(quantity=Decimal(10))], []),
        ([LINE, US], [US, LINE], []),
        ([], [LINE], ["added"]),
        ([LINE], [], ["removed"]),
        ([LINE], [change(quantity=Decimal(12))], ["changed"]),
        ([LINE], [change(amount=Money(101, "USD"))], ["changed"]),
        ([LINE], [change(plan_version=2)], ["changed"]),
        ([LINE], [change(plan="other")], ["added", "removed"]),
        ([LINE], [change(service_end=date(2026, 1, 15))], ["added", "removed"]),
        ([LINE], [change(kind=LineKind.ADJUSTMENT, adjusts=LineKind.USAGE)], ["added", "removed"]),
        ([LINE], [US], ["added", "removed"]),
        ([LINE], [change(amount=Money(100, "EUR"))], ["added", "removed"]),
        ([LINE, LINE], [LINE], ["removed"]),
        ([LINE, LINE], [LINE, change(amount=Money(5, "USD"))], ["changed"]),
        ([change(service_start=None, service_end=None, quantity=None)], [], ["removed"]),
    ],
)
def test_lines(before: list[RatedLine], after: list[RatedLine], changes: list[str]) -> None:
    assert [one["change"] for one in changed_lines(before, after)] == changes
    opposite = {"added": "removed", "removed": "added", "changed": "changed"}
    backwards = [str(one["change"]) for one in changed_lines(after, before)]
    assert sorted(opposite[one] for one in backwards) == sorted(changes)


def test_a_changed_line_has_both_figures() -> None:
    (one,) = changed_lines([LINE], [change(quantity=Decimal(12), amount=Money(120, "USD"), plan_version=2)])
    assert one["quantity"] == {"old": "10", "new": "12"}
    assert one["amount"] == {"old": "1.00", "new": "1.20"}
    assert one["plan"] == {"old": "payg version 1", "new": "payg version 2"}
    assert one["service_period"] == {"start": "2026-01-01", "end": "2026-02-01"}


def test_an_added_line_has_no_old_figures() -> None:
    (one,) = changed_lines([], [LINE])
    assert (one["quantity"], one["amount"]) == ({"old": None, "new": "10"}, {"old": None, "new": "1.00"})
