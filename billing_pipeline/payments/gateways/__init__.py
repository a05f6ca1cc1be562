"""Payment gateways: who collects.

To add one: write its file here, then add its line below.
"""

from billing_pipeline.payments.gateways.file import FileGateway
from billing_pipeline.payments.gateways.manual import ManualGateway
from billing_pipeline.payments.handoff import PaymentGateway

PAYMENT_GATEWAYS: dict[str, type[PaymentGateway]] = {
    "file": FileGateway,
    "manual": ManualGateway,
}

DEFAULT_GATEWAY = "manual"  # for a customer who names none: a person sees that the invoice is paid
