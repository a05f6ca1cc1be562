"""How figures are shown to people."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from billing_pipeline.core.money import Money
from billing_pipeline.ledger.periods.periods import Stage
from billing_pipeline.operations.checks.check_report import CheckRow
from billing_pipeline.operations.stage_report import StageReport
from billing_pipeline_tests.pipeline.month import plain


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (Money(1250, "USD"), "$12.50"),
        (Money(-5, "USD"), "-$0.05"),
        (Money(123456789, "EUR"), "€1,234,567.89"),
        (Money(1250, "JPY"), "¥1,250"),
        (Money(1250, "KWD"), "KWD\u00a01.250"),
        (Money(1250, "IQD"), "IQD\u00a01.250"),  # everyday use knows no fils, ISO 4217 does: nothing may be hidden
        (Money(0, "CAD"), "CA$0.00"),
        (Money(12345, "UYW"), "UYW\u00a01.2345"),
        (Money(10**21, "USD"), "$10,000,000,000,000,000,000.00"),  # no float on the way
    ],
)
def test_money(amount: Money, shown: str) -> None:
    from billing_pipeline.pipeline.metadata import formatted

    assert formatted(amount) == shown


def test_totals_are_one_a_currency() -> None:
    from billing_pipeline.pipeline.metadata import money

    assert money([Money(100, "EUR"), Money(250, "USD")]).value == "€1.00 + $2.50"
    assert money([]).value == "nothing"


CELLS = [
    (3, 3),
    (True, "yes"),
    (None, ""),
    ("closing", "closing"),
    (Decimal("1234567.500000"), "1,234,567.5"),
    (Decimal("1E+3"), "1,000"),
    (Decimal(0), "0"),
    (Money(5, "USD"), "$0.05"),
    (datetime(2026, 2, 3, 4, 5, 59, tzinfo=UTC), "2026-02-03 04:05"),
    (["acme", "beta"], "acme, beta"),
    ("ocid6.tenancy.oc6..aaaaaaaa2fs7w19bi9iupcjqv8zayogd78eziinl2hu7rkd", "ocid6.tenancy.…inl2hu7rkd"),
    ("batch 3 (september-2024-restated.csv)", "batch 3 (september-202…tated.csv)"),
]


@pytest.mark.parametrize(("value", "shown"), CELLS, ids=str)
def test_cells(value: object, shown: object) -> None:
    from billing_pipeline.pipeline.metadata import table

    made = table([{"a_name": value}])
    assert isinstance(made, dg.TableMetadataValue)
    assert [dict(record.data) for record in made.records] == [{"a name": shown}]
    assert [(column.name, column.type) for column in made.schema.columns] == [
        ("a name", "int" if isinstance(shown, int) else "string")
    ]


def test_a_table_without_rows_says_so_and_a_long_one_is_cut() -> None:
    from billing_pipeline.pipeline.metadata import table

    assert table([]).value == "none"
    made = table([{"row": number} for number in range(1000)])
    assert isinstance(made, dg.TableMetadataValue)
    assert len(made.records) == 100


def test_what_is_plotted_comes_last() -> None:
    from billing_pipeline.pipeline.metadata import described

    report = StageReport("2026-01-01", Stage.LOCK, {"finalized": 3, "held": 0}, through_batch=7, seconds=1.23456)
    shown = plain(described(report, 3, [Money(999, "EUR"), Money(1250, "USD")]))
    assert list(shown.items()) == [
        ("done in this run", [{"finalized": 3, "held": 0}]),
        ("through batch", 7),
        ("seconds", 1.235),
        ("total EUR", 9.99),
        ("total USD", 12.5),
        ("dagster/row_count", 3),
    ]


def row(**changes: object) -> CheckRow:
    content: Mapping[str, Any] = {
        "name": "negative_values", "severity": "warning", "outcome": "failed", "meaning": "Values below zero.",
        "summary": "2 values of 1 customer", "findings": 1, "customers": 1, "to_do": "Correct them.",
        "worst": ({"note": "lowest -5", "customers": ["acme"], "figure": "2 values", "about": "meter compute"},),
    }  # fmt: skip
    return CheckRow(**{**content, **changes})


def test_a_failed_check_shows_what_was_found_in_words() -> None:
    from billing_pipeline.pipeline.checks import _result

    result = _result(row())
    assert (result.passed, result.severity, result.description) == (
        False,
        dg.AssetCheckSeverity.WARN,
        "2 values of 1 customer",
    )
    assert plain(result.metadata) == {
        "customers named": 1,
        "found, the worst first": [
            {"about": "meter compute", "figure": "2 values", "note": "lowest -5", "customers": "acme"}
        ],
        "what to do": "Correct them.",
    }


def test_a_passed_check_shows_nothing_more() -> None:
    from billing_pipeline.pipeline.checks import _result

    result = _result(row(outcome="passed", summary="nothing found", severity="error"))
    assert (result.passed, result.description, dict(result.metadata)) == (True, "nothing found", {})


def test_what_could_not_be_computed_has_failed_and_says_that_it_is_no_finding() -> None:
    from billing_pipeline.pipeline.checks import _result

    result = _result(row(outcome="error", severity="error", worst=(), summary="could not be computed: no column"))
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert result.description == "could not be computed: no column"
