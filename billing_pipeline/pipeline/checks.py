"""The data checks as Dagster's asset checks. They do not block: an error holds the customers it names, others go on."""

from collections.abc import Iterator

import dagster as dg

from billing_pipeline.operations.check_report import CheckRow
from billing_pipeline.operations.checked import checked
from billing_pipeline.operations.rate import UNRATED
from billing_pipeline.pipeline.metadata import table
from billing_pipeline.pipeline.partitions import BILLING_PERIODS
from billing_pipeline.pipeline.resources import BillingResource
from billing_pipeline.pipeline.usage import deduped_usage
from billing_pipeline.settings import load_settings
from billing_pipeline.usage.expectations import checks

# Rating shows its own check, on its own asset.
SPECS = [
    dg.AssetCheckSpec(
        one.name,
        asset=deduped_usage,
        description=f"{one.meaning} {one.to_do}",
        partitions_def=BILLING_PERIODS,
    )
    for one in checks(load_settings().checks)
    if one.name != UNRATED
]


@dg.multi_asset_check(specs=SPECS, name="usage_checks")
def usage_checks(context: dg.AssetCheckExecutionContext, billing: BillingResource) -> Iterator[dg.AssetCheckResult]:
    """All checks of a period's usage, over a profile of all its rows; who fails an error is held.

    What could not be computed has failed too, and says that it is no finding about the data.
    """
    report = checked(*billing.at(context.partition_key))
    names = {spec.name for spec in SPECS}
    for row in report.rows:
        if row.name in names:
            yield _result(row)


def _result(row: CheckRow) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if row.severity == "error" else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        asset_key="deduped_usage",
        check_name=row.name,
        passed=row.outcome == "passed",
        severity=severity,
        description=row.summary,
        metadata={
            "outcome": row.outcome,
            "customers": row.customers,
            "worst": table([dict(one) for one in row.worst]),
            "what to do": row.to_do,
        },
    )
