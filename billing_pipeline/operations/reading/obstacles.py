"""What stands in the way of a period's lock: due documents that wait, for which hold or source, and until when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from billing_pipeline.core.period import MOMENT, BillingPeriod
from billing_pipeline.core.plain_text import maybe_instant
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import holds
from billing_pipeline.ledger.reading import obstacles
from billing_pipeline.ledger.reading.documents import KnownDocument
from billing_pipeline.ledger.reading.obstacles import KeptDocument
from billing_pipeline.operations.closing.awaited_sources import Awaited, awaited
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.reading.invoice_json import Json

_NAMED = 5  # customers, of each cause
_SHOWN = 100  # documents, in a table
Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why due documents wait.

    Attributes:
        kind: ``hold`` or ``source``.
        name: the check that holds, ``manual``, or the source's id.
        documents: how many wait for it; others may wait for something else, too.
        customers: the first of those whose documents they are.
        of_customers: how many customers that are in all.
        until: when a source is waited for no longer; None: for ever.
    """

    kind: str
    name: str
    documents: int
    customers: Sequence[str]
    of_customers: int
    until: datetime | None = None

    def to_json(self) -> dict[str, object]:
        """As machines read it."""
        return {
            "kind": self.kind,
            "cause": self.name,
            "documents": self.documents,
            "customers": self.of_customers,
            "first_customers": list(self.customers),
            "until": maybe_instant(self.until),
        }

    def __str__(self) -> str:
        named = ", ".join(self.customers) + "…" * (self.of_customers > len(self.customers))
        until = f" until {maybe_instant(self.until)}" if self.until else ""
        return f"{self.documents} for {self.kind} {self.name}{until} ({named})"


@dataclass(frozen=True, slots=True)
class InTheWay:
    """What keeps a period's due documents from locking.

    Attributes:
        due: documents whose ``lock_at`` has passed and that are not final.
        waiting: those of them that something keeps; the rest lock with the next run.
        causes: what they wait for.
    """

    due: int = 0
    waiting: int = 0
    causes: Sequence[Cause] = ()

    def to_json(self) -> dict[str, object]:
        """As machines read it."""
        return {"due": self.due, "waiting": self.waiting, "causes": [one.to_json() for one in self.causes]}

    def __str__(self) -> str:
        waits = f": {'; '.join(map(str, self.causes))}" if self.causes else ""
        free = self.due - self.waiting
        return f"Due documents that wait: {self.waiting}{waits}. That lock with the next run: {free}."


def standing_in_the_way(
    connection: Connection, period: BillingPeriod, sources: Sequence[Awaited], now: datetime
) -> InTheWay:
    """What keeps the period's due documents; ``sources`` are those that have not delivered it."""
    day = period.first_day
    found = obstacles.counts(connection, day, now, awaited=bool(sources), named=_NAMED)
    if not found.kept:
        return InTheWay(found.due)
    held = [
        Cause("hold", one.cause, one.documents, one.customers, one.of_customers)
        for one in obstacles.by_cause(connection, day, now, named=_NAMED)
    ]
    waits = [
        Cause("source", one.source, found.with_usage, found.customers, found.of_customers, one.deadline)
        for one in sources
        if found.with_usage
    ]
    return InTheWay(found.due, found.kept, (*held, *waits))


def waiting_documents(billing: Billing, period: BillingPeriod) -> tuple[InTheWay, Sequence[Row]]:
    """What keeps the period's due documents, and the first of them as rows for a table."""
    now = billing.now()
    with billing.ledger.begin() as connection:
        sources = _sources(billing, connection, period, now)
        found = standing_in_the_way(connection, period, sources, now)
        kept = obstacles.documents(connection, period.first_day, now, awaited=bool(sources), shown=_SHOWN)
    return found, [_row(one, sources if one.has_usage else ()) for one in kept]


def _sources(billing: Billing, connection: Connection, period: BillingPeriod, now: datetime) -> list[Awaited]:
    """Nobody waits for a period that has not ended."""
    if now < period.end:
        return []
    return awaited(billing, connection, period, ledger_catalog.newest_change(connection), now)


def _row(one: KeptDocument, sources: Sequence[Awaited]) -> Row:
    holds = [f"hold {number}, {cause}: {reason}" for number, cause, reason in one.holds]
    deadlines = [source.deadline for source in sources]
    known = [deadline for deadline in deadlines if deadline]
    return {
        "customer": one.customer,
        "document": f"{one.kind}, {one.issue_date}",
        "due since": one.due,
        "waits for": "; ".join([*holds, *(source.reason for source in sources)]),
        "at the latest until": max(known) if not holds and known and len(known) == len(deadlines) else None,
    }


class Waits:
    """What due documents wait for at an instant; what concerns a whole period is read once."""

    def __init__(self, billing: Billing, connection: Connection, at: datetime) -> None:
        """At ``at``, which is not in the future."""
        self._billing, self._connection, self._at = billing, connection, at
        self._held: dict[date, Mapping[int, Sequence[holds.HoldInterval]]] = {}
        self._sources: dict[date, list[Json]] = {}

    def of(self, one: KnownDocument) -> list[Json]:
        """Holds and sources; nothing for a document that is final, or not due."""
        if one.status != "draft" or one.lock_at > self._at:
            return []
        held = [
            {"kind": "hold", "cause": hold.cause, "reason": hold.reason}
            for hold in self._holds(one.period).get(one.code, ())
            if hold.created_at <= self._at and (hold.released_at is None or hold.released_at > self._at)
        ]
        return [*held, *(self._awaited(one.period) if one.has_usage else ())]

    def _holds(self, period: date) -> Mapping[int, Sequence[holds.HoldInterval]]:
        if period not in self._held:
            self._held[period] = holds.intervals(self._connection, period)
        return self._held[period]

    def _awaited(self, period: date) -> list[Json]:
        if period not in self._sources:
            known = ledger_catalog.change_before(self._connection, self._at + MOMENT)
            found = awaited(
                self._billing, self._connection, self._billing.calendar.period(period.isoformat()), known, self._at
            )
            self._sources[period] = [{"kind": "source", "cause": one.source, "reason": one.reason} for one in found]
        return self._sources[period]
