"""Latest: the value used last; of several at the same instant (in other dimensions) the one received last."""

import ibis
import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.aggregations.aggregation import Fraction


def latest(events: ir.Table, meter: Meter) -> Fraction:  # noqa: ARG001 - an Aggregation
    """The value of the greatest (timestamp, arrival): without the tie-break two runs could differ."""
    return Fraction(events.value.argmax(ibis.struct({"timestamp": events.timestamp, "arrival": events.arrival})))
