"""Bounds of a price or plan, minimum and maximum spend, and what of them falls on a part of a period."""

from collections.abc import Iterable
from decimal import Decimal

from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.exact import Exactly, divide
from billing_pipeline.core.money import Money, Rounding, round_amount


def prorated(whole: Decimal, days: int, days_of_period: int) -> Decimal:
    """The part of a bound, or of included units, that falls on ``days`` local days of a period, unrounded."""
    assert 0 <= days <= days_of_period, "a part of a period lies within it"  # noqa: S101 - our own mistake
    with Exactly():
        return divide(whole * days, Decimal(days_of_period))


def true_up(
    lines: Iterable[Money],
    currency: str,
    *,
    minimum: Decimal | None = None,
    maximum: Decimal | None = None,
    rounding: Rounding = Rounding.HALF_UP,
) -> Money:
    """What the rounded lines of a price or plan lack of its minimum (positive), or exceed its maximum by (negative).

    Args:
        lines: the rounded lines of the period, before discounts.
        currency: of the lines.
        minimum: already prorated, unrounded; None where there is none.
        maximum: likewise.
        rounding: of the bounds.
    """
    total = sum((line.minor for line in lines), 0)
    bounded = total
    if minimum is not None:
        bounded = max(bounded, round_amount(minimum, currency, rounding).minor)
    if maximum is not None:
        bounded = min(bounded, round_amount(maximum, currency, rounding).minor)
    return Money(bounded - total, currency)


def check_bounds(minimum: Decimal | None, maximum: Decimal | None) -> None:
    """Raise CatalogError for a minimum spend above the maximum."""
    if minimum is not None and maximum is not None and minimum > maximum:
        raise CatalogError(f"The minimum {minimum} exceeds the maximum {maximum}.", path=("minimum",))
