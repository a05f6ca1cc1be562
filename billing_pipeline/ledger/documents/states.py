"""Documents and their states. Versions are facts and only added; drafts of a period that has not ended are replaced."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Connection, Table, delete, select, text

from billing_pipeline.core.money import Money
from billing_pipeline.invoicing.document import (
    Document,
    DocumentIdentity,
    DocumentKind,
    DocumentPlan,
    DocumentStatus,
    Key,
    keys_from,
    stored_keys,
)
from billing_pipeline.ledger.database import among, copy_rows, fetch
from billing_pipeline.ledger.lines import LINE_COLUMNS, line_values
from billing_pipeline.ledger.tables import document, document_line, document_version, draft_document, draft_line


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as the ledger has it now.

    Attributes:
        code: the customer's.
        version: of the state that stands; 1 also for a draft that is still replaced.
        replaceable: its period had not ended when it was computed: no version is kept.
        content: compares equal to ``Document.content`` where nothing changed.
        covers: keys of the segments whose usage it bills.
        amount_due: in minor units of ``currency``.
    """

    id: UUID
    identity: DocumentIdentity
    code: int
    bucket: int
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
    status: DocumentStatus
    amount_due: Money
    lines: int

    @property
    def customer(self) -> str:
        """Id of the customer whose document it is."""
        return self.identity.customer

    @property
    def plan(self) -> DocumentPlan:
        """The document without its lines."""
        return DocumentPlan(self.identity, self.currency, self.lock_at, self.covers)


def identity_of(row: Any) -> DocumentIdentity:
    """The identity of a document whose columns a row has, with ``customer_id``."""
    kind = DocumentKind(row.kind)
    return DocumentIdentity(row.customer_id, kind, row.period, row.issue_date, row.reissue, row.window_end)


@dataclass(frozen=True, slots=True)
class NewState:
    """A computed state of a document, to be written.

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
    """The documents of these customers and a period, by id, in the order of customer, issue date and kind."""
    query = """
        SELECT d.*, (SELECT count(*) FROM draft_line WHERE document = d.id AND d.replaceable)
             + (SELECT count(*) FROM document_line WHERE document = d.id AND version = d.version) AS lines
        FROM current_document AS d WHERE d.period = :period AND d.customer = ANY(:codes)
        ORDER BY d.customer_id, d.issue_date, d.kind
    """
    return {row.id: _stored(row) for row in fetch(connection, query, period=period, codes=codes)}


def newest_period(connection: Connection, code: int) -> date:
    """The last period that a customer has a document of; of one that has some."""
    return cast(date, fetch(connection, "SELECT max(period) FROM document WHERE customer = :code", code=code)[0][0])


def _stored(row: Any) -> StoredDocument:
    return StoredDocument(
        id=row.id,
        identity=identity_of(row),
        code=row.customer,
        bucket=row.bucket,
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
        status=DocumentStatus(row.status),
        amount_due=Money(int(row.amount_due_minor), row.currency),
        lines=row.lines,
    )


_DOCUMENT_COLUMNS = ("id", "customer", "bucket", "kind", "period", "issue_date", "window_end", "reissue", "currency")
_STATE_COLUMNS = (
    "document", "lock_at", "subtotal_minor", "credits_applied_minor", "tax_minor", "total_minor",
    "customer_credit_applied_minor", "amount_due_minor", "has_usage", "covers", "content", "as_of_batch",
    "as_of_change", "recorded_at", "reason", "code_version",
)  # fmt: skip
_LINE_COLUMNS = ("document", "line", *LINE_COLUMNS)


def replace_drafts(connection: Connection, states: Sequence[NewState], at: datetime, code_version: str) -> None:
    """Put these drafts in the place of the ones before; nothing of those is kept."""
    _register_new(connection, states)
    remove_drafts(connection, [state.computed.id for state in states])
    _write(connection, draft_document, draft_line, states, at, code_version)


def remove_drafts(connection: Connection, ids: Collection[UUID]) -> None:
    """Remove drafts that no longer exist, or that become a version in this transaction."""
    for table in (draft_line, draft_document) if ids else ():
        connection.execute(delete(table).where(among(table.c.document, ids)))


def add_versions(connection: Connection, states: Sequence[NewState], at: datetime, code_version: str) -> None:
    """Write versions with their lines, in this transaction, for good."""
    _register_new(connection, states)
    remove_drafts(connection, [state.computed.id for state in states if state.version == 1])
    _write(connection, document_version, document_line, states, at, code_version)


def promote_drafts(connection: Connection, period: date, buckets: Collection[int]) -> int:
    """Keep a period's drafts as version 1, as they stand, because the period has ended; returns how many."""
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
    copy_rows(connection, document, _DOCUMENT_COLUMNS, [_document_row(identity, code, bucket, currency)])


def _register_new(connection: Connection, states: Sequence[NewState]) -> None:
    ids = [state.computed.id for state in states]
    registered = set(connection.scalars(select(document.c.id).where(among(document.c.id, ids))))
    rows = {  # two versions of a document may be written at once
        state.computed.id: _document_row(
            state.computed.plan.identity, state.code, state.bucket, state.computed.plan.currency
        )
        for state in states
        if state.computed.id not in registered
    }
    if rows:
        copy_rows(connection, document, _DOCUMENT_COLUMNS, rows.values())


def _document_row(identity: DocumentIdentity, code: int, bucket: int, currency: str) -> tuple[object, ...]:
    return (
        identity.id, code, bucket, str(identity.kind), identity.period, identity.issue_date, identity.window_end,
        identity.reissue, currency,
    )  # fmt: skip


def _write(
    connection: Connection,
    of_states: Table,
    of_lines: Table,
    states: Sequence[NewState],
    at: datetime,
    code_version: str,
) -> None:
    """Write states with their lines, as drafts or as versions."""
    first = 0 if "version" in of_states.c else 1  # a draft has no number
    copy_rows(
        connection,
        of_states,
        ("version", *_STATE_COLUMNS)[first:],
        ((state.version, *_state_row(state, at, code_version))[first:] for state in states),
    )
    copy_rows(
        connection,
        of_lines,
        ("version", *_LINE_COLUMNS)[first:],
        (
            (state.version, state.computed.id, number, *line_values(line))[first:]
            for state in states
            for number, line in enumerate(state.computed.lines, start=1)
        ),
    )


def _state_row(state: NewState, at: datetime, code_version: str) -> tuple[object, ...]:
    computed = state.computed
    covers = json.dumps(stored_keys(computed.plan.covers), ensure_ascii=False)
    return (
        computed.id, computed.plan.lock_at, *amounts_minor(computed), computed.plan.has_usage, covers,
        computed.content, state.as_of_batch, state.as_of_change, at, dict(state.reason), code_version,
    )  # fmt: skip


def amounts_minor(computed: Document) -> tuple[int, ...]:
    """A document's subtotal, credits applied, tax, total, customer credit applied and amount due, in minor units."""
    return (
        computed.subtotal.minor, computed.credits_applied.minor, computed.tax.minor, computed.total.minor,
        computed.customer_credit, computed.amount_due.minor,
    )  # fmt: skip
