"""Invoicing: rated lines on documents, and what stands in the way of their lock."""

from pathlib import Path

import dagster as dg

from billing_pipeline.ledger.periods.periods import Stage
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.reading.period_report import write_period_report
from billing_pipeline.operations.reading.period_summary import InvoiceSummary, invoice_summary
from billing_pipeline.pipeline import obstacles
from billing_pipeline.pipeline.metadata import Metadata, command, described, money, table
from billing_pipeline.pipeline.partitions import stage_asset
from billing_pipeline.pipeline.rating import rated_lines
from billing_pipeline.pipeline.resources import BillingResource


@stage_asset("invoicing", {"python", "postgres"}, deps=[rated_lines], check_specs=[obstacles.spec("invoices")])
def invoices(context: dg.AssetExecutionContext, billing: BillingResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The period's documents, one row each: drafts while it runs, then a version for each different result."""
    ledger, period = billing.at(context.partition_key, context.log)
    (report,) = close(ledger, period, [Stage.INVOICE])
    summary = invoice_summary(ledger, period)
    waiting, nothing_waits = obstacles.shown(billing, context.partition_key)
    metadata = {**_shown(summary), **waiting, **_links(write_period_report(ledger, period), period.key)}
    metadata |= described(report, summary.documents, summary.totals)
    return dg.MaterializeResult(metadata=metadata, check_results=[nothing_waits])


def _shown(summary: InvoiceSummary) -> Metadata:
    return {
        "invoices": summary.documents,
        "total": money(summary.totals),
        "by status, when computed": table(summary.by_status),
        "largest": table(summary.largest),
        "changed, the last first": table(summary.changed),
    }


def _links(report: Path, key: str) -> Metadata:
    return {
        "line by line": command(f"invoices list --period {key}"),
        "report": dg.MetadataValue.path(report),
        "report, as it stands": command(f"period report {key}"),
        "an invoice as PDF": command("invoices render NUMBER"),
    }
