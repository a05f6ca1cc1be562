"""Close, check, invoice: the one order in which windows on demand become documents, for faces that do nothing else."""

from billing_pipeline.ledger.periods import runs
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.locking.check_and_lock import checked
from billing_pipeline.operations.on_demand.windows import WindowsReport, invoice_windows, windows_due


def invoice_checked(billing: Billing) -> WindowsReport:
    """Process all windows that are over by now, once checks have looked at all usage that may be in them.

    Raises:
        UsageError: the lake cannot be read; nothing is invoiced.
    """
    if windows_due(billing):
        started = billing.periods()
        with billing.ledger.begin() as connection:
            behind = runs.unchecked(
                connection, [period.first_day for period in started], manifest.newest_batch(connection)
            )
        for period in started:
            if period.first_day in behind:
                close(billing, period)
                checked(billing, period)
    return invoice_windows(billing)
