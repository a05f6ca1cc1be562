"""Tax: one line a rate on what is taxable, rounded once, negative where money is given back."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from billing_pipeline.catalog.customer import Customer, Exempt, TaxRate
from billing_pipeline.core.money import Money, Rounding, from_major
from billing_pipeline.invoicing.complete import Unsettled, complete
from billing_pipeline.invoicing.document import Document, DocumentIdentity, DocumentKind, DocumentPlan
from billing_pipeline.invoicing.tax import CatalogTax
from billing_pipeline.rating.line import RatedLine
from billing_pipeline_tests.invoicing.discounted import base
from billing_pipeline_tests.terms import JANUARY, terms_of

TODAY = date(2026, 2, 1)
VAT, CITY = TaxRate("VAT", Decimal(19)), TaxRate("City tax", Decimal("2.50"))


def lines(*rates: TaxRate, taxable: str, currency: str = "USD", rounding: Rounding = Rounding.HALF_UP) -> list[str]:
    customer = Customer("acme", currency, tax=rates)
    found = CatalogTax().lines(customer, from_major(Decimal(taxable), currency), TODAY, rounding)
    assert {line.kind for line in found} <= {"tax"}
    return [f"{line.description} {line.amount}" for line in found]


@pytest.mark.parametrize(
    ("rates", "taxable", "expected"),
    [
        ((), "100", []),
        ((VAT,), "100", ["VAT 19% 19.00"]),
        ((VAT, CITY), "100", ["VAT 19% 19.00", "City tax 2.5% 2.50"]),  # each of the same, none of the other
        ((VAT, CITY), "-100", ["VAT 19% -19.00", "City tax 2.5% -2.50"]),
        ((VAT,), "0", []),
        ((VAT,), "0.01", ["VAT 19% 0.00"]),
        ((TaxRate("Zero rate", Decimal("0.0")),), "100", ["Zero rate 0% 0.00"]),
    ],
)
def test_each_rate_is_a_line(rates: tuple[TaxRate, ...], taxable: str, expected: list[str]) -> None:
    assert lines(*rates, taxable=taxable) == expected


@pytest.mark.parametrize(
    ("taxable", "currency", "rounding", "expected"),
    [
        ("0.50", "USD", Rounding.HALF_UP, "0.01"),  # 0.0125
        ("1.00", "USD", Rounding.HALF_UP, "0.03"),
        ("1.00", "USD", Rounding.HALF_EVEN, "0.02"),
        ("-1.00", "USD", Rounding.HALF_UP, "-0.03"),
        ("-1.00", "USD", Rounding.HALF_EVEN, "-0.02"),
        ("100", "JPY", Rounding.HALF_UP, "3"),
        ("100", "JPY", Rounding.HALF_EVEN, "2"),
        ("0.100", "KWD", Rounding.HALF_UP, "0.003"),
        ("0.100", "KWD", Rounding.HALF_EVEN, "0.002"),
    ],
)
def test_it_is_rounded_once(taxable: str, currency: str, rounding: Rounding, expected: str) -> None:
    assert lines(CITY, taxable=taxable, currency=currency, rounding=rounding) == [f"City tax 2.5% {expected}"]


def test_who_is_exempt_pays_none() -> None:
    customer = Customer("acme", "USD", tax=Exempt("reverse charge"))
    assert CatalogTax().lines(customer, Money(10_000, "USD"), TODAY, Rounding.HALF_UP) == []


@pytest.mark.parametrize(
    ("amounts", "total"),
    [
        ({"usage": "100", "discount": "-10"}, "107.10"),
        ({"usage": "100", "discount": "-10", "credit": "-40"}, "59.50"),  # 50 and 19 per cent of them
        ({"usage": "10", "adjustment": "-30"}, "-23.80"),
        ({"usage": "10", "adjustment": "-10"}, "0.00"),
    ],
)
def test_it_follows_discounts_adjustments_and_prepaid_credits(amounts: dict[str, str], total: str) -> None:
    terms = terms_of("")
    taxed = replace(terms, customer=replace(terms.customer, tax=(VAT,)))
    plan = DocumentPlan(
        DocumentIdentity("acme", DocumentKind.CLOSING, JANUARY.first_day, TODAY), "USD", JANUARY.end, frozenset()
    )
    stood: list[RatedLine] = [base(amount, kind=kind)[1] for kind, amount in amounts.items()]
    (document,) = complete([Document(plan, tuple(stood))], taxed, JANUARY, Unsettled(), CatalogTax())
    assert str(document.total) == total
