"""Invoicing: rated lines on documents, and what stands in the way of their lock."""

import dagster as dg

from billing_pipeline.operations.invoice import invoice
from billing_pipeline.operations.period_summary import invoice_summary, waiting_documents
from billing_pipeline.pipeline.metadata import describe, money, table
from billing_pipeline.pipeline.partitions import BILLING_PERIODS
from billing_pipeline.pipeline.rating import rated_lines
from billing_pipeline.pipeline.resources import BillingResource
from billing_pipeline.pipeline.usage import OWNERS


@dg.asset(
    partitions_def=BILLING_PERIODS,
    group_name="invoicing",
    kinds={"python", "postgres"},
    owners=OWNERS,
    deps=[rated_lines],
    check_specs=[
        dg.AssetCheckSpec(
            "nothing_holds_a_due_document",
            asset="invoices",
            description="Documents that are due lock; those that are held show here with what holds them.",
            partitions_def=BILLING_PERIODS,
        )
    ],
)
def invoices(context: dg.AssetExecutionContext, billing: BillingResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The period's documents, one row each: drafts while it runs, then a version for each different result."""
    ledger, period = billing.at(context.partition_key)
    report = invoice(ledger, period)
    summary, waiting = invoice_summary(ledger, period), waiting_documents(ledger, period)
    held = [row for row in waiting if row["held_by"]]
    return dg.MaterializeResult(
        metadata={
            **describe(report, summary.documents),
            "invoices": summary.documents,
            **money(summary.totals),
            "by status": table(summary.by_status),
            "largest": table(summary.largest),
            "changed since the last version": table(summary.changed),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="nothing_holds_a_due_document",
                passed=not held,
                severity=dg.AssetCheckSeverity.WARN,
                description=f"{len(held)} due documents are held, {len(waiting) - len(held)} lock with the next run.",
                metadata={"waiting": table(waiting)},
            )
        ],
    )
