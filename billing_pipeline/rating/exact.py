"""Quotients that have no last digit: 100 seconds are 0.02777… hours.

Sums and products of decimals are exact. A quotient that terminates within ``QUOTIENT_DECIMALS`` is exact too. Any
other is carried to that many decimals, half-even, and an amount made from it is settled at ``AMOUNT_DECIMALS``.

The two scales are what keeps this from ever changing a bill. The error of a carried quotient, times any unit amount
below 10^9, is less than half of the settled scale's last digit: an amount whose true value ends within
``AMOUNT_DECIMALS``, a tie between two cents above all, is found again exactly. One that does not is off by less than
10^-49, and no quantity, divisor and unit amount of 12 decimals can bring it that near to a tie without being on it.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact

from billing_pipeline.core.money import EXACT

QUOTIENT_DECIMALS = 60
AMOUNT_DECIMALS = 50

_QUOTIENT_STEP = Decimal(1).scaleb(-QUOTIENT_DECIMALS)
_AMOUNT_STEP = Decimal(1).scaleb(-AMOUNT_DECIMALS)
_WIDE = Context(prec=2 * EXACT.prec)  # here, and only here, a result may be inexact


def divide(dividend: Decimal, divisor: Decimal) -> Decimal:
    """The exact quotient, or, where it has no last digit, ``QUOTIENT_DECIMALS`` of it."""
    try:
        quotient = EXACT.divide(dividend, divisor)
    except Inexact:
        return _WIDE.quantize(_WIDE.divide(dividend, divisor), _QUOTIENT_STEP)
    return quotient


def settle(amount: Decimal) -> Decimal:
    """``amount`` as it is, unless it was made from a carried quotient: then to ``AMOUNT_DECIMALS``, half-even."""
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent <= -QUOTIENT_DECIMALS:
        return amount.quantize(_AMOUNT_STEP, rounding=ROUND_HALF_EVEN, context=_WIDE)
    return amount
