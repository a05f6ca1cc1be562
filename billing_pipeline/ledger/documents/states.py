"""Documents, their versions and their finalization. Facts are only added; drafts of an open period are replaced."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, delete, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from billing_pipeline.core.money import Money
from billing_pipeline.invoicing.document import Billed, Document, DocumentIdentity, DocumentKind, Key
from billing_pipeline.ledger.database import among, copy_rows
from billing_pipeline.ledger.tables import (
    document,
    document_line,
    document_version,
    draft_document,
    draft_line,
    finalization,
    input_set,
)


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What the ledger says of a document now.

    Attributes:
        version: of the state that stands; 1 also for a draft that is still replaced.
        replaceable: its period has not ended when it was computed: no version is kept.
        content: compares equal to ``Document.content`` where nothing changed.
        covers: keys of the segments whose usage it bills.
        amount_due: in minor units of ``currency``.
    """

    id: UUID
    customer: str
    code: int
    bucket: int
    kind: str
    period: date
    issue_date: date
    reissue: int
    currency: str
    version: int
    replaceable: bool
    lock_at: datetime
    has_usage: bool
    covers: frozenset[Key]
    content: str
    as_of_batch: int
    as_of_change: int
    code_version: str
    status: str
    amount_due: Money
    lines: int

    @property
    def identity(self) -> DocumentIdentity:
        """What makes it this document."""
        return DocumentIdentity(self.customer, DocumentKind(self.kind), self.period, self.issue_date, self.reissue)


@dataclass(frozen=True, slots=True)
class NewState:
    """A computed state to be written.

    Attributes:
        version: its number; 1 for a draft.
        reason: why it differs from the one before: batches, changes, code, other documents, or first.
    """

    computed: Document
    code: int
    bucket: int
    version: int
    as_of_batch: int
    as_of_change: int
    reason: Mapping[str, object]


def current(connection: Connection, period: date, codes: Collection[int]) -> dict[UUID, StoredDocument]:
    """These customers' documents of the period, by id, in the order of customer, issue date and kind."""
    query = text("""
        SELECT d.*, (SELECT count(*) FROM draft_line WHERE document = d.id AND d.replaceable)
             + (SELECT count(*) FROM document_line WHERE document = d.id AND version = d.version) AS lines
        FROM current_document AS d WHERE d.period = :period AND d.customer = ANY(:codes)
        ORDER BY d.customer_id, d.issue_date, d.kind
    """)
    rows = connection.execute(query, {"period": period, "codes": list(codes)})
    return {row.id: _stored(row) for row in rows.all()}


def _stored(row: Any) -> StoredDocument:
    return StoredDocument(
        id=row.id,
        customer=row.customer_id,
        code=row.customer,
        bucket=row.bucket,
        kind=row.kind,
        period=row.period,
        issue_date=row.issue_date,
        reissue=row.reissue,
        currency=row.currency,
        version=row.version,
        replaceable=row.replaceable,
        lock_at=row.lock_at,
        has_usage=row.has_usage,
        covers=_covers(row.covers),
        content=row.content,
        as_of_batch=row.as_of_batch,
        as_of_change=row.as_of_change,
        code_version=row.code_version,
        status=row.status,
        amount_due=Money(int(row.amount_due_minor), row.currency),
        lines=row.lines,
    )


def _covers(stored: Sequence[Sequence[str]]) -> frozenset[Key]:
    return frozenset((one[0], one[1], one[2]) for one in stored)


_STATE_COLUMNS = (
    "document", "lock_at", "subtotal_minor", "credits_applied_minor", "tax_minor", "total_minor",
    "customer_credit_applied_minor", "amount_due_minor", "has_usage", "covers", "content", "as_of_batch",
    "as_of_change", "recorded_at", "reason", "code_version",
)  # fmt: skip
_LINE_COLUMNS = (
    "document", "line", "kind", "subscription", "plan", "plan_version", "price", "product", "description",
    "service_start", "service_end", "dimensions", "quantity", "amount_minor", "adjusts", "phase_start", "start",
    "adjusts_document",
)  # fmt: skip


def replace_drafts(connection: Connection, states: Sequence[NewState], at: datetime, code_version: str) -> None:
    """Put these drafts in the place of the ones before; nothing of those is kept."""
    _register(connection, states)
    remove_drafts(connection, [state.computed.id for state in states])
    _copy_states(connection, draft_document, states, at, code_version, versioned=False)
    _copy_lines(connection, draft_line, states, versioned=False)


def remove_drafts(connection: Connection, ids: Collection[UUID]) -> None:
    """Drafts that no longer exist, or that become a version in this transaction."""
    for table in (draft_line, draft_document):
        connection.execute(delete(table).where(among(table.c.document, ids)))


