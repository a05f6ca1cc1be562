"""What happens by itself. A sensor only asks the ledger what there is to do; whatever it launches is safe to repeat.

Run keys name what was seen, so that a tick which sees the same launches nothing new; each holds the hour, so that what
failed is tried again. The hour is the machine's: a sandbox's clock may stand still.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import dagster as dg

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.operations.closing.standings import Standing, standings
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.due import due_payments, lockable, unchecked
from billing_pipeline.operations.landing.landing_folder import waiting_files
from billing_pipeline.pipeline.jobs import close_period, deliver_payments, land_usage, lock_period
from billing_pipeline.pipeline.partitions import BILLING_PERIODS
from billing_pipeline.pipeline.resources import BillingResource

Answer = dg.SensorResult | dg.SkipReason
_SECONDS = 30  # between two looks


def _sensor(job: Any) -> Callable[[Callable[[BillingResource], Answer]], dg.SensorDefinition]:
    """On by default; the UI shows the docstring."""
    return lambda look: dg.sensor(
        job=job,
        description=look.__doc__,
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )(look)


@_sensor(land_usage)
def files_landed(billing: BillingResource) -> Answer:
    """Files in the landing folder that have not landed as they are; the cursor says what was seen last."""
    return _ask(billing, _files)


@_sensor(close_period)
def dirty_periods(billing: BillingResource) -> Answer:
    """Periods with late usage, catalog changes, or work left half done or unchecked, whatever their age."""
    return _ask(billing, _dirty)


@_sensor(lock_period)
def due_documents(billing: BillingResource) -> Answer:
    """Periods with documents whose lock_at has passed and that nothing holds."""
    return _ask(billing, _due)


@_sensor(deliver_payments)
def queued_payments(billing: BillingResource) -> Answer:
    """Payments that are queued, or due for another try."""
    return _ask(billing, _queued)


SENSORS = (files_landed, dirty_periods, due_documents, queued_payments)


def _ask(billing: BillingResource, question: Callable[[Billing], Answer]) -> Answer:
    """What the ledger answers, or why there is none yet."""
    try:
        return question(billing.open())
    except LedgerError as error:
        return dg.SkipReason(str(error))


def _files(billing: Billing) -> Answer:
    _ = billing.facts
    if not (waiting := waiting_files(billing)):
        return dg.SkipReason(f"No new files in {billing.settings.landing}.")
    return dg.SensorResult(
        [_request(None, repr(waiting))], cursor=f"{len(waiting)} files, the newest {waiting[-1].url}"
    )


def _dirty(billing: Billing) -> Answer:
    periods = standings(billing)
    later = set(unchecked(billing, periods))
    dirty = [standing for standing in periods if standing.dirty or standing.period in later]
    if not dirty:
        return dg.SkipReason("Every period is computed through everything that is known, and checked.")
    return _requests((standing, (standing.progress.pending, standing.period in later)) for standing in dirty)


def _due(billing: Billing) -> Answer:
    due = lockable(billing, standings(billing))
    if not due:
        return dg.SkipReason("No document is due that nothing holds.")
    return _requests((standing, standing.progress.drafts) for standing in due)


def _queued(billing: Billing) -> Answer:
    _ = billing.facts
    if not (due := due_payments(billing)):
        return dg.SkipReason("Nothing is queued for payment.")
    return dg.SensorResult([_request(None, repr(due))])


def _requests(periods: Iterable[tuple[Standing, object]]) -> Answer:
    """A run for each period; Dagster knows none after today, which a sandbox's clock may have left behind."""
    beyond, requests = list[str](), list[dg.RunRequest]()
    for standing, more in periods:
        key, progress = standing.period.key, standing.progress
        if not BILLING_PERIODS.has_partition_key(key):
            beyond.append(key)
            continue
        # How far the period is: after a run that did something it is farther.
        reached = (progress.newest_batch, progress.through_batch, progress.through_change, progress.closed)
        requests.append(_request(key, repr((reached, sorted(progress.documents.items()), more))))
    if requests:
        return dg.SensorResult(requests)
    return dg.SkipReason(f"{', '.join(beyond)}: beyond today. Run a sandbox that is ahead of it with: billing tick")


def _request(partition_key: str | None, seen: str) -> dg.RunRequest:
    digest = sha256(seen.encode()).hexdigest()[:16]
    return dg.RunRequest(run_key=f"{partition_key or 'all'}:{digest}:{hour()}", partition_key=partition_key)


def hour() -> str:
    """Part of each run key."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H}"
