"""What happens by the clock: the open period's heartbeat, and the close of each period through its grace.

A schedule built from a partitioned job would pick the partition that has just opened; these ask the ledger.
"""

from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.operations.dirty import Standing, standings
from billing_pipeline.pipeline.jobs import close_period
from billing_pipeline.pipeline.partitions import BILLING_PERIODS
from billing_pipeline.pipeline.resources import BillingResource
from billing_pipeline.settings import load_settings

Requests = Iterator[dg.RunRequest | dg.SkipReason]


def _standings(billing: BillingResource) -> tuple[list[Standing], datetime] | dg.SkipReason:
    try:
        opened = billing.open()
        return standings(opened), opened.now()
    except LedgerError as error:
        return dg.SkipReason(str(error))


@dg.schedule(
    job=close_period,
    cron_schedule="15 * * * *",
    execution_timezone=load_settings().time_zone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def heartbeat(context: dg.ScheduleEvaluationContext, billing: BillingResource) -> Requests:
    """Every hour: the open period, so that its drafts are never older than that."""
    found = _standings(billing)
    if isinstance(found, dg.SkipReason):
        yield found
        return
    standing, now = found
    running = [one.period.key for one in standing if one.period.end > now]
    yield from _requests(context, running, "No period is open.")


@dg.schedule(
    job=close_period,
    cron_schedule="5 0 * * *",
    execution_timezone=load_settings().time_zone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def close_through_grace(context: dg.ScheduleEvaluationContext, billing: BillingResource) -> Requests:
    """Every day just after midnight: the periods that have ended and are not locked."""
    found = _standings(billing)
    if isinstance(found, dg.SkipReason):
        yield found
        return
    standing, now = found
    in_grace = [one.period.key for one in standing if one.period.end <= now and one.progress.drafts]
    yield from _requests(context, in_grace, "No period is in grace.")


def _requests(context: dg.ScheduleEvaluationContext, keys: list[str], otherwise: str) -> Requests:
    known = [key for key in keys if BILLING_PERIODS.has_partition_key(key)]
    if not known:
        yield dg.SkipReason(otherwise)
    at = context.scheduled_execution_time.isoformat()
    for key in known:
        yield dg.RunRequest(run_key=f"{key}:{at}", partition_key=key)


SCHEDULES = (heartbeat, close_through_grace)
