"""How far each period is computed and locked: all periods in a few queries, however many documents are final."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from billing_pipeline.invoicing.document import DocumentStatus
from billing_pipeline.ledger.documents.holds import KEEPS


@dataclass(frozen=True, slots=True)
class PeriodProgress:
    """How far a period is computed.

    Attributes:
        buckets: how many buckets were computed at all.
        through_batch: the batch that all of them are metered through; 0 where one never was.
        through_change: the same for catalog changes.
        closed: whether all of them were invoiced at or after the period's end.
        newest_batch: the newest batch with usage in the period, or that took some from it; 0: none.
        pending: customers that wait to be rated or invoiced, or computed again for what happened in another period.
        documents: how many there are, by status.
        drafts: what of them may lock when.
    """

    buckets: int = 0
    through_batch: int = 0
    through_change: int = 0
    closed: bool = False
    newest_batch: int = 0
    pending: int = 0
    documents: Mapping[DocumentStatus, int] = field(default_factory=dict)
    drafts: "Drafts | None" = None

    @property
    def used(self) -> bool:
        """Whether anything is known of the period."""
        return bool(self.newest_batch or self.documents or self.pending)

    @property
    def locked(self) -> bool:
        """Whether the period has documents, and each is finalized or void."""
        return bool(self.documents) and not self.documents.get(DocumentStatus.DRAFT)


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
    """The progress of all periods of which anything is known, by first local day.

    Args:
        connection: of the ledger.
        buckets: how many there are in all.
        now: the ledger's clock.
    """
    by_period = defaultdict[date, dict[str, Any]](dict)
    for row in connection.execute(_BUCKETS):
        whole = row.buckets == buckets
        by_period[row.period] |= {
            "buckets": row.buckets,
            "through_batch": row.through_batch if whole else 0,
            "through_change": row.through_change if whole else 0,
            "closed": whole and row.closed,
        }
    for row in connection.execute(_BATCHES):
        by_period[row.period]["newest_batch"] = row.newest_batch
    for row in connection.execute(_PENDING):
        by_period[row.period]["pending"] = row.pending
    for period, (documents, drafts) in _documents(connection, now).items():
        by_period[period] |= {"documents": documents, "drafts": drafts}
    return {period: PeriodProgress(**fields) for period, fields in by_period.items()}


def _documents(connection: Connection, now: datetime) -> dict[date, tuple[Mapping[DocumentStatus, int], Drafts | None]]:
    """The documents of each period by status, and the drafts among them. What is final is only counted."""
    void = {row.period: row.documents for row in connection.execute(_VOID)}
    open_ = {row.period: row for row in connection.execute(_NOT_FINAL, {"now": now})}
    by_period: dict[date, tuple[Mapping[DocumentStatus, int], Drafts | None]] = {}
    for period, documents in connection.execute(_DOCUMENTS):
        row, gone = open_.get(period), void.get(period, 0)
        final = documents - gone - (row.documents if row else 0)
        drafts = None
        if row and row.drafts:
            drafts = Drafts(row.next_lock_at, row.due, row.due_and_free, row.due_without_usage)
        counts = {
            DocumentStatus.DRAFT: row.drafts if row else 0,
            DocumentStatus.FINALIZED: final,
            DocumentStatus.VOID: gone,
        }
        by_period[period] = {status: count for status, count in counts.items() if count}, drafts
    return by_period


_BUCKETS = text("""
    SELECT period, count(*) AS buckets, min(through_batch) AS through_batch, min(through_change) AS through_change,
           bool_and(closed) AS closed
    FROM period_bucket GROUP BY period
""")
_BATCHES = text("SELECT period, max(batch) AS newest_batch FROM batch_period GROUP BY period")
_PENDING = text("""
    SELECT period, count(*) AS pending FROM (
        SELECT period FROM customer_period WHERE pending IS NOT NULL UNION ALL SELECT period FROM revisit
    ) AS waiting GROUP BY period
""")
_DOCUMENTS = text("SELECT period, count(*) AS documents FROM document GROUP BY period")
_VOID = text("""
    SELECT d.period, count(*) AS documents FROM document_void AS v JOIN document AS d ON d.id = v.document
    GROUP BY d.period
""")
# A document without any state has no lock_at.
_NOT_FINAL = text(f"""
    SELECT period, count(*) AS documents, count(lock_at) AS drafts, min(lock_at) AS next_lock_at,
           count(*) FILTER (WHERE lock_at <= :now) AS due,
           count(*) FILTER (WHERE lock_at <= :now AND NOT held) AS due_and_free,
           count(*) FILTER (WHERE lock_at <= :now AND NOT held AND NOT has_usage) AS due_without_usage
    FROM (
        SELECT d.period, d.lock_at, d.has_usage, EXISTS (
            SELECT FROM open_hold AS h WHERE h.customer = d.customer AND {KEEPS}
        ) AS held
        FROM open_document AS d
    ) AS documents GROUP BY period
""")  # noqa: S608 - our own words
