"""Hours without data: gaps in the stream of a source that otherwise reports in most hours, or on most days."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

import ibis
import pyarrow as pa

from billing_pipeline.usage.deduplicate import events
from billing_pipeline.usage.engine import BATCH, Engine
from billing_pipeline.usage.expectations import Thresholds
from billing_pipeline.usage.profiles.facts import PeriodFacts
from billing_pipeline.usage.profiles.figure import Figure

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def gap_figures(engine: Engine, facts: PeriodFacts, thresholds: Thresholds) -> Iterator[Figure]:
    """A figure for each gap, and one of 0 for each source without any."""
    due = facts.now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=thresholds.gap_lag_hours)
    end = min(facts.period.end, due)
    reported = reported_hours(engine, facts)
    for source in sorted({*reported, *facts.earlier_sources}):
        hours = reported.get(source, set())
        start = facts.period.start if source in facts.earlier_sources else max(facts.period.start, min(hours))
        found = [*gaps(hours, start, end)]
        subject = f"source {source}"
        for first, until in found:
            note = f"nothing from {first:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
            yield Figure("hours_without_data", (until - first) // _HOUR, subject=subject, note=note)
        if not found:
            yield Figure("hours_without_data", 0, subject=subject)


def gaps(hours: Collection[datetime], start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The spans of ``[start, end)`` without data, in the source's own rhythm.

    A source with data in at least half of the hours is expected in each of them; else one with data on at least half
    of the days, on each of those; any other reports when it likes, and has no gaps. None at all is one gap.
    """
    if end <= start:
        return
    for step in (_HOUR, _DAY):
        steps = range((end - start) // step)
        seen = {(hour - start) // step for hour in hours if start <= hour + _HOUR and hour < end}
        empty = [index for index in steps if index not in seen]
        if len(empty) * 2 <= len(steps) or not hours:
            yield from ((start + first * step, start + (last + 1) * step) for first, last in _runs(empty))
            return


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each run of consecutive numbers."""
    first = None
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        first = number if first is None else first
        if following != number + 1:
            yield first, number
            first = None


def reported_hours(engine: Engine, facts: PeriodFacts) -> dict[str, set[datetime]]:
    """The hours (UTC) in which each source has data."""
    if not facts.batches:
        return {}
    sources = pa.table(
        {
            BATCH: pa.array(facts.batches, pa.int64()),
            "source": pa.array((batch.source for batch in facts.batches.values()), pa.string()),
        }
    )
    reports = events(engine, facts.files, {})
    hourly = reports.select(BATCH, hour=reports.timestamp.truncate("h")).distinct()
    named = hourly.join(ibis.memtable(sources), BATCH).select("source", "hour").distinct()
    found: dict[str, set[datetime]] = {}
    for row in engine.fetch(named).to_pylist():
        found.setdefault(row["source"], set()).add(row["hour"].replace(tzinfo=UTC))
    return found
