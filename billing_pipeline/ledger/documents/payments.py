"""The outbox in the ledger: payments queued with their document, taken by deliverers, and every step kept.

What is asked for (``payment_request``) and each step (``payment_event``) are facts. Where a payment stands is written
nowhere: the view ``payment`` derives it from the steps. Who adds one holds the request's row until it is committed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from billing_pipeline.catalog.customer import Customer
from billing_pipeline.core.money import Money
from billing_pipeline.ledger.database import copy_rows, fetch
from billing_pipeline.ledger.tables import payment_event, payment_request
from billing_pipeline.payments.gateways import DEFAULT_GATEWAY
from billing_pipeline.payments.handoff import Collection, PaymentRequest, PaymentStatus


@dataclass(frozen=True, slots=True)
class PaymentDue:
    """The payment that a finalized document asks for.

    Attributes:
        document: the document's id.
        amount_minor: its amount due, in minor units of its currency.
        gateway: who collects; None where the customer names none: a person marks it paid.
        collection: automatic or send.
    """

    document: UUID
    amount_minor: int
    gateway: str | None = None
    collection: str | None = None

    @classmethod
    def of(cls, document: UUID, amount_due: Money, customer: Customer) -> "PaymentDue":
        """What a document asks of a customer, by the payment terms that the catalog gives them."""
        payment = customer.payment
        gateway, collection = (payment.gateway, payment.collection) if payment else (None, None)
        return cls(document, amount_due.minor, gateway, collection)


@dataclass(frozen=True, slots=True)
class TakenPayment:
    """A payment that is due for delivery and locked until the transaction ends.

    Attributes:
        request: what to ask; its attempt is one more than the refusals so far.
        first_refused_at: when the gateway refused first; None: never.
    """

    request: PaymentRequest
    first_refused_at: datetime | None


@dataclass(frozen=True, slots=True)
class PaymentStep:
    """A step of a payment: what became of it.

    Attributes:
        status: where it is now.
        note: why, for people.
        reference: the gateway's own id, where the step brings one; a known one is kept.
        next_attempt_at: when a failed payment is tried again; None: never.
        at: when it happened; None: at the time of recording.
    """

    document: UUID
    status: PaymentStatus
    note: str
    reference: str | None = None
    next_attempt_at: datetime | None = None
    at: datetime | None = None


def queue(connection: Connection, rows: Iterable[PaymentDue], at: datetime, actor: str) -> int:
    """Queue payments, in the transaction that finalizes their documents; returns how many.

    Nothing is queued where nothing is due. A document is queued once: a second time violates the primary key.
    """
    due = [row for row in rows if row.amount_minor > 0]
    copy_rows(
        connection,
        payment_request,
        ("document", "gateway", "collection", "amount_minor"),
        ((row.document, row.gateway or DEFAULT_GATEWAY, str(_collection(row)), row.amount_minor) for row in due),
    )
    copy_rows(
        connection,
        payment_event,
        ("document", "status", "at", "recorded_at", "actor", "note"),
        ((row.document, "queued", at, at, actor, f"for gateway {row.gateway or DEFAULT_GATEWAY}") for row in due),
    )
    return len(due)


def _collection(row: PaymentDue) -> Collection:
    """Without a gateway there is nobody to collect automatically."""
    if row.gateway is None:
        return Collection.SEND
    return Collection(row.collection or Collection.AUTOMATIC)


# Of a payment (p): its gateway does not have it yet, and it is asked for. Said first: most payments are delivered.
_UNDELIVERED = """NOT EXISTS (
        SELECT FROM payment_event AS e WHERE e.document = p.document AND e.status IN ('submitted', 'paid', 'not_due')
    )"""


def due_by_gateway(connection: Connection, now: datetime) -> dict[str, int]:
    """How many payments may be due, by gateway in order of name; some may still wait for a payment method."""
    query = f"""
        SELECT p.gateway, count(*) AS due FROM payment AS p WHERE {_UNDELIVERED} AND (
            p.status IN ('queued', 'awaiting_payment_method') OR (p.status = 'failed' AND p.next_attempt_at <= :now)
        ) GROUP BY p.gateway ORDER BY p.gateway
    """  # noqa: S608 - our own words
    return {row.gateway: row.due for row in fetch(connection, query, now=now)}


def last_event(connection: Connection) -> int:
    """The number of the last thing that happened to any payment; 0: nothing yet."""
    return connection.scalar(text("SELECT max(id) FROM payment_event")) or 0


# Rows that another deliverer holds are its business. ``after`` walks through the payments once, so that one that cannot
# move does not stop the others.
_TAKE = f"""
    SELECT p.document FROM payment_request AS p
    WHERE p.gateway = :gateway AND p.document > :after AND {_UNDELIVERED}
    ORDER BY p.document LIMIT :limit FOR UPDATE OF p SKIP LOCKED
