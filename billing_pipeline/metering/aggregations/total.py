"""Sum: all values added."""

import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.aggregations.aggregation import PRODUCT, QUANTITY, Fraction


def total(events: ir.Table, meter: Meter) -> Fraction:
    """The sum of the values; the engine raises where it does not fit 38 digits."""
    return Fraction(events.value.sum().cast(PRODUCT if meter.multiplier else QUANTITY))
