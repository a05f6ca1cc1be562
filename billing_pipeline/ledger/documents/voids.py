"""Voids and credit notes in the ledger: facts beside the documents that they concern."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert

from billing_pipeline.invoicing.document import DocumentIdentity
from billing_pipeline.ledger.database import fetch
from billing_pipeline.ledger.documents.states import StoredDocument, register
from billing_pipeline.ledger.tables import credit_note, document_void

# Joins a document (d) with its void (r), as far as it was void before ``:at``.
VOID_BEFORE = "document_void AS r ON r.document = d.id AND (CAST(:at AS timestamptz) IS NULL OR r.voided_at < :at)"


def record(
    connection: Connection,
    stored: StoredDocument,
    replaced_by: DocumentIdentity | None,
    at: datetime,
    actor: str,
    reason: str,
) -> None:
    """Void a document for good; ``replaced_by`` names the document that takes its place."""
    if replaced_by is not None:
        register(connection, replaced_by, stored.code, stored.bucket, stored.currency)
    connection.execute(
        insert(document_void).values(
            document=stored.id,
            voided_at=at,
            actor=actor,
            reason=reason,
            replaced_by=replaced_by.id if replaced_by else None,
        )
    )


def credit_notes(connection: Connection, document: UUID) -> list[str]:
    """Numbers of the credit notes that lower a document."""
    query = """
        SELECT f.number FROM credit_note AS n JOIN finalization AS f ON f.document = n.document
        WHERE n.credits = :document ORDER BY f.number
    """
    return [row.number for row in fetch(connection, query, document=document)]


def record_credit_note(
    connection: Connection, document: UUID, credits_document: UUID, actor: str, reason: str, *, correction: bool
) -> None:
    """Record which document a credit note lowers, and whether what counts as billed is lowered with it."""
    connection.execute(
        insert(credit_note).values(
            document=document, credits=credits_document, correction=correction, reason=reason, actor=actor
        )
    )
