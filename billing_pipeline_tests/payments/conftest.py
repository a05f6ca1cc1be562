"""The ledger that the outbox' tests start from."""

from pathlib import Path

import pytest

from billing_pipeline.ledger.database import Ledger
from billing_pipeline.operations.context import Billing
from billing_pipeline_tests.payments.outbox_ledger import apply, customer_entry, open_billing


@pytest.fixture
def billing(ledger: Ledger, tmp_path: Path) -> Billing:
    """A sandbox at START, with the customers acme (no payment method) and beta (has one)."""
    made = open_billing(ledger, tmp_path)
    apply(made, customer_entry("acme"), customer_entry("beta", gateway="card", reference="cus_123"))
    return made
