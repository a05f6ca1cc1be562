"""Aggregations: how the events of a stretch of time become one quantity.

To add one: write its file here, then add its line below.
"""

from collections.abc import Mapping

from billing_pipeline.metering.aggregations.aggregation import Aggregation, Fraction, Spans
from billing_pipeline.metering.aggregations.average import average
from billing_pipeline.metering.aggregations.count import count
from billing_pipeline.metering.aggregations.duration import duration
from billing_pipeline.metering.aggregations.latest import latest
from billing_pipeline.metering.aggregations.maximum import maximum
from billing_pipeline.metering.aggregations.minimum import minimum
from billing_pipeline.metering.aggregations.total import total
from billing_pipeline.metering.aggregations.unique_count import unique_count
from billing_pipeline.metering.aggregations.weighted_sum import weighted_sum

AGGREGATIONS: Mapping[str, Aggregation | Spans] = {
    "average": average,
    "count": count,
    "duration": duration,
    "latest": latest,
    "max": maximum,
    "min": minimum,
    "sum": total,
    "unique_count": unique_count,
    "weighted_sum": weighted_sum,
}

__all__ = ["AGGREGATIONS", "Aggregation", "Fraction", "Spans"]