def add_versions(connection: Connection, states: Sequence[NewState], at: datetime, code_version: str) -> None:
    """Write versions with their lines, in this transaction, for good."""
    _register(connection, states)
    remove_drafts(connection, [state.computed.id for state in states if state.version == 1])
    _copy_states(connection, document_version, states, at, code_version, versioned=True)
    _copy_lines(connection, document_line, states, versioned=True)


def promote_drafts(connection: Connection, period: date, buckets: Collection[int]) -> int:
    """The period has ended: its drafts become version 1 as they stand, and are kept. Returns how many."""
    columns, line_columns = ", ".join(_STATE_COLUMNS), ", ".join(_LINE_COLUMNS)
    of_buckets = "document IN (SELECT id FROM document WHERE period = :period AND bucket = ANY(:buckets))"
    values = {"period": period, "buckets": list(buckets)}
    count: int = connection.execute(
        text(f"""
            INSERT INTO document_version (version, {columns}) SELECT 1, {columns} FROM draft_document
            WHERE {of_buckets}
        """),  # noqa: S608 - column names
        values,
    ).rowcount
    if count:
        connection.execute(
            text(f"""
                INSERT INTO document_line (version, {line_columns}) SELECT 1, {line_columns} FROM draft_line
                WHERE {of_buckets}
            """),  # noqa: S608 - column names
            values,
        )
        for table in ("draft_line", "draft_document"):
            connection.execute(text(f"DELETE FROM {table} WHERE {of_buckets}"), values)  # noqa: S608
    return count


def register(connection: Connection, identity: DocumentIdentity, code: int, bucket: int, currency: str) -> None:
    """Make a document known before it has a state."""
    connection.execute(
        document.insert().values(id=identity.id, customer=code, bucket=bucket, **_identity(identity, currency))
    )


def _register(connection: Connection, states: Sequence[NewState]) -> None:
    ids = [state.computed.id for state in states]
    known = set(connection.scalars(select(document.c.id).where(among(document.c.id, ids))))
    rows = [  # two versions of a document may be written at once
        {
            "id": document_id,
            "customer": state.code,
            "bucket": state.bucket,
            **_identity(state.computed.plan.identity, state.computed.plan.currency),
        }
        for document_id, state in {state.computed.id: state for state in states}.items()
        if document_id not in known
    ]
    if rows:
        columns = tuple(rows[0])
        copy_rows(connection, document, columns, (tuple(row.values()) for row in rows))


def _identity(identity: DocumentIdentity, currency: str) -> dict[str, object]:
    return {
        "kind": str(identity.kind),
        "period": identity.period,
        "issue_date": identity.issue_date,
        "reissue": identity.reissue,
        "currency": currency,
    }


def _copy_states(
    connection: Connection,
    table: Table,
    states: Iterable[NewState],
    at: datetime,
    code_version: str,
    *,
    versioned: bool,
) -> None:
    columns = (*_STATE_COLUMNS, "version") if versioned else _STATE_COLUMNS
    copy_rows(
        connection,
        table,
        columns,
        ((*_state_row(state, at, code_version), *([state.version] if versioned else ())) for state in states),
    )


def _state_row(state: NewState, at: datetime, code_version: str) -> tuple[object, ...]:
    computed = state.computed
    covers = _json_array(sorted(computed.plan.covers))
    return (
        computed.id, computed.plan.lock_at, *amounts_minor(computed), computed.plan.has_usage, covers,
        computed.content, state.as_of_batch, state.as_of_change, at, dict(state.reason), code_version,
    )  # fmt: skip


def amounts_minor(computed: Document) -> tuple[int, ...]:
    """Subtotal, credits applied, tax, total, customer credit applied and amount due."""
    amounts = (
        computed.subtotal, computed.credits_applied, computed.tax, computed.total,
        Money(computed.customer_credit, computed.plan.currency), computed.amount_due,
    )  # fmt: skip
    return tuple(one.minor for one in amounts)


def _copy_lines(connection: Connection, table: Table, states: Iterable[NewState], *, versioned: bool) -> None:
    columns = (*_LINE_COLUMNS, "version") if versioned else _LINE_COLUMNS
    copy_rows(
        connection,
        table,
        columns,
        (
            (
                state.computed.id, number, line.kind, line.subscription, line.plan, line.plan_version, line.price,
                line.product, line.description, line.service_start, line.service_end, dict(line.dimensions),
                line.quantity, line.amount.minor, line.adjusts, line.phase_start, line.start, line.adjusts_document,
                *([state.version] if versioned else ()),
            )
            for state in states
            for number, line in enumerate(state.computed.lines, start=1)
        ),
    )  # fmt: skip


