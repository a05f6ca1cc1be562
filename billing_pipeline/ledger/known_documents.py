"""What people ask about documents: what each says now, said in a version, or was known to say at an instant.

Everything is read by the set: some thousands of documents take two queries, their states and their lines.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from billing_pipeline.core.money import Money
from billing_pipeline.ledger.database import Ledger


@dataclass(frozen=True, slots=True)
class KnownLine:
    """One line of one state of a document; dates are local days, ``service_end`` is the first one after it."""

    kind: str
    subscription: str | None
    plan: str | None
    plan_version: int | None
    price: str | None
    product: str | None
    description: str
    service_start: date | None
    service_end: date | None
    dimensions: Mapping[str, str]
    quantity: Decimal | None
    amount: Money
    adjusts: str | None


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """A document in one of its states.

    Attributes:
        code: the customer's.
        customer: the customer's id.
        replaceable: a draft of a period that runs: it is version 1, and is not kept.
        number: None until it is finalized, or where it has no lines and was not issued.
        reason: why it differs from the version before: ``first``, or ``batches``, ``changes`` and ``code``.
    """

    id: UUID
    code: int
    customer: str
    kind: str
    period: date
    issue_date: date
    currency: str
    version: int
    replaceable: bool
    lock_at: datetime
    status: str
    payment_status: str
    number: str | None
    cutoff: datetime | None
    finalized_at: datetime | None
    fingerprint: str | None
    subtotal: Money
    credits_applied: Money
    tax: Money
    total: Money
    customer_credit_applied: Money
    amount_due: Money
    has_usage: bool
    as_of_batch: int
    as_of_change: int
    recorded_at: datetime
    reason: Mapping[str, Any]
    code_version: str
    lines: tuple[KnownLine, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which documents.

    Attributes:
        customer: only this customer's (code).
        period: only this period's, by its first local day.
        known_at: as they were known then; None: as they stand.
        version: in this version; None: in the newest.
    """

    customer: int | None = None
    period: date | None = None
    known_at: datetime | None = None
    version: int | None = None


@contextmanager
def snapshot(ledger: Ledger) -> Iterator[Connection]:
    """A transaction that reads one state of the ledger, whatever is committed meanwhile."""
    with ledger.begin() as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        yield connection


def ids(connection: Connection, asked: Asked) -> list[UUID]:
    """The documents asked for, by issue date and id. Some may not have been known yet at ``known_at``."""
    wanted = ["true"]
    if asked.customer is not None:
        wanted.append("customer = :customer")
    if asked.period is not None:
        wanted.append("period = :period")
    query = f"SELECT id FROM document WHERE {' AND '.join(wanted)} ORDER BY issue_date, id"  # noqa: S608 - our own words
    return list(connection.scalars(text(query), {"customer": asked.customer, "period": asked.period}))


def find(connection: Connection, name: str) -> UUID | None:
    """The document with this number or id."""
    query, value = "SELECT document FROM finalization WHERE number = :name", dict[str, object](name=name)
    with suppress(ValueError):
        query, value = "SELECT id FROM document WHERE id = :name", {"name": UUID(name)}
    found: UUID | None = connection.scalar(text(query), value)
    return found


def versions(connection: Connection, document: UUID) -> list[tuple[int, datetime, Mapping[str, Any]]]:
    """(version, recorded_at, reason) of a document's versions, oldest first; none for a draft that is replaced."""
    query = "SELECT version, recorded_at, reason FROM document_version WHERE document = :document ORDER BY version"
    return [
        (row.version, row.recorded_at, row.reason) for row in connection.execute(text(query), {"document": document})
    ]


_STATE = """lock_at, subtotal_minor, credits_applied_minor, tax_minor, total_minor, customer_credit_applied_minor,
    amount_due_minor, has_usage, as_of_batch, as_of_change, recorded_at, reason, code_version"""

