"""The ledger that the outbox' tests start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.operations.context import Billing
from billing_pipeline_tests.payments.outbox_ledger import apply, customer_entry, sandbox
from billing_pipeline_tests.servers import Server


@pytest.fixture
def billing(postgres: Server, tmp_path: Path) -> Iterator[Billing]:
    """A sandbox at START, with the customers acme (no payment method) and beta (has one)."""
    with sandbox(postgres, tmp_path) as made:
        apply(made, customer_entry("acme"), customer_entry("beta", gateway="card", reference="cus_123"))
        yield made
