"""Where all periods stand: how far each is computed, what of it may lock, what keeps it. All in a few queries."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class PeriodProgress:
    """How far one period is computed.

    Attributes:
        buckets: how many buckets were computed at all.
        through_batch: the batch that all of them are metered through; 0 where one never was.
        through_change: the same for catalog changes.
        closed: whether all of them were invoiced at or after the period's end.
        newest_batch: the newest batch with usage in the period, or that took some from it; 0: none.
        pending: customers that wait to be rated or invoiced.
        documents: how many there are, by status.
        drafts: what of them may lock when.
    """

    buckets: int = 0
    through_batch: int = 0
    through_change: int = 0
    closed: bool = False
    newest_batch: int = 0
    pending: int = 0
    documents: Mapping[str, int] = field(default_factory=dict)
    drafts: "Drafts | None" = None

    @property
    def used(self) -> bool:
        """Whether anything is known of the period."""
        return bool(self.newest_batch or self.documents or self.pending)

    @property
    def locked(self) -> bool:
        """Whether it has documents, and each is finalized or void."""
        return bool(self.documents) and not self.documents.get("draft")


@dataclass(frozen=True, slots=True)
class Drafts:
    """The documents of a period that are not final.

    Attributes:
        next_lock_at: the first ``lock_at`` among them.
        due: how many have a ``lock_at`` that has passed.
        due_and_free: those of them that no hold keeps.
        due_without_usage: those of the free ones that wait for no source either.
    """

    next_lock_at: datetime
    due: int
    due_and_free: int
    due_without_usage: int


def progress(connection: Connection, buckets: int, now: datetime) -> dict[date, PeriodProgress]:
    """All periods of which anything is known, by first local day.

    Args:
        connection: of the ledger.
        buckets: how many there are in all.
        now: the ledger's clock.
    """
    found = defaultdict[date, dict[str, Any]](dict)
    for row in connection.execute(_BUCKETS):
        whole = row.buckets == buckets
        found[row.period] |= {
            "buckets": row.buckets,
            "through_batch": row.through_batch if whole else 0,
            "through_change": row.through_change if whole else 0,
            "closed": whole and row.closed,
        }
    for row in connection.execute(_BATCHES):
        found[row.period]["newest_batch"] = row.newest_batch
    for row in connection.execute(_PENDING):
        found[row.period]["pending"] = row.pending
    for period, (documents, drafts) in _documents(connection, now).items():
        found[period] |= {"documents": documents, "drafts": drafts}
    return {period: PeriodProgress(**known) for period, known in found.items()}


def _documents(connection: Connection, now: datetime) -> dict[date, tuple[Mapping[str, int], Drafts | None]]:
    """By period: documents by status, and the drafts among them. What is final is only counted."""
    void = {row.period: row.documents for row in connection.execute(_VOID)}
    open_ = {row.period: row for row in connection.execute(_NOT_FINAL, {"now": now})}
    found: dict[date, tuple[Mapping[str, int], Drafts | None]] = {}
    for period, documents in connection.execute(_DOCUMENTS):
        row, gone = open_.get(period), void.get(period, 0)
        final = documents - gone - (row.documents if row else 0)
        drafts = None
        if row and row.drafts:
            drafts = Drafts(row.next_lock_at, row.due, row.due_and_free, row.due_without_usage)
        counts = {"draft": row.drafts if row else 0, "finalized": final, "void": gone}
        found[period] = {name: count for name, count in counts.items() if count}, drafts
    return found


_BUCKETS = text("""
    SELECT period, count(*) AS buckets, min(through_batch) AS through_batch, min(through_change) AS through_change,
           bool_and(closed) AS closed
    FROM period_bucket GROUP BY period
""")
_BATCHES = text("SELECT period, max(batch) AS newest_batch FROM batch_period GROUP BY period")
_PENDING = text("SELECT period, count(*) AS pending FROM customer_period WHERE pending IS NOT NULL GROUP BY period")
_DOCUMENTS = text("SELECT period, count(*) AS documents FROM document GROUP BY period")
_VOID = text("""
    SELECT d.period, count(*) AS documents FROM document_void AS v JOIN document AS d ON d.id = v.document
    GROUP BY d.period
