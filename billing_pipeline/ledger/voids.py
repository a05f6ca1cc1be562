"""Voids and credit notes in the ledger: facts beside the documents that they concern."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, text

from billing_pipeline.invoicing.document import DocumentIdentity
from billing_pipeline.ledger.documents import StoredDocument, register
from billing_pipeline.ledger.payments import PaymentStep
from billing_pipeline.ledger.payments import record as record_steps
from billing_pipeline.ledger.tables import credit_note, document_void
from billing_pipeline.payments.handoff import PaymentStatus

_STOPPED = {"queued", "failed", "awaiting_payment_method"}


def record(
    connection: Connection,
    document: UUID,
    replaced_by: DocumentIdentity | None,
    stored: StoredDocument,
    at: datetime,
    actor: str,
    reason: str,
) -> None:
    """Void a document for good; with ``replaced_by``, name the document that takes its place."""
    if replaced_by is not None:
        register(connection, replaced_by, stored.code, stored.bucket, stored.currency)
    connection.execute(
        insert(document_void).values(
            document=document,
            voided_at=at,
            actor=actor,
            reason=reason,
            replaced_by=replaced_by.id if replaced_by else None,
        )
    )


def stop_payment(connection: Connection, document: UUID, at: datetime, actor: str) -> str | None:
    """Stop asking for a document's payment where it is still ours; returns where it was, None: nowhere."""
    query = text("SELECT status, attempts FROM payment WHERE document = :document FOR UPDATE")
    row = connection.execute(query, {"document": document}).one_or_none()
    if row is None:
        return None
    if row.status in _STOPPED:
        step = PaymentStep(document, PaymentStatus.NOT_DUE, "the invoice is void", row.attempts)
        record_steps(connection, [step], at, actor)
    return str(row.status)


def credit_notes(connection: Connection, document: UUID) -> list[str]:
    """Numbers of the credit notes that lower a document."""
    query = text("""
        SELECT f.number FROM credit_note AS n JOIN finalization AS f ON f.document = n.document
        WHERE n.credits = :document ORDER BY f.number
    """)
    return list(connection.scalars(query, {"document": document}))


def credited(connection: Connection, document: UUID) -> int:
    """Minor units that credit notes gave back of a document before tax; positive."""
    query = text("""
        SELECT coalesce(sum(-v.subtotal_minor), 0) FROM credit_note AS n
        JOIN document_version AS v ON v.document = n.document WHERE n.credits = :document
    """)
    return int(connection.scalar(query, {"document": document}) or 0)


def total(connection: Connection, document: UUID) -> int:
    """Minor units that a document asks for, or gives where negative."""
    query = text("""
        SELECT v.total_minor FROM finalization AS f
        JOIN document_version AS v ON v.document = f.document AND v.version = f.version WHERE f.document = :document
    """)
    return int(connection.scalar(query, {"document": document}) or 0)


def record_credit_note(
    connection: Connection, document: UUID, credits_document: UUID, actor: str, reason: str, *, correction: bool
) -> None:
    """Say what a credit note lowers, and whether what counts as billed is lowered with it."""
    connection.execute(
        insert(credit_note).values(
            document=document, credits=credits_document, correction=correction, reason=reason, actor=actor
        )
    )
