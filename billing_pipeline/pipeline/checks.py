"""The data checks as Dagster's asset checks. They do not block: an error holds the customers it names, others go on."""

import dagster as dg

from billing_pipeline.operations.check_report import CheckReport, CheckRow
from billing_pipeline.pipeline.metadata import table
from billing_pipeline.settings import load_settings
from billing_pipeline.usage.expectations import checks

_ASSET = "deduped_usage"

USAGE_CHECKS = [
    dg.AssetCheckSpec(one.name, asset=_ASSET, description=f"{one.meaning} {one.to_do}")
    for one in checks(load_settings().checks)
]


def check_results(report: CheckReport) -> list[dg.AssetCheckResult]:
    """One result a check; what could not be computed has failed too, and says that it is no finding about the data."""
    return [_result(row) for row in report.rows]


def _result(row: CheckRow) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if row.severity == "error" else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
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
