"""Close a period: usage → quantities → lines → documents, for whoever is dirty. Repeating it changes nothing."""

from collections import Counter
from collections.abc import Mapping
from time import monotonic

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.operations.closing.invoice import invoice_unit
from billing_pipeline.operations.closing.meter import meter_unit, rows_to_read
from billing_pipeline.operations.closing.rate import rate_unit
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.parallel import run_units
from billing_pipeline.operations.stage_report import StageReport, note_stage
from billing_pipeline.operations.unit import Unit

_STAGES = {"meter": meter_unit, "rate": rate_unit, "invoice": invoice_unit}


def close(billing: Billing, period: BillingPeriod) -> tuple[StageReport, ...]:
    """Bring the period's documents up to the newest usage and catalog; returns what each stage did.

    Each unit of buckets goes through the stages one after the other, in a transaction each; the seconds of a stage are
    those of all units together.
    """
    counts = {stage: Counter[str]() for stage in _STAGES}
    seconds = dict.fromkeys(_STAGES, 0.0)
    progress = billing.watch(f"close {period.key}")
    for unit in run_units(billing, close_unit, rows_to_read(billing, period), period.key, progress=progress):
        for stage, (counted, took) in unit.items():
            counts[stage].update(counted)
            seconds[stage] += took
    return tuple(note_stage(billing, period, stage, counts[stage], seconds[stage]) for stage in _STAGES)


def close_unit(billing: Billing, key: str, buckets: Unit) -> Mapping[str, tuple[Mapping[str, int], float]]:
    """All stages of these buckets: stage → what it counted, and how long it took."""
    done = {}
    for stage, work in _STAGES.items():
        started = monotonic()
        done[stage] = (work(billing, key, buckets), monotonic() - started)
    return done
