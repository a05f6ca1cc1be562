"""Figures and days as a customer's locale writes them, exact, with the currency's own decimals."""

from datetime import date
from decimal import Decimal

import pytest

from billing_pipeline.core.money import Money
from billing_pipeline.invoicing.render.formats import Formats

D = Decimal
NARROW, WIDE = "\u202f", "\u00a0"  # spaces at which no line breaks


@pytest.mark.parametrize(
    ("locale", "amount", "written"),
    [
        (None, Money(123450, "USD"), "$1,234.50"),
        ("en_US", Money(-5, "USD"), "-$0.05"),
        ("de_DE", Money(123450, "EUR"), f"1.234,50{WIDE}€"),
        ("de-DE", Money(123450, "EUR"), f"1.234,50{WIDE}€"),  # as HTML names it
        ("de_DE", Money(1234500, "KWD"), f"1.234,500{WIDE}KWD"),  # ISO 4217: three decimals
        ("en_US", Money(1234500, "KWD"), f"KWD{WIDE}1,234.500"),
        ("ar_KW", Money(-1234500, "KWD"), f"-1,234.500{WIDE}KWD"),  # its sign is written from the right
        ("ja_JP", Money(1234, "JPY"), "￥1,234"),
        ("en_US", Money(1234, "JPY"), "¥1,234"),
        ("fr_FR", Money(123450000, "EUR"), f"1{NARROW}234{NARROW}500,00{WIDE}€"),
        ("hi_IN", Money(12345678900, "INR"), "₹12,34,56,789.00"),
        ("en_US", Money(12345, "UYW"), f"UYW{WIDE}1.2345"),  # four
        ("no such", Money(123450, "USD"), "$1,234.50"),
    ],
)
def test_money(locale: str | None, amount: Money, written: str) -> None:
    assert Formats.of(locale).money(amount) == written


LARGEST = D("123456789012345678.123456789012")  # semantics: 18 digits before the point, 12 after


@pytest.mark.parametrize(
    ("quantity", "written"),
    [
        (LARGEST, "123.456.789.012.345.678,123456789012"),
        (D("1E+3"), "1.000"),
        (D("0.000000000001"), "0,000000000001"),
        (D("12.50"), "12,5"),
        (D(-3), "-3"),
    ],
)
def test_no_digit_of_a_quantity_is_lost_or_made_up(quantity: D, written: str) -> None:
    assert Formats.of("de_DE").quantity(quantity) == written


def test_exact_amounts_have_at_least_the_decimals_of_the_currency() -> None:
    formats = Formats.of("en_US")
    assert formats.exact(D("0.1"), "USD") == "0.10"
    assert formats.exact(D("0.000025"), "USD") == "0.000025"
    assert formats.exact(D(3), "JPY") == "3"
    assert formats.figure(Money(-123450, "USD")) == "-1,234.50"


@pytest.mark.parametrize(
    ("first", "last", "german"),
    [
        (date(2026, 1, 1), date(2026, 1, 31), "Januar 2026"),
        (date(2026, 2, 1), date(2026, 2, 28), "Februar 2026"),
        (date(2026, 1, 1), date(2026, 12, 31), "2026"),
        (date(2026, 1, 1), date(2026, 3, 31), "1. Jan.\u2009–\u200931. März 2026"),
        (date(2026, 1, 5), date(2026, 1, 11), "5.–11. Jan. 2026"),
        (date(2026, 1, 5), date(2026, 1, 5), "05.01.2026"),
    ],
)
def test_periods(first: date, last: date, german: str) -> None:
    assert Formats.of("de_DE").period(first, last) == german
