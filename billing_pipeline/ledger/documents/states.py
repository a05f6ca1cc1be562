"""Documents, their versions and their finalization. Facts are only added; drafts of an open period are replaced."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, delete, select, text

from billing_pipeline.core.money import Money
from billing_pipeline.invoicing.document import Document, DocumentIdentity, DocumentKind, Key, keys_from, stored_keys
from billing_pipeline.ledger.database import among, copy_rows
from billing_pipeline.ledger.lines import LINE_COLUMNS, line_values
from billing_pipeline.ledger.tables import (
    document,
    document_line,
    document_version,
    draft_document,
    draft_line,
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
        covers=keys_from(row.covers),
        content=row.content,
        as_of_batch=row.as_of_batch,
        as_of_change=row.as_of_change,
        code_version=row.code_version,
        status=row.status,
        amount_due=Money(int(row.amount_due_minor), row.currency),
        lines=row.lines,
    )


_STATE_COLUMNS = (
    "document", "lock_at", "subtotal_minor", "credits_applied_minor", "tax_minor", "total_minor",
    "customer_credit_applied_minor", "amount_due_minor", "has_usage", "covers", "content", "as_of_batch",
    "as_of_change", "recorded_at", "reason", "code_version",
)  # fmt: skip
_LINE_COLUMNS = ("document", "line", *LINE_COLUMNS)


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
    covers = json.dumps(stored_keys(computed.plan.covers), ensure_ascii=False)
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
            (state.computed.id, number, *line_values(line), *([state.version] if versioned else ()))
            for state in states
            for number, line in enumerate(state.computed.lines, start=1)
        ),
    )


# --- finalization ------------------------------------------------------------------------------------------------