_DOCUMENTS = """
    SELECT d.id, d.customer AS code, c.id AS customer, d.kind, d.period, d.issue_date, d.currency, s.*,
           f.number, f.cutoff, f.finalized_at, f.fingerprint,
           CASE WHEN v.document IS NOT NULL THEN 'void' WHEN f.document IS NOT NULL THEN 'finalized' ELSE 'draft' END
               AS status,
           coalesce({payment}, 'not_due') AS payment_status
    FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS asked (id, place)
    JOIN document AS d ON d.id = asked.id
    JOIN customer AS c ON c.code = d.customer
    CROSS JOIN LATERAL (
        (SELECT version, false AS replaceable, {state} FROM document_version WHERE document = d.id {known} {version}
         ORDER BY version DESC LIMIT 1)
        UNION ALL
        SELECT 1, true, {state} FROM draft_document WHERE document = d.id {known} {draft}
    ) AS s
    LEFT JOIN finalization AS f ON f.document = d.id {finalized}
    LEFT JOIN document_void AS v ON v.document = d.id {voided}
    ORDER BY asked.place
"""

_LINES = """
    SELECT l.* FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS integer[])) AS asked (id, version)
    JOIN document_line AS l ON l.document = asked.id AND l.version = asked.version ORDER BY l.document, l.line
"""
_DRAFT_LINES = "SELECT * FROM draft_line WHERE document = ANY(:ids) ORDER BY document, line"
_PAYMENT = "(SELECT status FROM payment WHERE document = d.id)"
_PAYMENT_THEN = "(SELECT status FROM payment_event WHERE document = d.id AND at <= :known_at ORDER BY id DESC LIMIT 1)"


def read(connection: Connection, documents: Sequence[UUID], asked: Asked) -> list[KnownDocument]:
    """These documents in the order given, without those that were not known yet, or have no such version."""
    query = _query(asked)
    values = {"ids": list(documents), "known_at": asked.known_at, "version": asked.version}
    rows = connection.execute(text(query), values).all()
    lines = _lines(connection, rows)
    return [_document(row, lines) for row in rows]


def _query(asked: Asked) -> str:
    then = asked.known_at is not None
    return _DOCUMENTS.format(
        state=_STATE,
        payment=_PAYMENT_THEN if then else _PAYMENT,
        known="AND recorded_at <= :known_at" if then else "",
        version="AND version = :version" if asked.version is not None else "",
        draft="AND false" if asked.version not in {None, 1} else "",
        finalized="AND f.finalized_at <= :known_at" if then else "",
        voided="AND v.voided_at <= :known_at" if then else "",
    )


def _lines(connection: Connection, documents: Collection[Any]) -> dict[UUID, list[Any]]:
    kept = [(row.id, row.version) for row in documents if not row.replaceable]
    found = defaultdict[UUID, list[Any]](list)
    values = {"ids": [one for one, _ in kept], "versions": [version for _, version in kept]}
    for row in connection.execute(text(_LINES), values):
        found[row.document].append(row)
    if drafts := [row.id for row in documents if row.replaceable]:
        for row in connection.execute(text(_DRAFT_LINES), {"ids": drafts}):
            found[row.document].append(row)
    return found


_AMOUNTS = ("subtotal", "credits_applied", "tax", "total", "customer_credit_applied", "amount_due")
_SAME = (
    "id", "code", "customer", "kind", "period", "issue_date", "currency", "version", "replaceable", "lock_at", "status",
    "payment_status", "number", "cutoff", "finalized_at", "fingerprint", "has_usage", "as_of_batch", "as_of_change",
    "recorded_at", "reason", "code_version",
)  # fmt: skip
_SAME_OF_LINE = (
    "kind", "subscription", "plan", "plan_version", "price", "product", "description", "service_start", "service_end",
    "dimensions", "quantity", "adjusts",
)  # fmt: skip


def _document(row: Any, lines: Mapping[UUID, Sequence[Any]]) -> KnownDocument:
    amounts: dict[str, Any] = {name: Money(int(getattr(row, f"{name}_minor")), row.currency) for name in _AMOUNTS}
    return KnownDocument(
        **{name: getattr(row, name) for name in _SAME},
        **amounts,
        lines=tuple(_line(line, row.currency) for line in lines.get(row.id, ())),
    )


def _line(row: Any, currency: str) -> KnownLine:
    return KnownLine(
        **{name: getattr(row, name) for name in _SAME_OF_LINE}, amount=Money(int(row.amount_minor), currency)
    )
