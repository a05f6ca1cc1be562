"""Customers: who collects, and in which currency for good."""

from collections.abc import Iterator

from billing_pipeline.catalog.checks.known import Known, one_of
from billing_pipeline.catalog.customer import Customer
from billing_pipeline.core.errors import CatalogError


def check_customer(customer: Customer, known: Known) -> Iterator[CatalogError]:
    """The gateway exists and the currency stays."""
    if customer.payment is not None:
        yield from one_of("gateway", customer.payment.gateway, known.can.gateways, ("payment", "gateway"))
    recorded = known.existing.customers.get(customer.id) if known.existing else None
    if recorded and recorded.currency != customer.currency:
        message = f"The customer is invoiced in {recorded.currency}; that cannot become {customer.currency}."
        yield CatalogError(message, hint="Make a customer with another id.", path=("currency",))
