"""What happens by itself. A sensor only asks the ledger what there is to do; whatever it launches is safe to repeat.

Run keys name what was seen, so that a tick which sees the same launches nothing new. What failed is tried again after a
minute, then after two, four, … up to an hour, and until then the sensor says that it waits. Each key holds the hour, so
that what succeeded and left all as it was is looked at again. Hours and minutes are the machine's: a sandbox's clock
may stand still.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

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
_LONGEST_WAIT = timedelta(hours=1)
_MOST_FAILURES = 10  # more of them wait no longer
_SEEN = "billing/seen"  # tag of a run: what was seen when it was asked for


Look = Callable[[dg.SensorEvaluationContext, BillingResource], Answer]


def _sensor(job: Any) -> Callable[[Look], dg.SensorDefinition]:
    """On by default; the UI shows the docstring."""
    return lambda look: dg.sensor(
        job=job,
        description=look.__doc__,
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )(look)


@_sensor(land_usage)
def files_landed(context: dg.SensorEvaluationContext, billing: BillingResource) -> Answer:
    """Files in the landing folder that have not landed as they are; the cursor says what was seen last."""
    return _ask(context, billing, _files)


@_sensor(close_period)
def dirty_periods(context: dg.SensorEvaluationContext, billing: BillingResource) -> Answer:
    """Periods with late usage, catalog changes, or work left half done or unchecked, whatever their age."""
    return _ask(context, billing, _dirty)


@_sensor(lock_period)
def due_documents(context: dg.SensorEvaluationContext, billing: BillingResource) -> Answer:
    """Periods with documents whose lock_at has passed and that nothing holds."""
    return _ask(context, billing, _due)


@_sensor(deliver_payments)
def queued_payments(context: dg.SensorEvaluationContext, billing: BillingResource) -> Answer:
    """Payments that are queued, or due for another try."""
    return _ask(context, billing, _queued)


SENSORS = (files_landed, dirty_periods, due_documents, queued_payments)


def _ask(
    context: dg.SensorEvaluationContext, billing: BillingResource, question: Callable[[Billing], Answer]
) -> Answer:
    """What the ledger answers, or why there is none yet; what failed just now is not asked for again at once."""
    try:
        answer = question(billing.open())
    except LedgerError as error:
        return dg.SkipReason(str(error))
    return answer if isinstance(answer, dg.SkipReason) else _in_time(context, answer)


def _in_time(context: dg.SensorEvaluationContext, asked: dg.SensorResult) -> Answer:
    """The runs that are asked for, but those that failed and wait; who waits is said."""
    turns = [_turn(context.instance, request) for request in asked.run_requests or ()]
    waiting = [turn for turn in turns if isinstance(turn, str)]
    requests = [turn for turn in turns if isinstance(turn, dg.RunRequest)]
    for line in waiting:
        context.log.warning(line)
    return dg.SensorResult(requests, cursor=asked.cursor) if requests else dg.SkipReason(" ".join(waiting))


def _turn(instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.RunRequest | str:
    """A run that may start now, under a key of its own for each try; or until when it waits, and why."""
    failures, last = _failures(instance, request.tags[_SEEN])
    if not failures:
        return request
    again_at = last + min(timedelta(minutes=2 ** (failures - 1)), _LONGEST_WAIT)
    if again_at > machine_now():
        times = "once" if failures == 1 else f"{failures} times"
        return f"{request.partition_key or 'The run'} failed {times}; it is tried again at {again_at:%H:%M:%S} UTC."
    key = f"{request.tags[_SEEN]}:try {failures + 1}"
    return dg.RunRequest(key, partition_key=request.partition_key, tags=request.tags)


def _failures(instance: dg.DagsterInstance, seen: str) -> tuple[int, datetime]:
    """How often a run of what was seen has failed, one after the other, and when it did last."""
    failed = list[float]()
    for record in instance.get_run_records(RunsFilter(tags={_SEEN: seen}), limit=_MOST_FAILURES):  # the newest first
        if record.dagster_run.status is DagsterRunStatus.FAILURE:
            failed.append(record.end_time or record.update_timestamp.timestamp())
        elif record.dagster_run.is_finished:
            break
    return len(failed), datetime.fromtimestamp(max(failed, default=0), UTC)


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
    base = f"{partition_key or 'all'}:{sha256(seen.encode()).hexdigest()[:16]}"
    return dg.RunRequest(f"{base}:{hour()}", partition_key=partition_key, tags={_SEEN: base})


def hour() -> str:
    """Part of each run key."""
    return f"{machine_now():%Y-%m-%dT%H}"


def machine_now() -> datetime:
    """Now, by the machine: a sandbox's clock may stand still."""
    return datetime.now(UTC)
