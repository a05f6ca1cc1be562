"""Weighted sum: levels times the time for which they stand, e.g. GB become GB-hours.

A value is the *level* from its timestamp on, not a change of it: a report that is lost or repeated is mended by the
next one, where a lost difference would be wrong for ever. Each combination of dimensions is a level of its own, and
levels add up; the multiplier belongs to the value and tells none apart. A level stands until the next one of its
combination, across periods; a level of 0 ends it.
"""

import ibis
import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.aggregations.aggregation import Spans
from billing_pipeline.usage.engine import dimensions_of
from billing_pipeline.usage.event import dimension_column

_MICROSECONDS = {"second": 10**6, "hour": 3600 * 10**6, "day": 24 * 3600 * 10**6}


def levels(events: ir.Table, meter: Meter) -> ir.Table:
    """A level for each event: it stands until the next event of its combination of dimensions."""
    own = {dimension_column(meter.multiplier)} if meter.multiplier else set()
    series = [name for name in dimensions_of(events.columns) if name not in own]
    following = ibis.window(group_by=["customer", "meter", *series], order_by=["timestamp", "arrival"])
    return events.mutate(until=events.timestamp.lead().over(following), ends_by=ibis.null("timestamp('UTC')"))


weighted_sum = Spans(levels, lambda meter: _MICROSECONDS[meter.per or "hour"], provisional=False, by_series=True)
