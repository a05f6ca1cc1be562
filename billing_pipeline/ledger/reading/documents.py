"""What people ask about documents: what each says now, said in a version, or was known to say at an instant.

Everything is read by the set: some thousands of documents take three queries: their states, the lines of
versions and those of drafts.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from billing_pipeline.core.money import Money
from billing_pipeline.ledger.database import Ledger
from billing_pipeline.ledger.lines import line_columns, stored_line
from billing_pipeline.rating.line import RatedLine


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
    lines: list[RatedLine]


@dataclass(frozen=True, slots=True)
class DocumentHead:
    """What of a document never changes."""

    id: UUID
    code: int
    customer: str
    bucket: int
    kind: str
    period: date
    issue_date: date
    currency: str


@dataclass(frozen=True, slots=True)
class WhichDocuments:
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


def ids(connection: Connection, which: WhichDocuments) -> list[UUID]:
    """The documents asked for, by issue date and id. Some may not have been known yet at ``known_at``."""
    conditions = ["true"]
    if which.customer is not None:
        conditions.append("customer = :customer")
    if which.period is not None:
        conditions.append("period = :period")
    query = f"SELECT id FROM document WHERE {' AND '.join(conditions)} ORDER BY issue_date, id"  # noqa: S608 - our own words
    return list(connection.scalars(text(query), {"customer": which.customer, "period": which.period}))


def heads(connection: Connection, documents: Sequence[UUID]) -> list[DocumentHead]:
    """What of these documents never changes."""
    query = text("""
        SELECT d.id, d.customer, c.id, d.bucket, d.kind, d.period, d.issue_date, d.currency
        FROM document AS d JOIN customer AS c ON c.code = d.customer WHERE d.id = ANY(:ids)
    """)
    return [DocumentHead(*row) for row in connection.execute(query, {"ids": list(documents)})]


def find(connection: Connection, name: str) -> UUID | None:
    """The document with this number or id."""
    query, value = "SELECT document FROM finalization WHERE number = :name", dict[str, object](name=name)
    with suppress(ValueError):
        query, value = "SELECT id FROM document WHERE id = :name", {"name": UUID(name)}
    document: UUID | None = connection.scalar(text(query), value)
    return document


def versions(connection: Connection, document: UUID) -> list[tuple[int, datetime, Mapping[str, Any]]]:
    """(version, recorded_at, reason) of a document's versions, oldest first; none for a draft that is replaced."""
    query = "SELECT version, recorded_at, reason FROM document_version WHERE document = :document ORDER BY version"
    return [
        (row.version, row.recorded_at, row.reason) for row in connection.execute(text(query), {"document": document})
    ]


# In the order of KnownDocument's fields; the customer's currency makes money of its amounts.
_COLUMNS = """
    d.id, d.customer, c.id, d.kind, d.period, d.issue_date, d.currency, s.version, s.replaceable, s.lock_at,
    CASE WHEN v.document IS NOT NULL THEN 'void' WHEN f.document IS NOT NULL THEN 'finalized' ELSE 'draft' END,
    coalesce({payment}, 'not_due'), f.number, f.cutoff, f.finalized_at, f.fingerprint,
    s.subtotal_minor, s.credits_applied_minor, s.tax_minor, s.total_minor, s.customer_credit_applied_minor,
    s.amount_due_minor, s.has_usage, s.as_of_batch, s.as_of_change, s.recorded_at, s.reason, s.code_version
"""
_CURRENCY, _AMOUNTS = 6, slice(16, 22)
_STATE = """lock_at, subtotal_minor, credits_applied_minor, tax_minor, total_minor, customer_credit_applied_minor,
    amount_due_minor, has_usage, as_of_batch, as_of_change, recorded_at, reason, code_version"""
_DOCUMENTS = f"""
    SELECT {_COLUMNS}
    FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS asked (id, place)
    JOIN document AS d ON d.id = asked.id
    JOIN customer AS c ON c.code = d.customer
    LEFT JOIN finalization AS f ON f.document = d.id {{finalized}}
    CROSS JOIN LATERAL (
        (SELECT version, false AS replaceable, {_STATE} FROM document_version
         WHERE document = d.id AND version <= coalesce(f.version, version) {{known}} {{version}}
         ORDER BY version DESC LIMIT 1)
        UNION ALL
        SELECT 1, true, {_STATE} FROM draft_document WHERE document = d.id AND f.document IS NULL {{known}} {{draft}}
    ) AS s
    LEFT JOIN document_void AS v ON v.document = d.id {{voided}}
    ORDER BY asked.place
"""  # noqa: S608 - names of columns
_PAYMENT = "(SELECT status FROM payment_event WHERE document = d.id ORDER BY id DESC LIMIT 1)"
_PAYMENT_THEN = "(SELECT status FROM payment_event WHERE document = d.id AND at <= :known_at ORDER BY id DESC LIMIT 1)"

_LINES_OF_VERSIONS = f"""
    SELECT l.document, {line_columns()}
    FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS integer[])) AS asked (id, of_version)
    JOIN document_line AS l ON l.document = asked.id AND l.version = asked.of_version ORDER BY l.document, l.line
"""  # noqa: S608 - names of columns
_LINES_OF_DRAFTS = f"""
    SELECT l.document, {line_columns()} FROM draft_line AS l WHERE document = ANY(:ids) ORDER BY document, line
"""  # noqa: S608 - names of columns


def read(connection: Connection, documents: Sequence[UUID], which: WhichDocuments) -> list[KnownDocument]:
    """These documents in the order given, without those that were not known yet, or have no such version."""
    values = {"ids": list(documents), "known_at": which.known_at, "version": which.version}
    states = [_document(tuple(row)) for row in connection.execute(text(_query(which)), values)]
    by_id = {state.id: state for state in states}
    kept = [state for state in states if not state.replaceable]
    versions = {"ids": [state.id for state in kept], "versions": [state.version for state in kept]}
    drafts = {"ids": [state.id for state in states if state.replaceable]}
    for query, keys in ((_LINES_OF_VERSIONS, versions), (_LINES_OF_DRAFTS, drafts)):
        for document, *line in connection.execute(text(query), keys) if keys["ids"] else ():
            by_id[document].lines.append(stored_line(line, by_id[document].currency))
    return states


def _query(which: WhichDocuments) -> str:
    then = which.known_at is not None
    return _DOCUMENTS.format(
        payment=_PAYMENT_THEN if then else _PAYMENT,
        known="AND recorded_at <= :known_at" if then else "",
        version="AND version = :version" if which.version is not None else "",
        draft="AND false" if which.version not in {None, 1} else "",
        finalized="AND f.finalized_at <= :known_at" if then else "",
        voided="AND v.voided_at <= :known_at" if then else "",
    )


def _document(row: tuple[Any, ...]) -> KnownDocument:
    amounts = [Money(int(minor), row[_CURRENCY]) for minor in row[_AMOUNTS]]
    values: list[Any] = [*row[: _AMOUNTS.start], *amounts, *row[_AMOUNTS.stop :], []]
    return KnownDocument(*values)
