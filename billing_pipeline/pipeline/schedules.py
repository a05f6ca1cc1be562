"""What happens by the clock: the open period's heartbeat, the close of each period through its grace, and upkeep.

A schedule built from a partitioned job would pick the partition that has just opened; these ask the ledger.
"""

from collections.abc import Callable
from typing import Any

import dagster as dg

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.core.period import MOMENT
from billing_pipeline.operations.closing.standings import standings
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.on_demand.windows import windows_due
from billing_pipeline.pipeline.jobs import close_period, invoice_windows, upkeep
from billing_pipeline.pipeline.partitions import BILLING_PERIODS
from billing_pipeline.pipeline.resources import BillingResource

Requests = list[dg.RunRequest] | dg.RunRequest | dg.SkipReason
Evaluate = Callable[[dg.ScheduleEvaluationContext, BillingResource], Requests]


def _schedule(
    cron: str, job: Any = close_period, zone: str | None = BILLING_PERIODS.timezone
) -> Callable[[Evaluate], dg.ScheduleDefinition]:
    """In the billing time zone unless another is named, on by default; the UI shows the docstring."""
    return lambda evaluate: dg.schedule(
        job=job,
        cron_schedule=cron,
        execution_timezone=zone,
        description=evaluate.__doc__,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )(evaluate)


@_schedule("15 * * * *")
def heartbeat(context: dg.ScheduleEvaluationContext, billing: BillingResource) -> Requests:
    """Every hour: the open period, so that its drafts are never older than that."""
    return _requests(context, billing, _open, "No period is open that Dagster knows.")


@_schedule("5 0 * * *")
def close_through_grace(context: dg.ScheduleEvaluationContext, billing: BillingResource) -> Requests:
    """Every day just after midnight: the periods that have ended and are not locked."""
    return _requests(context, billing, _in_grace, "No period is in grace.")


@_schedule("45 * * * *", upkeep)
def hourly_upkeep(context: dg.ScheduleEvaluationContext, billing: BillingResource) -> Requests:
    """Every hour: lake files that were restored, for which customers wait; and what crashes left behind."""
    try:
        _ = billing.open().facts
    except LedgerError as error:
        return dg.SkipReason(str(error))
    return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())


@_schedule("0 * * * *", invoice_windows, "UTC")
def on_demand_windows(context: dg.ScheduleEvaluationContext, billing: BillingResource) -> Requests:
    """Every full hour (UTC): the windows on demand that are over; after downtime all that were missed, in order."""
    return _requests(context, billing, _windows, "No window on demand is due.")


SCHEDULES = (heartbeat, close_through_grace, hourly_upkeep, on_demand_windows)


def _open(billing: Billing) -> list[str]:
    now = billing.now()
    return [standing.period.key for standing in standings(billing) if standing.period.end > now]


def _windows(billing: Billing) -> list[str]:
    """The period that holds the last instant of the window that has just ended."""
    period = billing.calendar.period_of(billing.now() - MOMENT)
    return [period.key] if period is not None and windows_due(billing) else []


def _in_grace(billing: Billing) -> list[str]:
    now = billing.now()
    return [
        standing.period.key
        for standing in standings(billing)
        if standing.period.end <= now and standing.progress.drafts
    ]


def _requests(
    context: dg.ScheduleEvaluationContext,
    billing: BillingResource,
    keys: Callable[[Billing], list[str]],
    otherwise: str,
) -> Requests:
    try:
        open_keys = [key for key in keys(billing.open()) if BILLING_PERIODS.has_partition_key(key)]
    except LedgerError as error:
        return dg.SkipReason(str(error))
    at = context.scheduled_execution_time.isoformat()
    return [dg.RunRequest(run_key=f"{key}:{at}", partition_key=key) for key in open_keys] or dg.SkipReason(otherwise)
