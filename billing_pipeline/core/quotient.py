"""Quotients, which need not end: 100 seconds are 0.02777… hours.

A quotient that terminates within ``QUOTIENT_DECIMALS`` is exact. Any other is carried to that many decimals, half-even;
``rating/exact.py`` says why that never changes a bill.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact

from billing_pipeline.core.money import EXACT

QUOTIENT_DECIMALS = 60

WIDE = Context(prec=2 * EXACT.prec, rounding=ROUND_HALF_EVEN)  # here, and only here, a result may be inexact
_QUOTIENT_STEP = Decimal(1).scaleb(-QUOTIENT_DECIMALS)


def divide(dividend: Decimal, divisor: Decimal) -> Decimal:
    """The exact quotient, or, where it has no last digit, ``QUOTIENT_DECIMALS`` of it."""
    try:
        return EXACT.divide(dividend, divisor)
    except Inexact:
        return WIDE.quantize(WIDE.divide(dividend, divisor), _QUOTIENT_STEP)
