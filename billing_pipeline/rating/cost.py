"""What a quantity costs at a price: unit conversion, included units, the model; exact, with the reasons.

1,250 units at a price of 0.10 with 1,000 units included cost 25: "included", 1,000 units at 0, and "all units", 250 at
0.10. A price with ``convert`` sees the quantity in its own unit first; minimum and maximum spend come after
(``bounds.py``), and nothing is rounded here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from billing_pipeline.catalog.meter import Convert
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.exact import Exactly, divide, finish_quotient, too_large
from billing_pipeline.core.money import LARGEST_AMOUNT
from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price import NO_DIMENSIONS, Price
from billing_pipeline.rating.price_models import PriceModel, QuantityModel
from billing_pipeline.rating.price_models.dynamic import Dynamic
from billing_pipeline.rating.tiers import ZERO

_ROUNDING = {"up": ROUND_CEILING, "down": ROUND_FLOOR, "nearest": ROUND_HALF_UP}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a quantity costs, exact and unrounded, and why: the details add up to the amount."""

    amount: Decimal
    details: tuple[LineDetail, ...]


def convert(quantity: Decimal, conversion: Convert | None) -> Decimal:
    """A quantity in the unit that is priced; without a conversion, as it is.

    A carried quotient (see ``core/exact.py``) can neither reach nor cross a whole number that the true one does not,
    so rounding it to whole units is exact.

    Raises:
        RatingError: the quantity has more digits than any number here.
    """
    if conversion is None:
        return quantity
    with Exactly():
        quotient = divide(quantity, conversion.divide_by)
        if conversion.round == "none":
            return quotient
        return quotient.to_integral_value(_ROUNDING[conversion.round])


def cost_of(
    price: Price,
    quantity: Decimal,
    dimensions: Mapping[str, str] = NO_DIMENSIONS,
    *,
    included: Decimal | None = None,
    measures: Iterable[Decimal] | None = None,
) -> Cost:
    """What a quantity costs at a price.

    Args:
        price: from :func:`parse_price`.
        quantity: the pricing quantity, after unit conversion; a negative one is rated as zero.
        dimensions: the values that it was used with.
        included: free units in place of the price's own, where only a part of the period is billed.
        measures: for a price that ``needs`` events, the value of each in the order of (timestamp, arrival); for one
            that needs amounts, those that stand in the events, or the sum of them.

    Raises:
        RatingError: no rate matches, measures are missing, or the amount is larger than any bill.
    """
    model = price.rate_for(dimensions)
    with Exactly():
        return _cost(model, quantity, price.included if included is None else included, measures)


def amount_at(
    model: PriceModel, quantity: Decimal, included: Decimal, measures: Iterable[Decimal] | None = None
) -> Decimal:
    """The amount that a quantity costs at one rate, without reasons: for a million lines.

    It runs within ``Exactly``, and is held to a bill's size when it is rounded.
    """
    if model.needs != "quantity":
        return _cost(model, quantity, included, measures).amount
    if included:
        quantity -= included
    amount = model.amount_of(quantity if quantity > ZERO else ZERO)  # noqa: FURB136 - max costs a call a line
    return finish_quotient(amount)


def cost_between(before: Cost, after: Cost) -> Cost:
    """What the second of two cumulative quantities costs, less what the first did, reason by reason.

    What is the same in both is no reason and is left out.
    """
    quantities: dict[tuple[str, Decimal | None], Decimal] = defaultdict(lambda: ZERO)
    amounts: dict[tuple[str, Decimal | None], Decimal] = defaultdict(lambda: ZERO)
    with Exactly():
        for sign, cost in ((1, after), (-1, before)):
            for detail in cost.details:
                reason = (detail.description, detail.unit_amount)
                quantities[reason] += sign * detail.quantity
                amounts[reason] += sign * detail.amount
        details = tuple(
            LineDetail(description, quantities[description, unit_amount], unit_amount, amount)
            for (description, unit_amount), amount in amounts.items()
            if amount or quantities[description, unit_amount]
        )
        return Cost(sum_of(details), details)


def sum_of(details: Iterable[LineDetail]) -> Decimal:
    """What line details add up to."""
    return sum([detail.amount for detail in details], ZERO)


def _cost(model: PriceModel, quantity: Decimal, included: Decimal, measures: Iterable[Decimal] | None) -> Cost:
    details = _details(model, quantity, included, measures)
    amount = sum_of(details)
    if finish_quotient(amount) != amount:  # finish each reason, so that the reasons still add up to the amount
        details = tuple([detail._replace(amount=finish_quotient(detail.amount)) for detail in details])
        amount = sum_of(details)
    if not -LARGEST_AMOUNT <= amount <= LARGEST_AMOUNT:
        raise too_large()
    return Cost(amount, details)


def _details(
    model: PriceModel, quantity: Decimal, included: Decimal, measures: Iterable[Decimal] | None
) -> tuple[LineDetail, ...]:
    if not isinstance(model, QuantityModel):
        if measures is None:
            hint = f"Send them in {model.amount_field!r}, in major units." if isinstance(model, Dynamic) else ""
            raise RatingError(f"The price needs the {model.needs} that make up the quantity.", hint=hint)
        return model.details(measures)
    if quantity < 0:
        quantity = ZERO
    if not included or not quantity:
        return model.details(quantity)
    free = min(quantity, included)
    return (LineDetail("included", free, ZERO, ZERO), *model.details(quantity - free))