""")
# A document without any state is a draft that nothing called for any more before its period ended.
_NOT_FINAL = text("""
    SELECT period, count(*) AS documents, count(lock_at) AS drafts, min(lock_at) AS next_lock_at,
           count(*) FILTER (WHERE lock_at <= :now) AS due,
           count(*) FILTER (WHERE lock_at <= :now AND NOT held) AS due_and_free,
           count(*) FILTER (WHERE lock_at <= :now AND NOT held AND NOT has_usage) AS due_without_usage
    FROM (
        SELECT d.period, s.lock_at, s.has_usage, EXISTS (
            SELECT FROM hold AS h LEFT JOIN hold_release AS r ON r.hold = h.id
            WHERE h.period = d.period AND h.customer = d.customer AND r.hold IS NULL
        ) AS held
        FROM document AS d LEFT JOIN LATERAL (
            (SELECT lock_at, has_usage FROM document_version WHERE document = d.id ORDER BY version DESC LIMIT 1)
            UNION ALL SELECT lock_at, has_usage FROM draft_document WHERE document = d.id
        ) AS s ON true
        WHERE NOT EXISTS (SELECT FROM finalization AS f WHERE f.document = d.id)
    ) AS documents GROUP BY period
""")


def newest_subscriptions(connection: Connection, after: int) -> list[tuple[int, datetime, datetime | None]]:
    """(change, start, end) of the subscriptions that were first recorded after a catalog change."""
    query = text("""
        SELECT e.change, CAST(e.content ->> 'start' AS timestamptz) AS start,
               CAST(e.content ->> 'end' AS timestamptz) AS "end"
        FROM catalog_entry AS e WHERE e.kind = 'subscription' AND e.change > :after AND NOT EXISTS (
            SELECT FROM catalog_entry AS f WHERE f.kind = e.kind AND f.id = e.id AND f.change < e.change)
    """)
    return [(row.change, row.start, row.end) for row in connection.execute(query, {"after": after})]


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
    """Periods in which documents were computed, or anything was quarantined at all, after they were last checked.

    A quarantined row may name no period that could be believed, so it concerns each that was ever computed.
    """
    query = text("""
        WITH checked AS (
            SELECT period, max(id) AS id, max(through_batch) AS batch FROM stage_run
            WHERE stage = 'check' GROUP BY period
        ), last AS (
            SELECT period, max(id) FILTER (WHERE counts ->> 'customers' <> '0' OR counts ->> 'versions' <> '0') AS id
            FROM stage_run WHERE stage = 'invoice' GROUP BY period
        )
        SELECT l.period FROM last AS l LEFT JOIN checked AS c ON c.period = l.period
        WHERE l.id > coalesce(c.id, 0) OR (SELECT max(number) FROM batch WHERE quarantined > 0) > c.batch
    """)
    return set(connection.scalars(query))


def quarantined(connection: Connection) -> Sequence[tuple[str, str, int]]:
    """(source, code, rows) that wait in quarantine, most first."""
    query = text("""
        SELECT b.source, q.code, count(*) AS rows FROM quarantine AS q JOIN batch AS b ON b.number = q.batch
        WHERE NOT EXISTS (SELECT FROM quarantine_replay AS r WHERE r.quarantine_id = q.id)
        GROUP BY b.source, q.code ORDER BY rows DESC, b.source, q.code
    """)
    return [(row.source, row.code, row.rows) for row in connection.execute(query)]


def refused_files(connection: Connection) -> Sequence[tuple[str, str, datetime]]:
    """(url, error, seen at) of the files in the landing folder that could not be landed."""
    query = text("SELECT url, error, seen_at FROM landing_file WHERE error IS NOT NULL ORDER BY seen_at, url")
    return [(row.url, row.error, row.seen_at) for row in connection.execute(query)]


def payments(connection: Connection) -> Mapping[str, int]:
    """How many payments there are, by status."""
    rows = connection.execute(text("SELECT status, count(*) AS payments FROM payment GROUP BY status ORDER BY status"))
    return {row.status: row.payments for row in rows}
