"""Usage: what landed in a period, and which report of each event counts."""

import dagster as dg

from billing_pipeline.ledger.periods.periods import Stage
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.reading.period_summary import meter_summary, usage_summary
from billing_pipeline.pipeline.metadata import command, described, table
from billing_pipeline.pipeline.partitions import stage_asset
from billing_pipeline.pipeline.resources import BillingResource


@stage_asset("usage", {"parquet", "postgres"})
def raw_usage(context: dg.AssetExecutionContext, billing: BillingResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Every row that landed in the period, as the manifest of the lake holds it; landing is what accepts it."""
    summary = usage_summary(*billing.at(context.partition_key))
    return dg.MaterializeResult(
        metadata={
            "rows landed": summary.landed,
            "where every row ended": table([summary.ended]),
            "sources": table(summary.sources),
            "newest batches": table(summary.batches),
            "quarantined rows": summary.quarantined,
            "mend them": command("usage quarantine list"),
            "lake files": summary.files,
            "dagster/row_count": summary.rows,
        }
    )


@stage_asset("usage", {"duckdb", "parquet"}, deps=[raw_usage])
def deduped_usage(context: dg.AssetExecutionContext, billing: BillingResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """One event per event key: the latest received wins. Winners are an expression over the manifest, not files.

    Dedupes and meters the dirty customers in one pass over the lake and counts where every row ended.
    """
    ledger, period = billing.at(context.partition_key, context.log)
    (report,) = close(ledger, period, [Stage.METER])
    summary, by_meter = usage_summary(ledger, period), meter_summary(ledger, period)
    return dg.MaterializeResult(
        metadata={
            "events that count": summary.reconciliation.accepted,
            "where every row ended": table([summary.ended]),
            "by meter": table(by_meter),
            "unpriced events": summary.reconciliation.unpriced,
            **described(report, summary.reconciliation.accepted),
        }
    )
