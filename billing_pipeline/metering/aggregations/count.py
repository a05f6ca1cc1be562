"""Count: how many events there are, whatever their values; an event of value 0 counts."""

import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.aggregations.aggregation import QUANTITY, Fraction


def count(events: ir.Table, meter: Meter) -> Fraction:  # noqa: ARG001 - an Aggregation
    """The number of events."""
    return Fraction(events.count().cast(QUANTITY))
