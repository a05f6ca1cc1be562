"""What we ask of a payment gateway, and what it answers. The last thing billing does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Protocol, Self
from uuid import UUID

from billing_pipeline.core.errors import PaymentError
from billing_pipeline.core.money import Money


class Collection(StrEnum):
    """How a payment is collected: who moves first."""

    AUTOMATIC = "automatic"  # the gateway collects from the payment method on file
    SEND = "send"  # the customer is sent the invoice and pays


class PaymentStatus(StrEnum):
    """Where a document's payment is; apart from the document's own status."""

    NOT_DUE = "not_due"  # a draft, or nothing to pay: there is no payment
    QUEUED = "queued"
    SUBMITTED = "submitted"  # the gateway has it
    PAID = "paid"
    FAILED = "failed"  # refused: tried again while a next attempt is set, else given up
    AWAITING_PAYMENT_METHOD = "awaiting_payment_method"


class GatewayUnreachable(PaymentError):  # noqa: N818 - as its parent's other cases: what is so, not that it is wrong
    """The gateway gave no verdict: no attempt is counted, and the payment goes at the next delivery."""


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """A request to collect a payment. Made anew for each attempt, equal but for what may have changed meanwhile.

    Attributes:
        document: the invoice's id.
        number: the invoice's number.
        customer: our id of who pays.
        amount: what is due, > 0.
        issue_date: the invoice's date.
        collection: automatic, or sent for the customer to pay.
        reference: the customer's payment method, as the gateway calls it. May change between two attempts.
        attempt: 1, and one more after each refusal; a repeat after a crash has the same number.
    """

    document: UUID
    number: str
    customer: str
    amount: Money
    issue_date: date
    collection: Collection
    reference: str | None = field(default=None, compare=False)
    attempt: int = field(default=1, compare=False)

    @property
    def idempotency_key(self) -> str:
        """Same invoice, same key: whatever crashes, a gateway collects once."""
        return f"invoice:{self.document}"

    def content(self) -> Mapping[str, str | None]:
        """The request as it is exchanged: amounts are strings in major units."""
        return {
            "idempotency_key": self.idempotency_key,
            "id": str(self.document),
            "number": self.number,
            "customer": self.customer,
            "issue_date": self.issue_date.isoformat(),
            "currency": self.amount.currency,
            "amount_due": str(self.amount),
            "collection": str(self.collection),
            "reference": self.reference,
        }


@dataclass(frozen=True, slots=True)
class Submission:
    """A gateway's answer.

    Attributes:
        reference: the gateway's own id of the payment.
        status: SUBMITTED, or PAID where it collected at once.
    """

    reference: str
    status: PaymentStatus = PaymentStatus.SUBMITTED


class GatewaySettings(Protocol):
    """The settings that gateways are made from."""

    @property
    def outbox(self) -> Path:
        """Where the ``file`` gateway writes."""


class PaymentGateway(Protocol):
    """A gateway that collects. Every adapter passes billing_pipeline_tests/contracts/payment_gateway.py."""

    @property
    def needs_payment_method(self) -> bool:
        """Whether a request without ``reference`` is pointless; such a payment waits until there is one."""

    @classmethod
    def configured(cls, settings: GatewaySettings) -> Self:
        """The gateway of these settings. Raises SettingsError where one is missing."""

    def submit(self, request: PaymentRequest) -> Submission:
        """Ask for payment, once per key: repeating a key with an equal request gives the same reference.

        Raises:
            PaymentError: refused, or the key was used for another request; tried again on a later day.
            GatewayUnreachable: no verdict.
        """
