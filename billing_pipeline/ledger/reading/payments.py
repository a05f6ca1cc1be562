"""What people ask about payments: where each stands, and the steps it took."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, select, text

from billing_pipeline.core.money import Money
from billing_pipeline.ledger.tables import payment_event
from billing_pipeline.payments.handoff import Collection, PaymentStatus


@dataclass(frozen=True, slots=True)
class KnownPayment:
    """A payment as it stands.

    Attributes:
        number: the document's number.
        customer: the customer's id.
        reference: the gateway's own id; None before the gateway has answered.
        attempts: how often the gateway has refused.
        next_attempt_at: when a failed payment is tried again; None: never.
    """

    document: UUID
    number: str
    customer: str
    issue_date: date
    gateway: str
    collection: Collection
    amount: Money
    status: PaymentStatus
    reference: str | None
    attempts: int
    next_attempt_at: datetime | None
    updated_at: datetime


_KNOWN = """
    SELECT p.*, d.currency, d.issue_date, c.id AS customer, f.number
    FROM payment AS p
    JOIN document AS d ON d.id = p.document
    JOIN customer AS c ON c.code = d.customer
    JOIN finalization AS f ON f.document = p.document
"""


def _known(connection: Connection, clauses: str, values: dict[str, object]) -> list[KnownPayment]:
    rows = connection.execute(text(_KNOWN + clauses), values)
    return [
        KnownPayment(
            document=row.document,
            number=row.number,
            customer=row.customer,
            issue_date=row.issue_date,
            gateway=row.gateway,
            collection=Collection(row.collection),
            amount=Money(int(row.amount_minor), row.currency),
            status=PaymentStatus(row.status),
            reference=row.reference,
            attempts=row.attempts,
            next_attempt_at=row.next_attempt_at,
            updated_at=row.updated_at,
        )
        for row in rows
    ]


def known(connection: Connection, *, status: str | None = None, customer: str | None = None) -> list[KnownPayment]:
    """Payments by issue date and number, all or those of a status, of a customer."""
    return _known(
        connection,
        "WHERE (CAST(:status AS text) IS NULL OR p.status = :status) "
        "AND (CAST(:customer AS text) IS NULL OR c.id = :customer) ORDER BY d.issue_date, f.number",
        {"status": status, "customer": customer},
    )


def find(connection: Connection, name: str) -> KnownPayment | None:
    """The payment of the document with this number or id."""
    clause, values = "WHERE f.number = :name", dict[str, object](name=name)
    with suppress(ValueError):
        clause, values = "WHERE p.document = :id", {"id": UUID(name)}
    payments = _known(connection, clause, values)
    return payments[0] if payments else None


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """One step that a payment took."""

    status: PaymentStatus
    at: datetime
    actor: str
    note: str


def history(connection: Connection, document: UUID) -> list[PaymentEvent]:
    """The steps of a document's payment, oldest first."""
    query = select(payment_event).where(payment_event.c.document == document).order_by(payment_event.c.id)
    return [PaymentEvent(PaymentStatus(row.status), row.at, row.actor, row.note) for row in connection.execute(query)]
