"""Money: exact, rounded once, never converted."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.core.errors import CatalogError, RatingError
from billing_pipeline.core.money import (
    EXACT,
    LARGEST_AMOUNT,
    MINOR_DIGITS,
    Money,
    Rounding,
    allocate,
    from_major,
    minor_digits,
    round_amount,
)

D = Decimal
UP, EVEN = Rounding.HALF_UP, Rounding.HALF_EVEN


@pytest.mark.parametrize(
    ("amount", "currency", "rounding", "minor"),
    [
        ("0.005", "USD", UP, 1),
        ("-0.005", "USD", UP, -1),  # away from zero
        ("0.004999999999", "USD", UP, 0),
        ("0.005", "USD", EVEN, 0),
        ("0.015", "USD", EVEN, 2),
        ("-0.025", "USD", EVEN, -2),
        ("0.5", "JPY", UP, 1),
        ("1.0005", "KWD", UP, 1001),
        ("0.00005", "CLF", UP, 1),
        ("99999999999999999999.995", "USD", UP, 10**22),
    ],
)
def test_a_line_is_rounded_to_its_currencys_minor_unit(
    amount: str, currency: str, rounding: Rounding, minor: int
) -> None:
    assert round_amount(D(amount), currency, rounding) == Money(minor, currency)


@given(
    amount=st.decimals(min_value=-(10**12), max_value=10**12, places=12),
    currency=st.sampled_from(["JPY", "USD", "KWD", "CLF"]),
    rounding=st.sampled_from(Rounding),
)
def test_rounding_is_the_nearest_minor_unit(amount: D, currency: str, rounding: Rounding) -> None:
    exact = Fraction(amount) * 10 ** minor_digits(currency)
    assert abs(round_amount(amount, currency, rounding).minor - exact) <= Fraction(1, 2)
    assert round_amount(-amount, currency, rounding) == -round_amount(amount, currency, rounding)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_amount_beyond_any_bill_is_refused(sign: int) -> None:
    with pytest.raises(RatingError, match="larger than any bill"):
        round_amount(sign * (LARGEST_AMOUNT + 1), "USD")


def test_exact_arithmetic_raises_where_a_digit_would_be_lost() -> None:
    with pytest.raises(ArithmeticError):
        EXACT.divide(D(1), D(3))
    largest = D("9" * 18 + "." + "9" * 12)
    product = EXACT.multiply(EXACT.multiply(largest, largest), largest)
    assert Fraction(product) == Fraction(largest) ** 3


def test_currencies_are_those_of_iso_4217() -> None:
    assert (minor_digits("JPY"), minor_digits("USD"), minor_digits("KWD"), minor_digits("CLF")) == (0, 2, 3, 4)
    assert all(len(code) == 3 and code.isupper() for code in MINOR_DIGITS)
    with pytest.raises(CatalogError, match=r"'EURO' is not an ISO 4217 .* Did you mean 'EUR'"):
        minor_digits("EURO")


def test_nothing_is_converted_silently() -> None:
    assert Money(5, "USD") + Money(7, "USD") - Money(2, "USD") == Money(10, "USD")
    for combine in (Money.__add__, Money.__sub__):
        with pytest.raises(ValueError, match="nothing is converted"):
            combine(Money(1, "USD"), Money(1, "EUR"))


@pytest.mark.parametrize(
    ("money", "written"),
    [
        (Money(1250, "USD"), "12.50"),
        (Money(-5, "USD"), "-0.05"),
        (Money(1250, "JPY"), "1250"),
        (Money(0, "KWD"), "0.000"),
    ],
)
def test_money_is_written_in_major_units(money: Money, written: str) -> None:
    assert str(money) == written
    assert from_major(D(written), money.currency) == money


def test_an_amount_that_must_be_whole_minor_units_is() -> None:
    with pytest.raises(CatalogError, match="finer than the currency's 2 decimals"):
        from_major(D("1.005"), "USD")


@given(
    minor=st.integers(-(10**30), 10**30),
    weights=st.lists(st.integers(0, 10**20), min_size=1, max_size=20).filter(any),
)
def test_allocation_neither_makes_nor_loses_money(minor: int, weights: list[int]) -> None:
    parts = allocate(Money(minor, "USD"), weights)
    assert sum(part.minor for part in parts) == minor
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part.minor - Fraction(minor * weight, sum(weights))) < 1


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1]])
def test_allocation_needs_weights(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        allocate(Money(1, "USD"), weights)
