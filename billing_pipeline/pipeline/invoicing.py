"""Invoicing: rated lines on documents, and what stands in the way of their lock."""

from collections.abc import Mapping, Sequence

import dagster as dg

from billing_pipeline.operations.invoice import invoice
from billing_pipeline.operations.period_summary import invoice_summary, waiting_documents
from billing_pipeline.pipeline.metadata import Metadata, command, described, money, table
from billing_pipeline.pipeline.partitions import BILLING_PERIODS
from billing_pipeline.pipeline.rating import rated_lines
from billing_pipeline.pipeline.resources import BillingResource
from billing_pipeline.pipeline.usage import OWNERS

NOTHING_HELD = dg.AssetCheckSpec(
    "nothing_holds_a_due_document",
    asset="invoices",
    description="Documents lock when they are due. Those that wait show here with what they wait for: a failed check, "
    "or a source that has not delivered. Release a hold with 'billing hold release'.",
    partitions_def=BILLING_PERIODS,
)


@dg.asset(
    partitions_def=BILLING_PERIODS,
    group_name="invoicing",
    kinds={"python", "postgres"},
    owners=OWNERS,
    deps=[rated_lines],
    check_specs=[NOTHING_HELD],
)
def invoices(context: dg.AssetExecutionContext, billing: BillingResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The period's documents, one row each: drafts while it runs, then a version for each different result."""
    ledger, period = billing.at(context.partition_key)
    report = invoice(ledger, period)
    summary, waiting = invoice_summary(ledger, period), waiting_documents(ledger, period)
    shown: Metadata = {
        "invoices": summary.documents,
        "total": money(summary.totals),
        "by status, when computed": table(summary.by_status),
        "largest": table(summary.largest),
        "changed, the last first": table(summary.changed),
        "line by line": command(f"invoices list --period {period.key}"),
    }
    metadata = {**shown, **described(report, summary.documents, summary.totals)}
    return dg.MaterializeResult(metadata=metadata, check_results=[_nothing_held(waiting)])


def _nothing_held(waiting: Sequence[Mapping[str, object]]) -> dg.AssetCheckResult:
    held = [row for row in waiting if row["held_by"]]
    return dg.AssetCheckResult(
        check_name=NOTHING_HELD.name,
        passed=not held,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Due documents that wait: {len(held)}; that lock with the next run: {len(waiting) - len(held)}.",
        metadata={"due": table(waiting)},
    )
