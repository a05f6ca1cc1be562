"""What became of a document after it was final: whether it is void, what took its place, what lowers it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from billing_pipeline.core.money import Money
from billing_pipeline.core.plain_json import JsonFields


@dataclass(frozen=True, slots=True)
class KnownVoid:
    """A void document. ``replaced_by`` is the number of its reissue, or its id where nothing was left to bill."""

    at: datetime
    actor: str
    reason: str
    replaced_by: str | None


@dataclass(frozen=True, slots=True)
class KnownCredit:
    """A credit note.

    Attributes:
        number: its own.
        credits: number of the invoice that it lowers.
        total: with tax; negative.
        correction: whether it lowers what counts as billed.
    """

    number: str
    credits: str
    at: datetime
    actor: str
    reason: str
    correction: bool
    total: Money


@dataclass(frozen=True, slots=True)
class Aftermath(JsonFields):
    """What became of a document after it was final, or of what it is the end.

    Attributes:
        void: None where it stands.
        replaces: number of the void document whose place it takes.
        credits: what it is, where it is a credit note.
        credit_notes: those that lower it, oldest first.
    """

    void: KnownVoid | None
    replaces: str | None
    credits: KnownCredit | None
    credit_notes: Sequence[KnownCredit]


def aftermath(connection: Connection, document: UUID) -> Aftermath:
    """What became of one document."""
    query = text("""
        SELECT v.voided_at, v.actor, v.reason, coalesce(f.number, v.replaced_by::text)
        FROM document_void AS v LEFT JOIN finalization AS f ON f.document = v.replaced_by WHERE v.document = :document
    """)
    void = connection.execute(query, {"document": document}).one_or_none()
    query = text("""
        SELECT f.number FROM document_void AS v JOIN finalization AS f ON f.document = v.document
        WHERE v.replaced_by = :document
    """)
    replaces: str | None = connection.scalar(query, {"document": document})
    notes = _notes(connection, document)
    return Aftermath(
        void=KnownVoid(*void) if void else None,
        replaces=replaces,
        credits=next((credit for note, credit in notes if note == document), None),
        credit_notes=[credit for note, credit in notes if note != document],
    )


def _notes(connection: Connection, document: UUID) -> list[tuple[UUID, KnownCredit]]:
    query = text("""
        SELECT n.document, f.number, lowered.number, f.finalized_at, n.actor, n.reason, n.correction, v.total_minor,
               d.currency
        FROM credit_note AS n JOIN document AS d ON d.id = n.document
        JOIN finalization AS f ON f.document = n.document
        JOIN document_version AS v ON v.document = f.document AND v.version = f.version
        JOIN finalization AS lowered ON lowered.document = n.credits
        WHERE n.credits = :document OR n.document = :document ORDER BY f.finalized_at, f.number
    """)
    credits_ = []
    for note, *said, minor, currency in connection.execute(query, {"document": document}):
        values: list[Any] = [*said, Money(int(minor), currency)]
        credits_.append((note, KnownCredit(*values)))
    return credits_


def change_at_cutoff(connection: Connection, document: UUID) -> int | None:
    """The last catalog change recorded before a document's cutoff; None while it is a draft."""
    change: int | None = connection.scalar(
        text("SELECT change FROM finalization WHERE document = :document"), {"document": document}
    )
    return change
