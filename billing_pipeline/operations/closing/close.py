"""Close a period: usage → quantities → lines → documents, for whoever is dirty. Repeating it changes nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from time import monotonic

from billing_pipeline.core.errors import UsageError
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger.periods import periods
from billing_pipeline.ledger.periods.periods import Stage
from billing_pipeline.operations.closing import lake_files
from billing_pipeline.operations.closing.invoice import invoice_unit
from billing_pipeline.operations.closing.meter import meter_unit, rows_to_read
from billing_pipeline.operations.closing.rate import rate_unit
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.parallel import run_units
from billing_pipeline.operations.stage_report import StageReport, note_stages
from billing_pipeline.operations.unit import Unit

_STAGES = {Stage.METER: meter_unit, Stage.RATE: rate_unit, Stage.INVOICE: invoice_unit}
_ROWS_PER_CUSTOMER = 10  # of a customer who waits to be rated or invoiced


def close(billing: Billing, period: BillingPeriod, stages: Sequence[Stage] = tuple(_STAGES)) -> tuple[StageReport, ...]:
    """Bring the period's documents up to the newest usage and catalog; returns what each stage did.

    Each unit of buckets goes through the stages one after the other, in a transaction each; the seconds of a stage are
    those of all units together.

    Args:
        billing: the ledger.
        period: which to close.
        stages: all three, or one alone: then only who waits for it goes through it.
    """
    rows = _rows(billing, period, stages[0])
    counts = {stage: Counter[str]() for stage in stages}
    seconds = dict.fromkeys(stages, 0.0)
    progress = billing.watch(f"{'close' if len(stages) > 1 else stages[0]} {period.key}")
    run = partial(run_units, billing, close_unit, rows, period.key, stages, progress=progress)
    try:
        units = run()
    except UsageError:
        if not lake_files.explains(billing, period):
            raise
        units = run()  # without what cannot be read: who is in it is held now
    for unit in units:
        for stage, (counted, took) in unit.items():
            counts[stage].update(counted)
            seconds[stage] += took
    return note_stages(billing, period, {stage: (counts[stage], seconds[stage]) for stage in stages})


def _rows(billing: Billing, period: BillingPeriod, first: Stage) -> int:
    """Roughly how many rows the stages touch: metering reads usage, the others what it left to do."""
    if first == Stage.METER:
        return rows_to_read(billing, period)
    with billing.ledger.begin() as connection:
        return periods.waiting(connection, period.first_day, first) * _ROWS_PER_CUSTOMER


def close_unit(
    billing: Billing, key: str, stages: Sequence[Stage], buckets: Unit
) -> Mapping[Stage, tuple[Mapping[str, int], float]]:
    """Stages of these buckets, one after the other: what each counted, and how long it took."""
    done = {}
    for stage in stages:
        started = monotonic()
        done[stage] = (_STAGES[stage](billing, key, buckets), monotonic() - started)
    return done
