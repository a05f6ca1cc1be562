"""A part of an amount by percentage: discounts and tax are such parts."""

from decimal import Decimal

from billing_pipeline.core.money import EXACT, Money, Rounding, round_amount


def percent_of(whole: Money, percent: Decimal, rounding: Rounding) -> Money:
    """That many hundredths of an amount, rounded once."""
    exact = EXACT.scaleb(EXACT.multiply(whole.amount, percent), -2)
    return round_amount(exact, whole.currency, rounding)
