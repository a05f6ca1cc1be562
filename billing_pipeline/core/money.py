"""Money: whole minor units of one currency, and the one place that rounds.

Amounts are exact decimals until they stand on a line; there they are rounded once, by :func:`round_amount`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation, Overflow
from enum import StrEnum
from functools import cache

from billing_pipeline.core.errors import CatalogError, RatingError, nearest

# ISO 4217, table A.1: active currencies by their minor-unit digits; all others listed have two.
_DIGITS_0 = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_DIGITS_3 = "BHD IQD JOD KWD LYD OMR TND"
_DIGITS_4 = "CLF UYW"
_DIGITS_2 = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
    "CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR "
    "MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK "
    "SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD "
    "YER ZAR ZMW ZWG"
)
MINOR_DIGITS: dict[str, int] = {
    code: digits
    for digits, codes in ((0, _DIGITS_0), (2, _DIGITS_2), (3, _DIGITS_3), (4, _DIGITS_4))
    for code in codes.split()
}

# Wide enough that no sum or product of a quantity (18 + 12 digits) and a unit amount (12 decimals) is ever cut:
# an inexact result or an overflow raises instead of changing a bill.
EXACT = Context(prec=100, traps=[Inexact, InvalidOperation, Overflow])
LARGEST_AMOUNT = Decimal(10) ** 20  # major units; more is an error in the data, not a bill


class Rounding(StrEnum):
    """How a line's exact amount becomes minor units."""

    HALF_UP = "half_up"  # half away from zero: 0.005 is 0.01, -0.005 is -0.01
    HALF_EVEN = "half_even"


_INEXACT = Context(prec=EXACT.prec)  # rounding is meant to be inexact
_DECIMAL_ROUNDING = {Rounding.HALF_UP: ROUND_HALF_UP, Rounding.HALF_EVEN: ROUND_HALF_EVEN}


def minor_digits(currency: str) -> int:
    """How many decimals ``currency`` has. Raises CatalogError for an unknown code."""
    try:
        return MINOR_DIGITS[currency]
    except KeyError:
        raise CatalogError(
            f"{currency!r} is not an ISO 4217 currency code.", hint=nearest(currency, tuple(MINOR_DIGITS))
        ) from None


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """A whole number of a currency's minor unit: 1250 USD is $12.50, 1250 JPY is ¥1250."""

    minor: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    @property
    def amount(self) -> Decimal:
        """The amount in major units, with the currency's decimals: ``Decimal("12.50")``."""
        return Decimal(self.minor).scaleb(-minor_digits(self.currency))

    def __str__(self) -> str:
        return f"{self.amount:f}"

    def _same_currency(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise ValueError(f"Cannot combine {self.currency} with {other.currency}; nothing is converted silently.")


def round_amount(amount: Decimal, currency: str, rounding: Rounding = Rounding.HALF_UP) -> Money:
    """Round an exact amount in major units to ``currency``'s minor unit: the only rounding of money there is.

    Raises:
        RatingError: the amount is beyond LARGEST_AMOUNT.
    """
    return rounder(currency, rounding)(amount)


@cache
def rounder(currency: str, rounding: Rounding) -> Callable[[Decimal], Money]:
    """:func:`round_amount` for many amounts of one currency. Raises CatalogError for an unknown currency."""
    mode, digits = _DECIMAL_ROUNDING[rounding], minor_digits(currency)
    minor_unit, minor_units = Decimal(1).scaleb(-digits), Decimal(10**digits)
    largest, smallest = LARGEST_AMOUNT, -LARGEST_AMOUNT
    make, set_minor, set_currency = Money.__new__, Money.__dict__["minor"].__set__, Money.__dict__["currency"].__set__

    def rounded(amount: Decimal) -> Money:
        if not smallest <= amount <= largest:
            raise RatingError(
                f"An amount of {amount:.6E} {currency} is larger than any bill ({LARGEST_AMOUNT:.0E}).",
                hint="Check the quantity's unit and the price.",
            )
        money = make(Money)  # for every line: its slots set one by one take a third of the time of __init__
        set_minor(money, int(amount.quantize(minor_unit, mode, _INEXACT) * minor_units))
        set_currency(money, currency)
        return money

    return rounded


def from_major(amount: Decimal, currency: str) -> Money:
    """An amount that must already be whole minor units, e.g. a fee. Raises CatalogError for a finer one."""
    money = round_amount(amount, currency)
    if money.amount != amount:
        raise CatalogError(f"{amount} {currency} is finer than the currency's {minor_digits(currency)} decimals.")
    return money


def percent_of(whole: Money, percent: Decimal, rounding: Rounding) -> Money:
    """That many hundredths of an amount, rounded once: discounts and tax are such parts."""
    exact = EXACT.scaleb(EXACT.multiply(whole.amount, percent), -2)
    return round_amount(exact, whole.currency, rounding)


def allocate(total: Money, weights: Sequence[int]) -> tuple[Money, ...]:
    """Split a sum of money in proportion to ``weights`` so that the parts add up to it exactly.

    Largest remainder: floor every share, then hand the minor units left over to the largest remainders, earliest
    first on a tie. Negative totals (credit notes) work too.

    Raises:
        ValueError: a weight is negative, or all are zero.
    """
    if not any(weights) or min(weights) < 0:
        raise ValueError(f"weights must be >= 0 and not all 0, got {weights}")
    shares = [divmod(total.minor * weight, sum(weights)) for weight in weights]
    left_over = total.minor - sum(floor for floor, _ in shares)
    by_remainder = sorted(range(len(weights)), key=lambda i: -shares[i][1])
    topped_up = set(by_remainder[:left_over])
    return tuple(Money(floor + (i in topped_up), total.currency) for i, (floor, _) in enumerate(shares))
