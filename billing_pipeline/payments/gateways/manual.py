"""Manual: nobody is asked; a person says when the invoice is paid (``billing payments mark-paid``)."""

from dataclasses import dataclass
from typing import ClassVar, Self

from billing_pipeline.payments.handoff import GatewaySettings, PaymentRequest, Submission


@dataclass(frozen=True, slots=True)
class ManualGateway:
    """Accepts every request and keeps nothing: the ledger's payment is the only copy."""

    needs_payment_method: ClassVar[bool] = False

    @classmethod
    def configured(cls, settings: GatewaySettings) -> Self:  # noqa: ARG003 - there is nothing to set
        """The gateway; it has no settings."""
        return cls()

    def submit(self, request: PaymentRequest) -> Submission:
        """The payment is submitted, and waits for ``mark-paid``."""
        return Submission(f"manual:{request.document}")
