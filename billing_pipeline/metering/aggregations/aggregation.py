"""What an aggregation is: expressions over a table of a meter's events, exact to the last digit.

Most aggregations look at the events of a stretch of time (:data:`Aggregation`). Where an event counts for as long as it
lasts, the aggregation says from when to when (:class:`Spans`), and each measurement cuts that at its own start and end.
"""

from collections.abc import Callable
from dataclasses import dataclass

import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter

# The engine's widest decimal, at the scale of values; beyond it the engine raises. Each expression is cast to the type
# that the engine computes it in: Ibis guesses narrower ones and would cut digits when it fetches the result.
QUANTITY = "decimal(38, 12)"
# A value times a multiplier: 12 + 6 decimals.
PRODUCT = "decimal(38, 18)"
WHOLE = "decimal(38, 0)"


@dataclass(frozen=True, slots=True)
class Quotient:
    """A quantity that is divided only after it has left the engine, whose own division is binary.

    Attributes:
        amount: a decimal.
        divisor: a whole number > 0, or None where the amount is the quantity.
    """

    amount: ir.DecimalScalar
    divisor: ir.IntegerScalar | None = None


# The quantity of a group of events. The table has one row per event that counts: timestamp, value (already times its
# multiplier), arrival, and the dimensions that the meter names; filter and window have been applied.
Aggregation = Callable[[ir.Table, Meter], Quotient]


@dataclass(frozen=True, slots=True)
class Spans:
    """Events as what they stand for over time; the quantity is the sum of value × length.

    Attributes:
        of: from all accepted events of a meter (customer, meter, timestamp, value, arrival, dimensions), earlier
            periods' included, to one row per span: the columns of the event that starts it, with ``value`` as the
            weight, before any multiplier; ``until``, when another event ends it, null where none does; and ``ends_by``,
            when it ends by itself, null where it does not. Filter and multiplier look at these rows.
        unit: how many microseconds make one unit of time.
        provisional: whether a span that nothing ends waits for an event that should.
        by_series: whether every dimension that is sent tells spans apart.
    """

    of: Callable[[ir.Table, Meter], ir.Table]
    unit: Callable[[Meter], int]
    provisional: bool
    by_series: bool
