"""What a stage did, for people and machines alike."""

from collections.abc import Mapping
from dataclasses import dataclass

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.core.plain_json import JsonFields
from billing_pipeline.ledger.periods import periods, runs
from billing_pipeline.ledger.periods.periods import Stage
from billing_pipeline.operations.context import Billing


@dataclass(frozen=True, slots=True)
class StageReport(JsonFields):
    """One stage of one period.

    Attributes:
        counts: how many of what, e.g. ``customers``, ``versions``.
        through_batch: the last batch it includes.
        seconds: elapsed.
    """

    period: str
    stage: Stage
    counts: Mapping[str, int]
    through_batch: int
    seconds: float


def note_stage(
    billing: Billing, period: BillingPeriod, stage: Stage, counts: Mapping[str, int], seconds: float
) -> StageReport:
    """Note in the ledger that a stage ran in a period, and what it did."""
    now = billing.now()
    with billing.ledger.begin() as connection:
        reached = periods.reached(connection, period.first_day)
        runs.note_run(
            connection,
            period=period.first_day,
            stage=stage,
            at=now,
            seconds=seconds,
            through_batch=reached,
            counts=dict(counts),
            actor=billing.actor,
        )
    return StageReport(period.key, stage, dict(counts), reached, seconds)
