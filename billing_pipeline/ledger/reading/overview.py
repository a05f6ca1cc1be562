"""What concerns all periods at once: new subscriptions, what ran, what is unchecked, quarantined, refused or paid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text

from billing_pipeline.ledger.database import fetch


def first_start(connection: Connection) -> datetime | None:
    """When the earliest subscription starts that was ever recorded; None: there is none."""
    query = text("SELECT min(CAST(content ->> 'start' AS timestamptz)) FROM catalog_entry WHERE kind = 'subscription'")
    first: datetime | None = connection.scalar(query)
    return first


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one stage of a period."""

    period: date
    stage: str
    at: datetime
    seconds: float
    through_batch: int
    counts: Mapping[str, Any]
    actor: str


def last_runs(connection: Connection) -> list[Run]:
    """The last run of each stage, by period in order."""
    query = text("""
        SELECT DISTINCT ON (period, stage) period, stage, at, seconds, through_batch, counts, actor FROM stage_run
        ORDER BY period, stage, id DESC
    """)
    return [Run(*row) for row in connection.execute(query)]


def last_invoicing(connection: Connection, period: date, at: datetime) -> Run | None:
    """The last time that the period's documents were computed until ``at``."""
    query = text("""
        SELECT period, stage, at, seconds, through_batch, counts, actor FROM stage_run
        WHERE period = :period AND stage = 'invoice' AND at <= :at ORDER BY id DESC LIMIT 1
    """)
    row = connection.execute(query, {"period": period, "at": at}).one_or_none()
    return Run(*row) if row else None


def unchecked(connection: Connection) -> set[date]:
    """Periods in which documents were computed, usage was received, or any quarantined at all, since their last check.

    Also those in which a check holds somebody, and the catalog changed since: that may be how it was mended.
    A quarantined row may name no period that could be believed, so it concerns each that was ever computed.
    """
    query = text("""
        WITH checked AS (
            SELECT period, max(id) AS id, max(through_batch) AS batch, max(at) AS at FROM stage_run
            WHERE stage = 'check' GROUP BY period
        ), last AS (
            SELECT period, max(id) FILTER (WHERE counts ->> 'customers' <> '0' OR counts ->> 'versions' <> '0') AS id
            FROM stage_run WHERE stage = 'invoice' GROUP BY period
        )
        SELECT l.period FROM last AS l LEFT JOIN checked AS c ON c.period = l.period
        WHERE l.id > coalesce(c.id, 0) OR (SELECT max(number) FROM batch WHERE quarantined > 0) > c.batch
           OR (SELECT max(batch) FROM batch_period AS b WHERE b.period = l.period) > c.batch
           OR ((SELECT max(recorded_at) FROM catalog_change) >= c.at AND EXISTS (
               SELECT FROM open_hold AS h WHERE h.period = l.period AND h.actor = 'check'
           ))
    """)
    return set(connection.scalars(query))


class QuarantinedRows(NamedTuple):
    """Rows of one source that wait in quarantine with the same fault."""

    source: str
    code: str
    rows: int


class RefusedFile(NamedTuple):
    """A file in the landing folder that could not be landed, and why."""

    url: str
    error: str
    seen_at: datetime


def quarantined(connection: Connection) -> Sequence[QuarantinedRows]:
    """The rows that wait in quarantine, by source and fault, most first."""
    query = text("""
        SELECT b.source, q.code, count(*) AS rows FROM quarantine AS q JOIN batch AS b ON b.number = q.batch
        WHERE NOT EXISTS (SELECT FROM quarantine_replay AS r WHERE r.quarantine_id = q.id)
        GROUP BY b.source, q.code ORDER BY rows DESC, b.source, q.code
    """)
    return [QuarantinedRows(*row) for row in connection.execute(query)]


def refused_files(connection: Connection) -> Sequence[RefusedFile]:
    """The files in the landing folder that could not be landed, oldest first."""
    query = text("SELECT url, error, seen_at FROM landing_file WHERE error IS NOT NULL ORDER BY seen_at, url")
    return [RefusedFile(*row) for row in connection.execute(query)]


def payments(connection: Connection) -> Mapping[str, int]:
    """How many payments there are, by status."""
    query = text("""
        SELECT status, count(*) AS payments FROM (
            SELECT DISTINCT ON (document) status FROM payment_event ORDER BY document, id DESC
        ) AS last GROUP BY status ORDER BY status
    """)
    rows = connection.execute(query)
    return {row.status: row.payments for row in rows}


def on_demand(connection: Connection, period: date) -> Sequence[Row[Any]]:
    """The period's documents on demand that are issued and not void, the last window first."""
    query = """
        SELECT number, customer_id, window_end, total_minor, currency FROM current_document
        WHERE period = :period AND kind = 'on_demand' AND status = 'finalized'
        ORDER BY window_end DESC, number DESC
    """
    return fetch(connection, query, period=period)
