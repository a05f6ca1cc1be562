"""What happens by itself. A sensor only asks the ledger what there is to do; whatever it launches is safe to repeat.

Run keys name what was seen, so that a tick which sees the same launches nothing new; each holds an hour of the clock,
so that what failed is tried again.
"""

from collections.abc import Iterator
from hashlib import sha256

import dagster as dg

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger import payments as outbox
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.dirty import standings
from billing_pipeline.operations.land_waiting import waiting_files
from billing_pipeline.pipeline.jobs import close_period, deliver_payments, land_usage, lock_period
from billing_pipeline.pipeline.partitions import BILLING_PERIODS
from billing_pipeline.pipeline.resources import BillingResource

Requests = Iterator[dg.RunRequest | dg.SkipReason]
_RUNNING = dg.DefaultSensorStatus.RUNNING


def _opened(billing: BillingResource) -> Billing | dg.SkipReason:
    """The ledger, or why there is none yet."""
    try:
        opened = billing.open()
        _ = opened.facts
    except LedgerError as error:
        return dg.SkipReason(str(error))
    return opened


def _hour(billing: Billing) -> str:
    return billing.now().strftime("%Y-%m-%dT%H")


@dg.sensor(job=land_usage, minimum_interval_seconds=30, default_status=_RUNNING)
def files_landed(context: dg.SensorEvaluationContext, billing: BillingResource) -> Requests:
    """Files in the landing folder that have not landed as they are; the cursor says what was seen last."""
    opened = _opened(billing)
    if isinstance(opened, dg.SkipReason):
        yield opened
        return
    waiting = waiting_files(opened)
    if not waiting:
        yield dg.SkipReason("No new files in the landing folder.")
        return
    seen = sha256(repr(sorted(waiting)).encode()).hexdigest()[:16]
    context.update_cursor(seen)
    yield dg.RunRequest(run_key=f"{seen}:{_hour(opened)}")


@dg.sensor(job=close_period, minimum_interval_seconds=30, default_status=_RUNNING)
def dirty_periods(billing: BillingResource) -> Requests:
    """Periods with late usage, catalog changes or work left half done, whatever their age."""
    opened = _opened(billing)
    if isinstance(opened, dg.SkipReason):
        yield opened
        return
    dirty = [one for one in standings(opened) if one.dirty]
    if not dirty:
        yield dg.SkipReason("Every period is computed through everything that is known.")
    for one in dirty:
        if not BILLING_PERIODS.has_partition_key(one.period.key):
            yield dg.SkipReason(
                f"{one.period.key} lies beyond today; a sandbox ahead of it is run with 'billing tick'."
            )
            continue
        progress = one.progress
        seen = f"{progress.newest_batch}:{progress.through_batch}:{progress.through_change}:{progress.pending}"
        yield dg.RunRequest(run_key=f"{one.period.key}:{seen}:{_hour(opened)}", partition_key=one.period.key)


@dg.sensor(job=lock_period, minimum_interval_seconds=30, default_status=_RUNNING)
def due_documents(billing: BillingResource) -> Requests:
    """Periods with documents whose lock_at has passed and that nothing holds."""
    opened = _opened(billing)
    if isinstance(opened, dg.SkipReason):
        yield opened
        return
    due = [one for one in standings(opened) if one.progress.drafts and one.progress.drafts.due_and_free]
    if not due:
        yield dg.SkipReason("No document is due.")
    for one in due:
        drafts = one.progress.drafts
        seen = f"{drafts.due_and_free if drafts else 0}:{one.progress.newest_batch}"
        yield dg.RunRequest(run_key=f"{one.period.key}:{seen}:{_hour(opened)}", partition_key=one.period.key)


@dg.sensor(job=deliver_payments, minimum_interval_seconds=30, default_status=_RUNNING)
def queued_payments(billing: BillingResource) -> Requests:
    """Payments that are queued, or due for another try."""
    opened = _opened(billing)
    if isinstance(opened, dg.SkipReason):
        yield opened
        return
    now = opened.now()
    with opened.ledger.begin() as connection:
        due = outbox.due_by_gateway(connection, now)
    if not due:
        yield dg.SkipReason("Nothing is queued for payment.")
        return
    yield dg.RunRequest(run_key=f"{sorted(due.items())}:{now.strftime('%Y-%m-%dT%H:%M')}")


SENSORS = (files_landed, dirty_periods, due_documents, queued_payments)
