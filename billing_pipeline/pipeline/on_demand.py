"""On demand: windows of receipt become documents. They live in the ledger: an hour is never a partition."""

import dagster as dg

from billing_pipeline.operations.on_demand.check_and_invoice import invoice_checked
from billing_pipeline.operations.reading.on_demand import on_demand_summary
from billing_pipeline.pipeline.metadata import Metadata, command, money, table
from billing_pipeline.pipeline.partitions import stage_asset
from billing_pipeline.pipeline.progress import logged
from billing_pipeline.pipeline.resources import BillingResource
from billing_pipeline.pipeline.usage import raw_usage


@stage_asset("invoicing", {"python", "postgres"}, deps=[raw_usage])
def on_demand_invoices(context: dg.AssetExecutionContext, billing: BillingResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The period's documents on demand, one row each: every window that is over by now, numbered and queued at once.

    Windows of other periods that are due are invoiced, too: a customer's come in order.
    """
    ledger, period = billing.at(context.partition_key, context.log)
    ledger.watch = logged(context.log)
    report, summary = invoice_checked(ledger), on_demand_summary(ledger, period)
    metadata: Metadata = {
        "windows processed": report.windows,
        "invoices issued": report.issued,
        "payments queued": report.queued,
        "invoices on demand of the period": summary.documents,
        "total": money(summary.totals),
        "the last ones": table(summary.newest),
        "windows that are due, or will be": table(summary.waiting),
        "line by line": command(f"invoices list --period {period.key}"),
        "dagster/row_count": summary.documents,
    }
    return dg.MaterializeResult(metadata=metadata)
