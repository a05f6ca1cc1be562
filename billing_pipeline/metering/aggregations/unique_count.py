"""Unique count: how many different values a dimension has; events without the dimension do not count."""

import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.aggregations.aggregation import QUANTITY, Fraction
from billing_pipeline.usage.event import dimension_column


def unique_count(events: ir.Table, meter: Meter) -> Fraction:
    """The number of different values of the dimension ``meter.unique_by``."""
    assert meter.unique_by is not None, "the catalog requires unique_by"  # noqa: S101 - our own mistake
    return Fraction(events[dimension_column(meter.unique_by)].nunique().cast(QUANTITY))
