"""Payments: where each stands, and saying by hand that one is paid."""

from dataclasses import dataclass
from datetime import datetime

from billing_pipeline.core.errors import PaymentError, Refused, nearest
from billing_pipeline.core.plain_json import Json, fields_json
from billing_pipeline.ledger.documents import payments
from billing_pipeline.ledger.documents.payments import PaymentStep
from billing_pipeline.ledger.reading import payments as known_payments
from billing_pipeline.ledger.reading.payments import KnownPayment, PaymentEvent
from billing_pipeline.operations.context import Billing
from billing_pipeline.payments.handoff import PaymentStatus


def list_payments(billing: Billing, *, status: str | None = None, customer: str | None = None) -> list[KnownPayment]:
    """Payments by issue date and number, all or those of a status, of a customer.

    Raises:
        Refused: there is no such status.
    """
    statuses = list(map(str, PaymentStatus))
    if status is not None and status not in statuses:
        raise Refused(f"{status!r} is no payment status.", hint=nearest(status, statuses))
    with billing.ledger.begin() as connection:
        return known_payments.known(connection, status=status, customer=customer)


def payment_history(billing: Billing, name: str) -> list[PaymentEvent]:
    """Every step of the payment of the invoice with this number or id, oldest first."""
    with billing.ledger.begin() as connection:
        return known_payments.history(connection, _found(known_payments.find(connection, name), name).document)


@dataclass(frozen=True, slots=True)
class MarkedPaid:
    """A payment that is paid; ``changed`` False: it was so before."""

    payment: KnownPayment
    changed: bool


def mark_paid(
    billing: Billing, name: str, *, reference: str | None = None, at: datetime | None = None, note: str = ""
) -> MarkedPaid:
    """Say that an invoice is paid. Saying the same again changes nothing.

    Args:
        billing: the ledger, and who says so.
        name: the invoice's number or id.
        reference: of the money that came in, e.g. a bank's; None keeps the gateway's.
        at: when it was paid; None: now.
        note: kept with the step.

    Raises:
        PaymentError: no such invoice asks for payment, or it was paid with another reference.
        Refused: the invoice is void; ``at`` is in the future, or has no time zone.
    """
    now = billing.now()
    _refuse_impossible(at, now)
    with billing.ledger.begin() as connection:
        payments.lock_request(connection, _found(known_payments.find(connection, name), name).document)
        payment = _found(known_payments.find(connection, name), name)  # a deliverer may have moved it meanwhile
        if payment.status is PaymentStatus.PAID:
            _refuse_other_reference(payment, reference)
            return MarkedPaid(payment, changed=False)
        if payment.status is PaymentStatus.NOT_DUE:
            raise Refused(
                f"Invoice {payment.number} is void: it asks for nothing.",
                hint="Mark the invoice in its place.",
            )
        note = ", ".join(part for part in ("marked paid", reference and f"reference {reference}", note) if part)
        step = PaymentStep(payment.document, PaymentStatus.PAID, note, reference, at=at)
        payments.record(connection, [step], now, billing.actor)
        return MarkedPaid(_found(known_payments.find(connection, name), name), changed=True)


def _found(payment: KnownPayment | None, name: str) -> KnownPayment:
    if payment is None:
        raise PaymentError(
            f"No payment is asked for by an invoice {name!r}.",
            hint="Drafts and invoices without an amount due have none. List them with: billing payments list",
        )
    return payment


def _refuse_impossible(at: datetime | None, now: datetime) -> None:
    if at is None:
        return
    if at.tzinfo is None:
        raise Refused(f"{at.isoformat()} has no time zone.", hint=f"Write {at.isoformat()}Z for UTC.")
    if at > now:
        raise Refused(f"{at.isoformat()} is in the future; now is {now.isoformat()}.", hint="Mark it once it is paid.")


def _refuse_other_reference(payment: KnownPayment, reference: str | None) -> None:
    if reference is not None and reference != payment.reference:
        raise PaymentError(
            f"Invoice {payment.number} is paid already, with reference {payment.reference}.",
            hint="Was it paid twice? Give the money back, or credit the customer.",
        )


def as_json(payment: KnownPayment) -> Json:
    """A payment for machines; its invoice's id and its currency come last."""
    content = fields_json(payment)
    return content | {"id": content.pop("document"), "currency": payment.amount.currency}
