"""Tax: one line a rate, on what is left of a document's subtotal after prepaid credits.

Rates stand with the customer. A tax service would say its own for each document; it takes the place of ``CatalogTax``.
"""

from datetime import date
from typing import Protocol

from billing_pipeline.catalog.customer import Customer, Exempt, TaxRate
from billing_pipeline.core.money import EXACT, Money, Rounding, percent_of
from billing_pipeline.rating.line import LineKind, RatedLine


class TaxService(Protocol):
    """A tax service: says which taxes are due on a document."""

    def lines(self, customer: Customer, taxable: Money, issue_date: date, rounding: Rounding) -> list[RatedLine]:
        """A document's tax lines, each rounded once.

        Args:
            customer: who pays.
            taxable: subtotal without prepaid credits; negative where the document gives money back.
            issue_date: of the document; rates change with time.
            rounding: the account's.
        """


class CatalogTax:
    """Taxes by the rates that the customer's catalog entry names; none for who is exempt, and none on nothing."""

    def lines(
        self,
        customer: Customer,
        taxable: Money,
        issue_date: date,  # noqa: ARG002 - the catalog's rates are those of today
        rounding: Rounding,
    ) -> list[RatedLine]:
        """Tax lines of a document, one a rate; a rate of zero is stated, too."""
        if isinstance(customer.tax, Exempt) or not taxable.minor:
            return []
        return [_line(rate, taxable, rounding) for rate in customer.tax]


def _line(rate: TaxRate, taxable: Money, rounding: Rounding) -> RatedLine:
    return RatedLine(
        kind=LineKind.TAX,
        subscription=None,
        plan=None,
        plan_version=None,
        price=None,
        product=None,
        description=f"{rate.name} {EXACT.normalize(rate.percent):f}%",
        service_start=None,
        service_end=None,
        dimensions={},
        quantity=None,
        amount=percent_of(taxable, rate.percent, rounding),
    )
