"""Obstacles of a period's lock: due documents that wait, for which hold or source, and until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, partial

from billing_pipeline.core.period import MOMENT, BillingPeriod
from billing_pipeline.core.plain_json import Json, JsonFields
from billing_pipeline.core.plain_text import maybe_instant
from billing_pipeline.invoicing.document import DocumentStatus
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import holds
from billing_pipeline.ledger.reading import due_documents
from billing_pipeline.ledger.reading.documents import KnownDocument
from billing_pipeline.ledger.reading.due_documents import KeptDocument
from billing_pipeline.ledger.reading.summaries import Row
from billing_pipeline.operations.closing.awaited_sources import AwaitedSource, awaited_at
from billing_pipeline.operations.context import Billing

_NAMED = 5  # customers, of each cause
_SHOWN = 100  # documents, in a table


@dataclass(frozen=True, slots=True)
class Cause(JsonFields):
    """One reason why due documents wait.

    Attributes:
        kind: ``hold`` or ``source``.
        cause: the check that holds, ``manual``, or the source's id.
        documents: how many wait for it; others may wait for something else, too.
        customers: how many customers have them.
        first_customers: ids of the first of these.
        until: when a source is waited for no longer; None: for ever.
    """

    kind: str
    cause: str
    documents: int
    customers: int
    first_customers: Sequence[str]
    until: datetime | None = None

    def __str__(self) -> str:
        named = ", ".join(self.first_customers) + "…" * (self.customers > len(self.first_customers))
        until = f" until {maybe_instant(self.until)}" if self.until else ""
        return f"{self.documents} for {self.kind} {self.cause}{until} ({named})"


@dataclass(frozen=True, slots=True)
class Obstacles(JsonFields):
    """What keeps a period's due documents from locking.

    Attributes:
        due: documents whose ``lock_at`` has passed and that are not final.
        waiting: those of them that something keeps; the rest lock with the next run.
        causes: what they wait for.
    """

    due: int = 0
    waiting: int = 0
    causes: Sequence[Cause] = ()

    def __str__(self) -> str:
        waits = f": {'; '.join(map(str, self.causes))}" if self.causes else ""
        free = self.due - self.waiting
        return f"Due documents that wait: {self.waiting}{waits}. That lock with the next run: {free}."


def standing_obstacles(
    connection: Connection, period: BillingPeriod, sources: Sequence[AwaitedSource], now: datetime
) -> Obstacles:
    """What keeps the period's due documents; ``sources`` are those that have not delivered it."""
    first_day = period.first_day
    due = due_documents.counts(connection, first_day, now, awaited=bool(sources), named=_NAMED)
    if not due.kept:
        return Obstacles(due.due)
    holds_of_checks = [
        Cause("hold", held.cause, held.documents, held.customers, held.first_customers)
        for held in due_documents.by_cause(connection, first_day, now, named=_NAMED)
    ]
    waits = [
        Cause("source", source.source, due.with_usage, due.customers, due.first_customers, source.deadline)
        for source in sources
        if due.with_usage
    ]
    return Obstacles(due.due, due.kept, (*holds_of_checks, *waits))


def waiting_documents(billing: Billing, period: BillingPeriod) -> tuple[Obstacles, Sequence[Row]]:
    """What keeps the period's due documents, and the first of them as rows for a table."""
    now = billing.now()
    with billing.ledger.begin() as connection:
        sources = awaited_sources(billing, connection, period, now)
        standing = standing_obstacles(connection, period, sources, now)
        kept = due_documents.documents(connection, period.first_day, now, awaited=bool(sources), shown=_SHOWN)
    return standing, [_row(document, sources if document.has_usage else ()) for document in kept]


def awaited_sources(
    billing: Billing, connection: Connection, period: BillingPeriod, now: datetime
) -> Sequence[AwaitedSource]:
    """The sources that documents of the period wait for now; nobody waits for a period that has not ended."""
    if now < period.end:
        return ()
    return awaited_at(billing, connection, period, ledger_catalog.newest_change(connection), now)


def _row(document: KeptDocument, sources: Sequence[AwaitedSource]) -> Row:
    held = [f"hold {number}, {cause}: {reason}" for number, cause, reason in document.holds]
    deadlines = [source.deadline for source in sources if source.deadline]
    ends = not held and deadlines and len(deadlines) == len(sources)
    return {
        "customer": document.customer,
        "document": f"{document.kind}, {document.issue_date}",
        "due since": document.due,
        "waits for": "; ".join([*held, *(source.reason for source in sources)]),
        "at the latest until": max(deadlines) if ends else None,
    }


class Waits:
    """What due documents wait for at an instant; what concerns a whole period is read once."""

    def __init__(self, billing: Billing, connection: Connection, at: datetime) -> None:
        """What documents wait for at an instant that is not in the future."""
        self._billing, self._connection, self._at = billing, connection, at
        self._holds = cache(partial(holds.intervals, connection))
        self._sources = cache(self._awaited)

    def of(self, document: KnownDocument) -> list[Json]:
        """Holds and sources of a document; nothing where it is final, or not due."""
        if document.status != DocumentStatus.DRAFT or document.lock_at > self._at:
            return []
        held: list[Json] = [
            {"kind": "hold", "cause": hold.cause, "reason": hold.reason}
            for hold in self._holds(document.period).get(document.code, ())
            if hold.created_at <= self._at and (hold.released_at is None or hold.released_at > self._at)
        ]
        return [*held, *(self._sources(document.period) if document.has_usage else ())]

    def _awaited(self, first_day: date) -> list[Json]:
        """The sources that had not delivered a period, by the catalog of that instant."""
        change = ledger_catalog.change_before(self._connection, self._at + MOMENT)
        period = self._billing.calendar.period(first_day.isoformat())
        sources = awaited_at(self._billing, self._connection, period, change, self._at)
        return [{"kind": "source", "cause": source.source, "reason": source.reason} for source in sources]
