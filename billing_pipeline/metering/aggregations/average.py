"""Average: the sum of the values over their number."""

import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.aggregations.aggregation import Fraction
from billing_pipeline.metering.aggregations.total import total


def average(events: ir.Table, meter: Meter) -> Fraction:
    """Sum and count, divided later: the engine's own average is a binary float."""
    return Fraction(total(events, meter).amount, events.count())
