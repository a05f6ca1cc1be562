"""What an aggregation is: a set-based expression over the events of one group, exact to the last digit."""

from dataclasses import dataclass
from typing import Protocol

import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter

# The engine's widest decimal, at the scale of values; beyond it the engine raises. Each expression is cast to the type
# that the engine computes it in: Ibis guesses narrower ones and would cut digits when it fetches the result.
QUANTITY = "decimal(38, 12)"
# A value times a multiplier: 12 + 6 decimals.
PRODUCT = "decimal(38, 18)"


@dataclass(frozen=True, slots=True)
class Fraction:
    """A quantity that is divided only after it has left the engine, whose own division is binary.

    Attributes:
        amount: a decimal.
        divisor: a whole number > 0, or None where the amount is the quantity.
    """

    amount: ir.DecimalScalar
    divisor: ir.IntegerScalar | None = None


class Aggregation(Protocol):
    """Turns the events of a group into one quantity.

    ``events`` has one row per event that counts: timestamp, value (already times its multiplier), arrival, and the
    dimensions that the meter names; filter and window have been applied.
    """

    def __call__(self, events: ir.Table, meter: Meter) -> Fraction:
        """The quantity as an expression over ``events``."""
