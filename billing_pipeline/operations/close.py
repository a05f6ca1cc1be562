"""Close a period: usage → quantities → lines → documents, for whoever is dirty. Repeating it changes nothing."""

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.invoice import invoice
from billing_pipeline.operations.meter import meter
from billing_pipeline.operations.rate import rate_period
from billing_pipeline.operations.report import StageReport
from billing_pipeline.operations.units import Progress, no_progress


def close(
    billing: Billing, period: BillingPeriod, *, progress: Progress = no_progress
) -> tuple[StageReport, StageReport, StageReport]:
    """Bring the period's documents up to the newest usage and catalog; returns what each stage did."""
    return (
        meter(billing, period, progress=progress),
        rate_period(billing, period, progress=progress),
        invoice(billing, period, progress=progress),
    )
