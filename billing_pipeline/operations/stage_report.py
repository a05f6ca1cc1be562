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


def note_stages(
    billing: Billing, period: BillingPeriod, ran: Mapping[Stage, tuple[Mapping[str, int], float]]
) -> tuple[StageReport, ...]:
    """Note in the ledger that stages ran in a period: what each counted, and its seconds."""
    with billing.ledger.begin() as connection:
        now, reached = billing.now(connection), periods.reached(connection, period.first_day)
        for stage, (counts, seconds) in ran.items():
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
    return tuple(
        StageReport(period.key, stage, dict(counts), reached, seconds) for stage, (counts, seconds) in ran.items()
    )
