"""Close, check, lock: the one order in which documents become final, whoever asks.

A period's checks are noted when they ran, so that nobody locks documents that were computed after the last check.
"""

from time import monotonic

from billing_pipeline.core.errors import UsageError
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger.periods import runs
from billing_pipeline.ledger.periods.periods import Stage
from billing_pipeline.ledger.reading import overview
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.checks.check import check
from billing_pipeline.operations.checks.check_report import CheckReport
from billing_pipeline.operations.closing import lake_files
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.locking.lock import lock
from billing_pipeline.operations.stage_report import StageReport


def checked(billing: Billing, period: BillingPeriod) -> CheckReport:
    """Run all checks of the period and note that they ran. Safe to repeat.

    Raises:
        UsageError: the lake cannot be read, although each file is as it was accepted.
    """
    started, now = monotonic(), billing.now()
    with billing.ledger.begin() as connection:
        batch = manifest.newest_batch(connection)
    try:
        report = check(billing, period)
    except UsageError:
        if not lake_files.explains(billing, period):
            raise
        report = check(billing, period)  # without what cannot be read: who is in it is held now
    counts: dict[str, int | str] = {
        "checks": len(report.rows),
        "held": len(report.held),
        "passed": str(report.passed).lower(),
    }
    with billing.ledger.begin() as connection:
        runs.note_run(
            connection,
            period=period.first_day,
            stage=Stage.CHECK,
            at=now,
            seconds=monotonic() - started,
            through_batch=batch,
            counts=counts,
            actor=billing.actor,
        )
    return report


def lock_checked(billing: Billing, period: BillingPeriod) -> StageReport:
    """Close the period, check what has come since the last check, then lock it: what every face offers.

    Checked are also earlier periods: late usage of theirs, which this one's documents carry, locks no less unchecked.

    Raises:
        UsageError: the lake cannot be read; nothing is locked.
    """
    close(billing, period)
    with billing.ledger.begin() as connection:
        days = sorted(day for day in overview.unchecked(connection) if day <= period.first_day)
    for other in (billing.calendar.period(day.isoformat()) for day in days):
        if other.end <= billing.now():
            checked(billing, other)
    return lock(billing, period)
