"""Customers: who collects, which taxes are due, and in which currency for good."""

from collections.abc import Iterator

from billing_pipeline.catalog.checks.check_context import CheckContext, one_of, repeated
from billing_pipeline.catalog.customer import Customer, Exempt
from billing_pipeline.core.errors import CatalogError


def check_customer(customer: Customer, context: CheckContext) -> Iterator[CatalogError]:
    """The gateway exists, a tax is told from the others, and the currency stays."""
    if customer.payment is not None:
        yield from one_of("gateway", customer.payment.gateway, context.can.gateways, ("payment", "gateway"))
    yield from _check_tax(customer)
    recorded = context.recorded("customer", customer.id)
    if recorded and recorded.currency != customer.currency:
        message = f"The customer is invoiced in {recorded.currency}; that cannot become {customer.currency}."
        yield CatalogError(message, hint="Make a customer with another id.", path=("currency",))


def _check_tax(customer: Customer) -> Iterator[CatalogError]:
    if isinstance(customer.tax, Exempt):
        if not customer.tax.exempt.strip():
            message = "No reason is given for which the customer pays no tax."
            yield CatalogError(message, hint="Write e.g. reverse charge; it is printed.", path=("tax", "exempt"))
        return
    names = [rate.name.strip() for rate in customer.tax]
    for i, name in repeated(names):
        message = f"There is another tax {name!r}."
        yield CatalogError(message, hint="Give one of them another name.", path=("tax", i, "name"))
    for i, name in enumerate(names):
        if not name:
            yield CatalogError("The tax has no name.", hint="Write e.g. VAT; it is printed.", path=("tax", i, "name"))
