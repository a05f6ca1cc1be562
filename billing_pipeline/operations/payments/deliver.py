"""Deliver queued payments to their gateways: at least once, each invoice with one key.

A batch of payments is locked, submitted and recorded in one transaction. Who is killed between submitting and
recording leaves the payment queued: the next delivery submits it again with the same key, and the gateway answers with
the payment that it has.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from uuid import UUID

from billing_pipeline.core.errors import PaymentError, SettingsError, nearest
from billing_pipeline.core.plain_json import JsonFields
from billing_pipeline.ledger.documents import payments
from billing_pipeline.ledger.documents.payments import PaymentStep, TakenPayment
from billing_pipeline.operations.context import Billing
from billing_pipeline.payments.gateways import PAYMENT_GATEWAYS
from billing_pipeline.payments.handoff import GatewayUnreachable, PaymentGateway, PaymentStatus
from billing_pipeline.payments.retries import next_attempt_at

_BATCH = 100  # payments locked at once: what a kill makes us submit again …
_BATCH_SECONDS = 5  # … and for how long: who marks one of them paid waits
_BEFORE_ALL = UUID(int=0)


@dataclass(frozen=True, slots=True)
class DeliveryProblem:
    """A payment, or a whole gateway, that did not get through.

    Attributes:
        number: the invoice's; None where it concerns the gateway.
        next_attempt_at: when the payment is tried again; None: never, or at the next delivery if it is still queued.
    """

    gateway: str
    number: str | None
    customer: str | None
    message: str
    hint: str
    next_attempt_at: datetime | None = None


@dataclass(slots=True)
class DeliverySummary(JsonFields):
    """What one delivery did, counted in payments.

    Attributes:
        submitted: the gateway has them.
        paid: the gateway collected at once.
        refused: to be tried again on a later day.
        failed: refused for the last time.
        awaiting_payment_method: go as soon as the customer has one.
        problems: every refusal and every gateway that could not be used.
    """

    submitted: int = 0
    paid: int = 0
    refused: int = 0
    failed: int = 0
    awaiting_payment_method: int = 0
    problems: list[DeliveryProblem] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many payments went which way."""
        return {count.name: getattr(self, count.name) for count in fields(self) if count.name != "problems"}

    def count(self, step: PaymentStep) -> None:
        """Add one payment's step."""
        retried = step.status is PaymentStatus.FAILED and step.next_attempt_at is not None
        name = "refused" if retried else str(step.status)
        setattr(self, name, getattr(self, name) + 1)


def deliver(billing: Billing, gateways: Mapping[str, type[PaymentGateway]] = PAYMENT_GATEWAYS) -> DeliverySummary:
    """Submit every payment that is due at the clock's now.

    Args:
        billing: the ledger and its settings.
        gateways: who may collect, by name.

    Returns:
        What happened. A gateway that refuses or cannot be reached is a problem in it, and stops no other.

    Raises:
        ExceptionGroup: a gateway broke (a fault of its code, one exception for each), after all others were served;
            its payments stay as they were.
    """
    now, summary, faults = billing.now(), DeliverySummary(), list[Exception]()
    with billing.ledger.begin() as connection:
        due = payments.due_by_gateway(connection, now)
    done, progress = 0, billing.watch("deliver payments")
    for name in due:
        try:
            delivery = _Delivery(billing, name, _gateway(billing, name, gateways), summary, faults)
            for looked_at in delivery.batches():
                done += looked_at
                progress(min(done, sum(due.values())), sum(due.values()))
        except (PaymentError, SettingsError) as error:
            summary.problems.append(DeliveryProblem(name, None, None, error.message, error.hint))
    if faults:
        raise ExceptionGroup(f"A payment gateway broke; apart from that: {summary}", faults)
    return summary


def _gateway(billing: Billing, name: str, gateways: Mapping[str, type[PaymentGateway]]) -> PaymentGateway:
    if name not in gateways:
        raise PaymentError(
            f"There is no payment gateway {name!r}; its payments wait.", hint=nearest(name, tuple(gateways))
        )
    return gateways[name].configured(billing.settings)


@dataclass(slots=True)
class _Delivery:
    """One walk through one gateway's due payments."""

    billing: Billing
    name: str
    gateway: PaymentGateway
    summary: DeliverySummary
    faults: list[Exception]

    def batches(self) -> Iterator[int]:
        """How many payments each batch looked at. Raises GatewayUnreachable once what went before is recorded."""
        taken, after = self._batch(_BEFORE_ALL), _BEFORE_ALL
        while taken:
            yield len(taken)
            after = taken[-1].request.document
            taken = self._batch(after)

    def _batch(self, after: UUID) -> list[TakenPayment]:
        """One transaction: take, submit, record. Returns those that had their turn."""
        now, unreachable, steps = self.billing.now(), None, list[PaymentStep]()
        began, served = time.monotonic(), list[TakenPayment]()
        with self.billing.ledger.begin() as connection:
            needs = self.gateway.needs_payment_method
            taken = payments.take(connection, self.name, now, needs_payment_method=needs, after=after, limit=_BATCH)
            try:
                for payment in taken:
                    steps += self._step(payment, now)
                    served.append(payment)
                    if time.monotonic() - began > _BATCH_SECONDS:
                        break
            except GatewayUnreachable as error:
                unreachable = error
            payments.record(connection, steps, now, self.billing.actor)
        for step in steps:
            self.summary.count(step)
        if unreachable is not None:
            raise unreachable
        return served

    def _step(self, payment: TakenPayment, now: datetime) -> list[PaymentStep]:
        """Submit one payment. Nothing is recorded of a gateway that broke: whether it has the payment is not known."""
        request = payment.request
        if self.gateway.needs_payment_method and request.reference is None:
            note = f"customer {request.customer} has no payment method at {self.name}"
            return [PaymentStep(request.document, PaymentStatus.AWAITING_PAYMENT_METHOD, note)]
        try:
            answer = self.gateway.submit(request)
        except GatewayUnreachable:
            raise
        except PaymentError as refusal:
            return [self._refused(payment, refusal, now)]
        except Exception as fault:  # noqa: BLE001 - raised by deliver(), once the other gateways are served
            fault.add_note(f"gateway {self.name}, invoice {request.number}")
            self.faults.append(fault)
            return []
        note = f"attempt {request.attempt}: {self.name} has it as {answer.reference}"
        return [PaymentStep(request.document, answer.status, note, answer.reference)]

    def _refused(self, payment: TakenPayment, refusal: PaymentError, now: datetime) -> PaymentStep:
        request = payment.request
        retry_at = next_attempt_at(request.attempt, payment.first_refused_at or now, now, self.billing.calendar)
        self.summary.problems.append(
            DeliveryProblem(self.name, request.number, request.customer, refusal.message, refusal.hint, retry_at)
        )
        then = f"next attempt {retry_at.isoformat()}" if retry_at else "given up"
        note = f"attempt {request.attempt} refused by {self.name}: {refusal.message} ({then})"
        return PaymentStep(request.document, PaymentStatus.FAILED, note, next_attempt_at=retry_at)
