"""What a plot of a price shows: amount and effective unit price against quantity."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

from billing_pipeline.core.exact import divide
from billing_pipeline.core.money import EXACT
from billing_pipeline.rating.cost import convert, cost_of
from billing_pipeline.rating.price import NO_DIMENSIONS
from billing_pipeline.rating.quote.case import QuotedPrice
from billing_pipeline.rating.tiers import ONE, ZERO

_DRAWN = Context(prec=12)  # what is finer than a pixel is not drawn
_PAST_LAST_BOUND = Decimal("1.5")  # how far a drawing goes on into the open tier
_PACKAGES = 10  # how many packages are drawn
_UNITS = Decimal(100)  # how many units, where a price has no bounds


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a price's two curves.

    Attributes:
        quantity: in the metered unit.
        amount: exact, with minimum and maximum spend.
        unit_amount: amount per unit, to what can be drawn; None at quantity 0.
    """

    quantity: Decimal
    amount: Decimal
    unit_amount: Decimal | None


def curve(
    quoted: QuotedPrice,
    dimensions: Mapping[str, str] = NO_DIMENSIONS,
    *,
    highest: Decimal | None = None,
    points: int = 200,
) -> list[Point]:
    """The curve of a price: points from 0 to ``highest``, evenly spaced, and each tier's bound with one just past it.

    A price of events is drawn for one event of that value.

    Args:
        quoted: the price, and what stands beside it.
        dimensions: the values whose rate is drawn.
        highest: the last quantity; by default one and a half times the last bound.
        points: how many even steps there are.

    Raises:
        RatingError: no rate matches, or an amount is larger than any bill.
    """
    edges = _edges(quoted, dimensions)
    end = highest if highest is not None else edges[-1] * _PAST_LAST_BOUND
    step = _DRAWN.divide(end, Decimal(points))
    past = _DRAWN.divide(step, _UNITS)
    quantities = {step * i for i in range(points)} | {end}
    quantities |= {quantity for edge in edges for quantity in (edge, edge + past) if quantity <= end}
    return [_point(quoted, dimensions, quantity) for quantity in sorted(quantities)]


def _edges(quoted: QuotedPrice, dimensions: Mapping[str, str]) -> list[Decimal]:
    """The quantities at which the price changes, in the metered unit; at least one."""
    model = quoted.price.rate_for(dimensions)
    bounds = [tier.up_to for tier in getattr(model, "tiers", ()) if tier.up_to is not None]
    size = getattr(model, "size", None)
    ends = bounds or [size * _PACKAGES if size else _UNITS]
    metered = quoted.convert.divide_by if quoted.convert else ONE
    return [EXACT.multiply(EXACT.add(end, quoted.price.included), metered) for end in ends]


def _point(quoted: QuotedPrice, dimensions: Mapping[str, str], quantity: Decimal) -> Point:
    priced = convert(quantity, quoted.convert)
    amount = cost_of(quoted.price, priced, dimensions, measures=[priced] if quantity else []).amount
    amount = amount if quoted.minimum is None else max(amount, quoted.minimum)
    amount = amount if quoted.maximum is None else min(amount, quoted.maximum)
    return Point(quantity, amount, _DRAWN.plus(divide(amount, quantity)) if quantity > ZERO else None)
