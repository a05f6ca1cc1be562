"""Unit conversion: from the unit that is metered to the one that is priced. It comes before everything else."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from billing_pipeline.catalog.meter import Convert
from billing_pipeline.core.exact import Exactly, divide

_ROUNDING = {"up": ROUND_CEILING, "down": ROUND_FLOOR, "nearest": ROUND_HALF_UP}


def convert(quantity: Decimal, conversion: Convert | None) -> Decimal:
    """``quantity`` in the unit that is priced; without a conversion, as it is.

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
