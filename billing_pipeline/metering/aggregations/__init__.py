"""Aggregations: how the events of a stretch of time become one quantity.

To add one: add its line to ``AGGREGATIONS``, and a file beside this one where it needs more than an expression.
"""

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.aggregations.aggregation import PRODUCT, QUANTITY, Aggregation, Quotient, Spans
from billing_pipeline.metering.aggregations.duration import duration
from billing_pipeline.metering.aggregations.weighted_sum import weighted_sum
from billing_pipeline.usage.event import dimension_column

__all__ = ["AGGREGATIONS", "Aggregation", "Quotient", "Spans"]


def _sum(events: ir.Table, meter: Meter) -> ir.DecimalScalar:
    """All values added; the engine raises where they do not fit 38 digits."""
    return events.value.sum().cast(PRODUCT if meter.multiplier else QUANTITY)


def _latest(events: ir.Table) -> ir.DecimalScalar:
    """The value used last; of several at the same instant (in other dimensions) the one received last."""
    return events.value.argmax(ibis.struct({"timestamp": events.timestamp, "arrival": events.arrival}))


def _unique_count(events: ir.Table, meter: Meter) -> ir.DecimalScalar:
    """How many different values a dimension has; events without the dimension do not count."""
    assert meter.unique_by is not None, "the catalog requires unique_by"  # noqa: S101 - our own mistake
    return events[dimension_column(meter.unique_by)].nunique().cast(QUANTITY)


AGGREGATIONS: Mapping[str, Aggregation | Spans] = {
    "average": lambda events, meter: Quotient(_sum(events, meter), events.count()),  # the engine's own is a float
    "count": lambda events, _: Quotient(events.count().cast(QUANTITY)),  # whatever the values, also those of 0
    "duration": duration,
    "latest": lambda events, _: Quotient(_latest(events)),
    "max": lambda events, _: Quotient(events.value.max()),
    "min": lambda events, _: Quotient(events.value.min()),
    "sum": lambda events, meter: Quotient(_sum(events, meter)),
    "unique_count": lambda events, meter: Quotient(_unique_count(events, meter)),
    "weighted_sum": weighted_sum,
}
