"""Amounts as the rating stage computes them: at one rate, without reasons, held to a bill's size when rounded."""

from collections.abc import Iterable
from decimal import Decimal

from billing_pipeline.core.exact import Exactly
from billing_pipeline.core.money import Rounding, rounder
from billing_pipeline.rating.cost import amount_at
from billing_pipeline.rating.price import Price

_ROUND = rounder("USD", Rounding.HALF_UP)


def amount_of(
    price: Price, quantity: Decimal, *, included: Decimal | None = None, measures: Iterable[Decimal] | None = None
) -> Decimal:
    """The exact amount of a quantity; RatingError where no bill has it."""
    with Exactly():
        amount = amount_at(price.rate_for(), quantity, price.included if included is None else included, measures)
        _ROUND(amount)
    return amount
