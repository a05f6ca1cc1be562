"""What Dagster's UI shows of a run: counts, formatted money, tables, and numbers that it can plot."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import dagster as dg
from babel.numbers import format_currency

from billing_pipeline.operations.report import StageReport

Metadata = dict[str, dg.MetadataValue]
_ROWS = 100  # of a table; a page shows no more


def describe(report: StageReport, row_count: int | None = None) -> Metadata:
    """A stage's counts, each a number that can be plotted over partitions and runs."""
    counts = {name.replace("_", " "): dg.MetadataValue.int(count) for name, count in report.counts.items()}
    shown: Metadata = {
        **counts,
        "through batch": dg.MetadataValue.int(report.through_batch),
        "seconds": dg.MetadataValue.float(round(report.seconds, 3)),
    }
    if row_count is not None:
        shown["dagster/row_count"] = dg.MetadataValue.int(row_count)
    return shown


def table(rows: Sequence[Mapping[str, object]]) -> dg.MetadataValue:
    """A table of the first rows; every cell as a person reads it."""
    if not rows:
        return dg.MetadataValue.text("none")
    records = [
        dg.TableRecord({name: value if isinstance(value, int) else str(value) for name, value in row.items()})
        for row in rows[:_ROWS]
    ]
    kinds = {name: "int" if isinstance(value, int) else "string" for name, value in rows[0].items()}
    schema = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in kinds.items()])
    return dg.MetadataValue.table(records, schema)


def money(totals: Mapping[str, Decimal]) -> Metadata:
    """Totals by currency, formatted for people and as a number for plots."""
    shown: Metadata = {}
    for currency, total in sorted(totals.items()):
        shown[f"total {currency}"] = dg.MetadataValue.text(format_currency(total, currency, locale="en_US"))
        shown[f"total {currency} (plot)"] = dg.MetadataValue.float(float(total))
    return shown
