"""Rating: quantities × prices in force."""

from collections.abc import Mapping, Sequence

import dagster as dg

from billing_pipeline.ledger.periods.periods import Stage
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.reading.period_summary import held_for, price_summary
from billing_pipeline.pipeline.metadata import Metadata, described, money, table
from billing_pipeline.pipeline.metering import metered_usage
from billing_pipeline.pipeline.partitions import BILLING_PERIODS, stage_asset
from billing_pipeline.pipeline.resources import BillingResource
from billing_pipeline.usage.expectations import UNRATED

EVERY_QUANTITY_HAS_A_RATE = dg.AssetCheckSpec(
    UNRATED,
    asset="rated_lines",
    description="Every metered quantity has a rate. A customer without one is held: add the rate, or a default, to "
    "the price; the next close releases the hold.",
    partitions_def=BILLING_PERIODS,
)


@stage_asset("rating", {"python", "postgres"}, deps=[metered_usage], check_specs=[EVERY_QUANTITY_HAS_A_RATE])
def rated_lines(context: dg.AssetExecutionContext, billing: BillingResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The period's quantities, priced: exact, then rounded once. One row per customer, price and dimension values."""
    ledger, period = billing.at(context.partition_key, context.log)
    (report,) = close(ledger, period, [Stage.RATE])
    prices, unrated = price_summary(ledger, period), held_for(ledger, period, UNRATED)
    shown: Metadata = {"lines": prices.lines, "total": money(prices.totals), "by price": table(prices.rows)}
    return dg.MaterializeResult(
        metadata={**shown, **described(report, prices.lines, prices.totals)},
        check_results=[_every_quantity_has_a_rate(unrated)],
    )


def _every_quantity_has_a_rate(unrated: Sequence[Mapping[str, object]]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=UNRATED,
        passed=not unrated,
        description=f"Customers held for a quantity without a rate: {len(unrated)}.",
        metadata={"held": table(unrated)},
    )