def _json_array(items: list[Key]) -> str:
    return json.dumps(items, ensure_ascii=False)


# --- finalization ------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Final:
    """One document to finalize, in its version.

    Attributes:
        issued: it has lines, so it gets a number.
        inputs: fingerprint of its input set.
        fingerprint: over the inputs, the terms and the code.
        batch, change: the last ones before the cutoff.
        terms: fingerprint of the customer's terms as known then.
    """

    id: UUID
    version: int
    issued: bool
    cutoff: datetime
    inputs: str
    fingerprint: str
    batch: int
    change: int
    terms: str


def keep_inputs(connection: Connection, fingerprint: str, content: Mapping[str, object]) -> None:
    """The usage files that documents of one cutoff are computed from, once."""
    connection.execute(
        upsert(input_set).values(fingerprint=fingerprint, content=dict(content)).on_conflict_do_nothing()
    )


def finalize(
    connection: Connection,
    finals: Sequence[Final],
    *,
    at: datetime,
    year: int,
    number_format: str,
    actor: str,
) -> dict[UUID, str]:
    """Finalize for good; returns the numbers of those that are issued.

    The block of numbers is taken in one statement, last, and given back with the transaction: no gaps, and other
    transactions wait only from here to the commit.
    """
    issued = [one for one in finals if one.issued]
    first = _take_numbers(connection, year, len(issued)) if issued else 0
    numbers = {one.id: number_format.format(year=year, number=first + place) for place, one in enumerate(issued)}
    columns = (
        "document", "version", "number", "cutoff", "finalized_at", "fingerprint", "inputs", "actor", "batch", "change",
        "terms",
    )  # fmt: skip
    copy_rows(
        connection,
        finalization,
        columns,
        (
            (
                one.id, one.version, numbers.get(one.id), one.cutoff, at, one.fingerprint, one.inputs, actor, one.batch,
                one.change, one.terms,
            )
            for one in finals
        ),
    )  # fmt: skip
    return numbers


def _take_numbers(connection: Connection, year: int, count: int) -> int:
    """The first number of a block of ``count``."""
    query = text("""
        INSERT INTO number_counter AS c (year, last) VALUES (:year, :count)
        ON CONFLICT (year) DO UPDATE SET last = c.last + :count RETURNING last
    """)
    last: int = connection.execute(query, {"year": year, "count": count}).scalar_one()
    return last - count + 1


def billed(connection: Connection, period: date, codes: Collection[int]) -> dict[int, Billed]:
    """By customer code, what of the period is final. What a void document billed stays billed, unless issued again."""
    query = text("""
        SELECT d.customer, c.id AS customer_id, d.kind, d.period, d.issue_date, d.reissue,
               CASE WHEN r.replaced_by IS NULL THEN v.covers ELSE '[]' END AS covers
        FROM document AS d JOIN finalization AS f ON f.document = d.id
        JOIN document_version AS v ON v.document = f.document AND v.version = f.version
        JOIN customer AS c ON c.code = d.customer
        LEFT JOIN document_void AS r ON r.document = d.id
        WHERE d.period = :period AND d.customer = ANY(:codes)
    """)
    found = dict.fromkeys(codes, Billed())
    for row in connection.execute(query, {"period": period, "codes": list(codes)}):
        identity = DocumentIdentity(row.customer_id, DocumentKind(row.kind), row.period, row.issue_date, row.reissue)
        before = found[row.customer]
        found[row.customer] = Billed(before.keys | _covers(row.covers), before.documents | {identity})
    return found


def due(connection: Connection, period: date, now: datetime) -> int:
    """How many documents of the period may lock now, as they stand."""
    query = text(
        "SELECT count(*) FROM current_document WHERE period = :period AND status = 'draft' AND lock_at <= :now"
    )
    return connection.scalar(query, {"period": period, "now": now}) or 0


def due_periods(connection: Connection, period: date, buckets: Collection[int], now: datetime) -> set[date]:
    """Other periods with documents that may lock now, of customers with such documents in ``period``."""
    query = text("""
        WITH due AS (
            SELECT customer, period FROM current_document
            WHERE bucket = ANY(:buckets) AND status = 'draft' AND lock_at <= :now
        )
        SELECT DISTINCT o.period FROM due AS o JOIN due AS own ON own.customer = o.customer
        WHERE own.period = :period AND o.period <> :period
    """)
    return set(connection.scalars(query, {"period": period, "buckets": list(buckets), "now": now}))
