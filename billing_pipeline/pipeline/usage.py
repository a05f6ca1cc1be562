"""Usage: what landed in a period, and which report of each event counts."""

import dagster as dg

from billing_pipeline.operations.meter import meter
from billing_pipeline.operations.period_summary import meter_summary, usage_summary
from billing_pipeline.pipeline.metadata import describe, table
from billing_pipeline.pipeline.partitions import BILLING_PERIODS
from billing_pipeline.pipeline.resources import BillingResource

OWNERS = ["team:billing"]


@dg.asset(partitions_def=BILLING_PERIODS, group_name="usage", kinds={"parquet", "postgres"}, owners=OWNERS)
def raw_usage(context: dg.AssetExecutionContext, billing: BillingResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Every row that landed in the period, as the manifest of the lake holds it; landing is what accepts it."""
    summary = usage_summary(*billing.at(context.partition_key))
    found = summary.reconciliation
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": found.files,
            "files": summary.files,
            "quarantined": summary.quarantined,
            "sources": table(summary.sources),
            "newest batches": table(summary.batches),
        }
    )


@dg.asset(
    partitions_def=BILLING_PERIODS,
    group_name="usage",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    deps=[raw_usage],
)
def deduped_usage(context: dg.AssetExecutionContext, billing: BillingResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """One event per event key: the latest received wins. Winners are an expression over the manifest, not files.

    Dedupes and meters the dirty customers in one pass over the lake and counts where every row ended.
    """
    ledger, period = billing.at(context.partition_key)
    report = meter(ledger, period)
    found = usage_summary(ledger, period).reconciliation
    ended = {name: getattr(found, name) for name in ("files", "accepted", "superseded", "retracted")}
    return dg.MaterializeResult(
        metadata={
            **describe(report, found.accepted),
            "reconciliation": table([ended]),
            "by meter": table(meter_summary(ledger, period)),
        }
    )
