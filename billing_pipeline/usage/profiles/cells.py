"""Counts of all values, in one pass: how many events a customer and meter has, by the power of ten of the value."""

from datetime import timedelta

import ibis
import ibis.expr.types as ir

from billing_pipeline.usage.event import ROWS_PER_BATCH
from billing_pipeline.usage.expectations import Thresholds
from billing_pipeline.usage.profiles.facts import UsageFacts


def cells(reports: ir.Table, facts: UsageFacts, thresholds: Thresholds) -> ir.Table:
    """Aggregate every report of a period, replaced ones included.

    Args:
        reports: as ``deduplicate.events`` gives them.
        facts: the clock, and which batches metering has seen.
        thresholds: how far a timestamp may lie ahead.

    Returns:
        One row per customer, meter and ``exponent`` (null for a value of zero or none): ``reports``, ``unsettled``
        (reports that metering has not seen everywhere) and, of the events that no newer delivery replaced,
        ``values``, ``missing`` (and since which batch), ``negative`` and
        ``future``.
    """
    standing = ~reports.replaced & ~reports.retract
    late = ibis.literal(facts.now + timedelta(minutes=thresholds.future_minutes), "timestamp('UTC')")
    # A float is exact enough to find the power of ten; what is near a limit is compared exactly later.
    exponent = reports["value"].abs().cast("float64").nullif(0).log10().floor().cast("int32")
    return reports.group_by("customer", "meter", exponent=exponent).agg(
        reports=reports.count(),
        unsettled=(reports.arrival >= (facts.settled_through + 1) * ROWS_PER_BATCH).sum(),
        values=(standing & reports["value"].notnull()).sum(),
        missing=(standing & reports["value"].isnull()).sum(),
        missing_since=reports.batch.min(where=standing & reports["value"].isnull()),
        negative=(standing & (reports["value"] < 0)).sum(),
        future=(standing & (reports.timestamp > late)).sum(),
    )
