"""Rating: quantities × prices in force."""

import dagster as dg

from billing_pipeline.operations.period_summary import held_for, price_summary
from billing_pipeline.operations.rate import UNRATED, rate_period
from billing_pipeline.pipeline.metadata import describe, money, table
from billing_pipeline.pipeline.metering import metered_usage
from billing_pipeline.pipeline.partitions import BILLING_PERIODS
from billing_pipeline.pipeline.resources import BillingResource
from billing_pipeline.pipeline.usage import OWNERS


@dg.asset(
    partitions_def=BILLING_PERIODS,
    group_name="rating",
    kinds={"python", "postgres"},
    owners=OWNERS,
    deps=[metered_usage],
    check_specs=[
        dg.AssetCheckSpec(
            UNRATED,
            asset="rated_lines",
            description="Every metered quantity has a rate; a customer without is held.",
            partitions_def=BILLING_PERIODS,
        )
    ],
)
def rated_lines(context: dg.AssetExecutionContext, billing: BillingResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The period's quantities, priced: exact, then rounded once. One row per customer, price and dimension values."""
    ledger, period = billing.at(context.partition_key)
    report = rate_period(ledger, period)
    prices, unrated = price_summary(ledger, period), held_for(ledger, period, UNRATED)
    return dg.MaterializeResult(
        metadata={**describe(report, prices.lines), **money(prices.totals), "by price": table(prices.rows)},
        check_results=[
            dg.AssetCheckResult(
                check_name=UNRATED,
                passed=not unrated,
                description=f"{len(unrated)} customers have a quantity without a rate.",
                metadata={"customers": table(unrated)},
            )
        ],
    )
