"""Max: the greatest value."""

import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.aggregations.aggregation import Fraction


def maximum(events: ir.Table, meter: Meter) -> Fraction:  # noqa: ARG001 - an Aggregation
    """The greatest value."""
    return Fraction(events.value.max())
