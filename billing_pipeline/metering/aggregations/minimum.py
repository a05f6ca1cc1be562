"""Min: the least value."""

import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.aggregations.aggregation import Fraction


def minimum(events: ir.Table, meter: Meter) -> Fraction:  # noqa: ARG001 - an Aggregation
    """The least value."""
    return Fraction(events.value.min())