"""  # noqa: S608 - our own words
# Asked of payments that are locked: what another deliverer did with them until then is seen. The payment method is the
# customer's newest one. A void document is not collected.
_DUE = f"""
    SELECT p.document, p.amount_minor, p.collection, p.attempts, d.currency, d.issue_date, c.id AS customer, f.number,
           method.reference,
           (SELECT min(at) FROM payment_event WHERE document = p.document AND status = 'failed') AS refused_at
    FROM payment AS p
    JOIN document AS d ON d.id = p.document
    JOIN customer AS c ON c.code = d.customer
    JOIN finalization AS f ON f.document = p.document
    LEFT JOIN LATERAL (
        SELECT nullif(content -> 'payment' ->> 'reference', '') AS reference FROM catalog_entry
        WHERE kind = 'customer' AND id = c.id ORDER BY change DESC LIMIT 1
    ) AS method ON true
    WHERE p.document = ANY(:documents) AND {_UNDELIVERED} AND (
        p.status = 'queued'
        OR (p.status = 'failed' AND p.next_attempt_at <= :now)
        OR (p.status = 'awaiting_payment_method' AND (method.reference IS NOT NULL OR NOT :needs_payment_method))
    ) AND NOT EXISTS (SELECT FROM document_void AS v WHERE v.document = p.document)
    ORDER BY p.document
"""  # noqa: S608 - our own words


def take(
    connection: Connection, gateway: str, now: datetime, *, needs_payment_method: bool, after: UUID, limit: int
) -> list[TakenPayment]:
    """The next payments that are due at ``now``, in order of their document, locked against other deliverers."""
    due: Sequence[Row[Any]] = ()
    while not due:
        locked = [row.document for row in fetch(connection, _TAKE, gateway=gateway, after=after, limit=limit)]
        if not locked:
            return []
        due = fetch(connection, _DUE, documents=locked, now=now, needs_payment_method=needs_payment_method)
        after = locked[-1]
    return [
        TakenPayment(
            PaymentRequest(
                document=row.document,
                number=row.number,
                customer=row.customer,
                amount=Money(int(row.amount_minor), row.currency),
                issue_date=row.issue_date,
                collection=Collection(row.collection),
                reference=row.reference,
                attempt=row.attempts + 1,
            ),
            row.refused_at,
        )
        for row in due
    ]


def lock_request(connection: Connection, document: UUID) -> None:
    """Hold a document's payment until the transaction ends; then ask where it stands."""
    fetch(connection, "SELECT document FROM payment_request WHERE document = :document FOR UPDATE", document=document)


def record(connection: Connection, steps: Sequence[PaymentStep], at: datetime, actor: str) -> None:
    """Move payments on by a step each. The caller holds them."""
    copy_rows(
        connection,
        payment_event,
        ("document", "status", "at", "recorded_at", "actor", "note", "reference", "next_attempt_at"),
        (
            (
                step.document, str(step.status), step.at or at, at, actor, step.note, step.reference,
                step.next_attempt_at,
            )
            for step in steps
        ),
    )  # fmt: skip


_STOPPED = {PaymentStatus.QUEUED, PaymentStatus.FAILED, PaymentStatus.AWAITING_PAYMENT_METHOD}


def stop(connection: Connection, document: UUID, at: datetime, actor: str) -> str | None:
    """Stop asking for a void document's payment; returns the status in which that cannot be any more, else None."""
    lock_request(connection, document)
    query = "SELECT status, gateway FROM payment WHERE document = :document"
    for row in fetch(connection, query, document=document):  # none where nothing was due
        by_hand = row.status == PaymentStatus.SUBMITTED and row.gateway == DEFAULT_GATEWAY  # a person looks for money
        if row.status not in _STOPPED and not by_hand:
            return str(row.status)
        step = PaymentStep(document, PaymentStatus.NOT_DUE, "the invoice is void")
        record(connection, [step], at, actor)
    return None
