"""Aggregations: how the events of a stretch of time become one quantity.

To add one: write its file here, then add its line below.
"""

from collections.abc import Mapping

from billing_pipeline.metering.aggregations.aggregation import Aggregation, Fraction
from billing_pipeline.metering.aggregations.average import average
from billing_pipeline.metering.aggregations.count import count
from billing_pipeline.metering.aggregations.latest import latest
from billing_pipeline.metering.aggregations.maximum import maximum
from billing_pipeline.metering.aggregations.minimum import minimum
from billing_pipeline.metering.aggregations.total import total
from billing_pipeline.metering.aggregations.unique_count import unique_count

AGGREGATIONS: Mapping[str, Aggregation] = {
    "average": average,
    "count": count,
    "latest": latest,
    "max": maximum,
    "min": minimum,
    "sum": total,
    "unique_count": unique_count,
}

__all__ = ["AGGREGATIONS", "Aggregation", "Fraction"]
