"""What rows are checked against when they are normalised."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.period import BillingPeriod


@dataclass(frozen=True, slots=True)
class Known:
    """What rows are checked against.

    Attributes:
        customers: columns id, code (int32), bucket (int16).
        meters: by id.
        meter_codes: by id.
        periods: all that may hold usage, from the first to the one after the open one, without gaps.
        dimensions: names of the dimensions that the lake knows.
        scope_code: gives a snapshot scope's key its code.
    """

    customers: pa.Table
    meters: Mapping[str, Meter]
    meter_codes: Mapping[str, int]
    periods: Sequence[BillingPeriod]
    dimensions: Collection[str]
    scope_code: Callable[[str], int]
