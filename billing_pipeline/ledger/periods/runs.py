"""What ran in a period, what could not, and where the rows of its usage ended."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime

from sqlalchemy import Connection, delete, insert, select, text, tuple_

from billing_pipeline.ledger.database import fetch
from billing_pipeline.ledger.periods.periods import Stage
from billing_pipeline.ledger.tables import failed_step, stage_run


def note_run(
    connection: Connection,
    *,
    period: date,
    stage: Stage,
    at: datetime,
    seconds: float,
    through_batch: int,
    counts: Mapping[str, int | str],
    actor: str,
) -> None:
    """Keep what a stage of a period did, for people: what ran, when, how long, how much."""
    connection.execute(
        insert(stage_run).values(
            period=period,
            stage=stage,
            at=at,
            seconds=seconds,
            through_batch=through_batch,
            counts=dict(counts),
            actor=actor,
        )
    )


def unchecked(connection: Connection, periods: Collection[date], batch: int) -> set[date]:
    """Those of the periods with usage through ``batch`` that no check of theirs has looked at."""
    query = """
        SELECT b.period FROM batch_period AS b WHERE b.period = ANY(:periods) AND b.batch <= :batch
        GROUP BY b.period HAVING max(b.batch) > coalesce(
            (SELECT max(through_batch) FROM stage_run AS r WHERE r.period = b.period AND r.stage = 'check'), 0)
    """
    return {row.period for row in fetch(connection, query, periods=periods, batch=batch)}


@dataclass(frozen=True, slots=True)
class FailedStep:
    """A step that could not be done when it was last tried.

    Attributes:
        period: its key; None where the step belongs to none.
        hint: what to do.
        since: when it failed first, and was not done since.
        times: how often it failed since then.
    """

    step: str
    period: str | None
    error: str
    hint: str
    since: datetime
    last_at: datetime
    times: int = 1


def note_failed(connection: Connection, failed: FailedStep) -> None:
    """Keep that a step could not be done, once more."""
    connection.execute(
        text("""
            INSERT INTO failed_step AS f (step, period, error, hint, since, last_at, times)
            VALUES (:step, :period, :error, :hint, :since, :last_at, :times) ON CONFLICT (step, period) DO UPDATE SET
                error = excluded.error, hint = excluded.hint, last_at = excluded.last_at,
                times = f.times + excluded.times
        """),
        asdict(failed) | {"period": failed.period or ""},
    )


def forget_failed(connection: Connection, steps: Collection[tuple[str, str | None]]) -> None:
    """Forget that steps, (name, period), could not be done: they were, or nothing is left to do."""
    keys = [(step, period or "") for step, period in steps]
    connection.execute(delete(failed_step).where(tuple_(failed_step.c.step, failed_step.c.period).in_(keys)))


def failed_steps(connection: Connection) -> list[FailedStep]:
    """The steps that could not be done when they were last tried, the oldest failure first."""
    rows = connection.execute(select(failed_step).order_by(failed_step.c.since, failed_step.c.step))
    return [
        FailedStep(row.step, row.period or None, row.error, row.hint, row.since, row.last_at, row.times) for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Where every row of usage that landed in a period ended; quarantined ones are counted by batch.

    Attributes:
        files: rows of the manifest's files, i.e. what landed in the period and was not quarantined.
    """

    files: int
    accepted: int
    superseded: int
    retracted: int
    unpriced: int

    @property
    def balanced(self) -> bool:
        """Whether no row of usage is lost and none is counted twice."""
        return self.files == self.accepted + self.superseded + self.retracted


def reconciliation(connection: Connection, period: date) -> Reconciliation:
    """Count a period's rows of usage in the manifest, and in what metering said of them."""
    query = """
        WITH reached AS (
            SELECT coalesce(min(through_batch), 0) AS batch FROM period_bucket WHERE period = :period
        )
        SELECT (SELECT coalesce(sum(rows), 0) FROM lake_file, reached
                WHERE period = :period AND lake_file.batch <= reached.batch) AS files,
               coalesce(sum(accepted), 0) AS accepted, coalesce(sum(superseded), 0) AS superseded,
               coalesce(sum(retracted), 0) AS retracted, coalesce(sum(unpriced), 0) AS unpriced
        FROM usage_count WHERE period = :period
    """
    (row,) = fetch(connection, query, period=period)
    return Reconciliation(*(int(count) for count in row))
