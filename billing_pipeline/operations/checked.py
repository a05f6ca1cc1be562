"""Run a period's checks and note that they ran, so that nobody locks what was computed after the last check."""

from time import monotonic

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger import manifest, periods
from billing_pipeline.operations.check import check
from billing_pipeline.operations.check_report import CheckReport
from billing_pipeline.operations.context import Billing

STAGE = "check"


def checked(billing: Billing, period: BillingPeriod) -> CheckReport:
    """All checks of the period. Safe to repeat.

    Raises:
        UsageError: the lake cannot be read.
    """
    started, now = monotonic(), billing.now()
    with billing.ledger.begin() as connection:
        batch = manifest.newest_batch(connection)
    report = check(billing, period)
    counts: dict[str, int | str] = {
        "checks": len(report.rows),
        "held": len(report.held),
        "passed": str(report.passed).lower(),
    }
    with billing.ledger.begin() as connection:
        periods.note_run(
            connection,
            period=period.first_day,
            stage=STAGE,
            at=now,
            seconds=monotonic() - started,
            through_batch=batch,
            counts=counts,
            actor=billing.actor,
        )
    return report
