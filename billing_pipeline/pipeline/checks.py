"""The data checks as Dagster's asset checks. They do not block: an error holds the customers it names, others go on."""

from collections.abc import Iterator

import dagster as dg

from billing_pipeline.operations.checks.check_report import CheckRow
from billing_pipeline.operations.locking.check_and_lock import checked
from billing_pipeline.pipeline.invoicing import invoices
from billing_pipeline.pipeline.metadata import Metadata, table
from billing_pipeline.pipeline.partitions import BILLING_PERIODS
from billing_pipeline.pipeline.resources import BillingResource
from billing_pipeline.pipeline.usage import deduped_usage
from billing_pipeline.settings import load_settings
from billing_pipeline.usage.expectations import UNRATED, Check, Severity, checks

_EFFECTS = {
    Severity.ERROR: "The customers it names are held until it passes or somebody releases them.",
    Severity.WARNING: "A warning: nobody is held.",
}
_COLUMNS = ("about", "figure", "note", "customers")


def _spec(check: Check) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        check.name,
        asset=deduped_usage,
        description=f"Where it fails: {check.meaning} {_EFFECTS[check.severity]} What to do: {check.to_do}",
        partitions_def=BILLING_PERIODS,
        additional_deps=[invoices],  # in a close they come last, so that what they saw is all that was computed
    )


# Rating shows its own check, on its own asset.
SPECS = [_spec(check) for check in checks(load_settings().checks) if check.name != UNRATED]


@dg.multi_asset_check(specs=SPECS, name="usage_checks")
def usage_checks(context: dg.AssetCheckExecutionContext, billing: BillingResource) -> Iterator[dg.AssetCheckResult]:
    """All checks of a period's usage, over a profile of all its rows; who fails an error is held.

    What could not be computed has failed too, and says that it is no finding about the data. Not to be picked one by
    one: the page would launch them without a partition.
    """
    report = checked(*billing.at(context.partition_key, context.log))
    names = {spec.name for spec in SPECS}
    yield from (_result(row) for row in report.rows if row.name in names)


def _result(row: CheckRow) -> dg.AssetCheckResult:
    passed = row.outcome == "passed"
    metadata: Metadata = {
        "customers named": row.customers,
        "found, the worst first": table([{name: finding[name] for name in _COLUMNS} for finding in row.worst]),
        "what to do": row.to_do,
    }
    return dg.AssetCheckResult(
        asset_key=deduped_usage.key,
        check_name=row.name,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR if row.severity == "error" else dg.AssetCheckSeverity.WARN,
        description=row.summary,
        metadata={} if passed else metadata,
    )
