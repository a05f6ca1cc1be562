"""What ran in a period, and where the rows of its usage ended."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, insert

from billing_pipeline.ledger.database import fetch
from billing_pipeline.ledger.periods.periods import Stage
from billing_pipeline.ledger.tables import stage_run


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
