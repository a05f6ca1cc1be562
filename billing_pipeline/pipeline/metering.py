"""Metering: how much of each price every customer used."""

import dagster as dg

from billing_pipeline.ledger.periods.periods import Stage
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.reading.period_summary import quantity_summary
from billing_pipeline.pipeline.metadata import Metadata, described, table
from billing_pipeline.pipeline.partitions import stage_asset
from billing_pipeline.pipeline.resources import BillingResource
from billing_pipeline.pipeline.usage import deduped_usage


@stage_asset("metering", {"duckdb", "postgres"}, deps=[deduped_usage])
def metered_usage(context: dg.AssetExecutionContext, billing: BillingResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Cumulative quantities: one row per customer, price, dimension values and cut point, with the batch they reach.

    They are measured together with the dedupe; what has become dirty since is measured here.
    """
    ledger, period = billing.at(context.partition_key, context.log)
    (report,) = close(ledger, period, [Stage.METER])
    quantities, by_price = quantity_summary(ledger, period)
    shown: Metadata = {"quantities": quantities, "by price": table(by_price)}
    return dg.MaterializeResult(metadata={**shown, **described(report, quantities)})
