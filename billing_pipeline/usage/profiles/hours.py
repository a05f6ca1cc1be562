"""Hours without data: gaps in the stream of a source that otherwise reports every hour, or every day."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from statistics import median

import ibis
import pyarrow as pa

from billing_pipeline.usage.deduplicate import events
from billing_pipeline.usage.engine import BATCH, Engine
from billing_pipeline.usage.expectations import Thresholds
from billing_pipeline.usage.profiles.facts import Figure, UsageFacts

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def gap_figures(engine: Engine, facts: UsageFacts, thresholds: Thresholds) -> Iterator[Figure]:
    """A figure for each gap, and one of 0 for each source without any."""
    due = facts.now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=thresholds.gap_lag_hours)
    end = min(facts.period.end, due)
    reported = reported_hours(engine, facts)
    for source in sorted({*reported, *facts.earlier_sources}):
        hours = reported.get(source, set())
        first_hour = facts.period.start.replace(minute=0)  # of zones that are half an hour off, too
        start = first_hour if source in facts.earlier_sources else max(first_hour, min(hours))
        source_gaps = [*gaps(hours, start, end)]
        subject = f"source {source}"
        for first, until in source_gaps:
            note = f"nothing from {first:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
            yield Figure("hours_without_data", (until - first) // _HOUR, subject=subject, note=note)
        if not source_gaps:
            yield Figure("hours_without_data", 0, subject=subject)


def gaps(hours: Collection[datetime], start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Gaps in ``[start, end)``: spans without data, in the source's own rhythm. None at all is one gap."""
    seen = sorted({(hour - start) // _HOUR for hour in hours if start <= hour < end})
    step = _rhythm(seen) if seen else _HOUR
    if step is None or end <= start:
        return
    present = {hour * _HOUR // step for hour in seen}
    empty = [number for number in range((end - start) // step) if number not in present]
    yield from ((start + first * step, start + (last + 1) * step) for first, last in _runs(empty))


def _rhythm(hours: Sequence[int]) -> timedelta | None:
    """How often a source with data in these hours reports: a long gap must not look like a slow source.

    Hourly, where it has data in at least half of the hours of the days on which it has any; daily, where it mostly has
    data on the day after, too. Any other source reports when it likes, and has no gaps.
    """
    days = sorted({hour // 24 for hour in hours})
    if len(hours) * 2 >= len(days) * 24:
        return _HOUR
    apart = [later - earlier for earlier, later in pairwise(days)]
    return _DAY if apart and median(apart) == 1 else None


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each run of consecutive numbers."""
    for _, run in groupby(enumerate(numbers), lambda place: place[1] - place[0]):
        consecutive = [number for _, number in run]
        yield consecutive[0], consecutive[-1]


def reported_hours(engine: Engine, facts: UsageFacts) -> dict[str, set[datetime]]:
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
    by_source: dict[str, set[datetime]] = {}
    for row in engine.fetch(named).to_pylist():
        by_source.setdefault(row["source"], set()).add(row["hour"].replace(tzinfo=UTC))
    return by_source
