"""A line detail: one reason inside a charge."""

from decimal import Decimal
from typing import NamedTuple


class LineDetail(NamedTuple):
    """One reason inside a charge; a charge's details add up to its amount, exactly.

    Attributes:
        description: what is priced, e.g. ``"over 100 up to 1000"``.
        quantity: how much of it, in the meter's unit, or how many events, packages or flat amounts.
        unit_amount: major units per one of ``quantity``; None where the amount is no such product.
        amount: major units, exact, unrounded.
    """

    description: str
    quantity: Decimal
    unit_amount: Decimal | None
    amount: Decimal
