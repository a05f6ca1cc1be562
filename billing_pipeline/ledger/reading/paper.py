"""What a document's paper says beside the document itself: which catalog was in force, and which documents it names."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class PaperFacts:
    """Beside one document.

    Attributes:
        change: of a final document, the last catalog change recorded before its cutoff.
        corrects: number of the document that a credit note lowers.
        reason: why, as the credit note says.
        replaced_by: number or id of the document issued in the place of a void one.
    """

    change: int | None
    corrects: str | None
    reason: str | None
    replaced_by: str | None


def facts(connection: Connection, document: UUID) -> PaperFacts:
    """What is known beside a document."""
    query = text("""
        SELECT f.change, coalesce(lowered.number, n.credits::text), n.reason,
               coalesce(reissue.number, v.replaced_by::text)
        FROM document AS d
        LEFT JOIN finalization AS f ON f.document = d.id
        LEFT JOIN credit_note AS n ON n.document = d.id
        LEFT JOIN finalization AS lowered ON lowered.document = n.credits
        LEFT JOIN document_void AS v ON v.document = d.id
        LEFT JOIN finalization AS reissue ON reissue.document = v.replaced_by
        WHERE d.id = :document
    """)
    return PaperFacts(*connection.execute(query, {"document": document}).one())
