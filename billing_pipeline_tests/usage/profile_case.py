"""Facts and figures for tests of the profile."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pyarrow as pa

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.period import BillingCalendar, Cadence
from billing_pipeline.usage.profile import Profile
from billing_pipeline.usage.profiles.facts import Figure, counts_schema
from billing_pipeline_tests.usage.lake_writer import PERIOD

JANUARY = BillingCalendar("UTC", Cadence.MONTH, PERIOD).period("2026-01-01")
AFTER = datetime(2026, 2, 3, tzinfo=UTC)
METERS = {1: Meter("compute", "sum"), 2: Meter("calls", "count")}


def counts(*rows: tuple[int, int, int, int, int, int, int], pending: int = 0) -> pa.Table:
    """Usage counts: customer, meter, landed, accepted, superseded, retracted, unpriced; all with as many pending."""
    names = counts_schema().names
    return pa.Table.from_pylist([dict(zip(names, (*row, pending), strict=True)) for row in rows], counts_schema())


def of(measured: Profile | Iterable[Figure], name: str) -> list[Figure]:
    """The figures of one column."""
    figures = measured.figures if isinstance(measured, Profile) else measured
    return [figure for figure in figures if figure.name == name]
