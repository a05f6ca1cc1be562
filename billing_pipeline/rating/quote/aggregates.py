"""Aggregations of quoted events into one quantity, in plain Python; with a worked example each.

The rules are those of ``metering/aggregations``, which computes them set by set.

To add one: write its function here, then add its line below.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.errors import CatalogError, nearest
from billing_pipeline.core.exact import Exactly, divide
from billing_pipeline.rating.price_models import Example
from billing_pipeline.rating.quote.case import QuotedEvent
from billing_pipeline.rating.tiers import ZERO

_MICROSECOND = timedelta(microseconds=1)
_PER = {"second": Decimal(10) ** 6, "hour": 3600 * Decimal(10) ** 6, "day": 24 * 3600 * Decimal(10) ** 6}


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation of quoted events.

    Attributes:
        of: at least one event in the order of (timestamp, arrival), the meter, and the end of the period.
        example: a quote case of a price of 1 per unit.
    """

    of: Callable[[Sequence[QuotedEvent], Meter, datetime], Decimal]
    example: Example


def total(events: Sequence[QuotedEvent], _meter: Meter, _period_end: datetime) -> Decimal:
    """All values added."""
    return sum((event.number for event in events), ZERO)


def count(events: Sequence[QuotedEvent], _meter: Meter, _period_end: datetime) -> Decimal:
    """How many events there are, whatever their values."""
    return Decimal(len(events))


def greatest(events: Sequence[QuotedEvent], _meter: Meter, _period_end: datetime) -> Decimal:
    """The greatest value."""
    return max(event.number for event in events)


def least(events: Sequence[QuotedEvent], _meter: Meter, _period_end: datetime) -> Decimal:
    """The least value."""
    return min(event.number for event in events)


def latest(events: Sequence[QuotedEvent], _meter: Meter, _period_end: datetime) -> Decimal:
    """The value used last; of several at the same instant the one received last."""
    return events[-1].number


def unique_count(events: Sequence[QuotedEvent], meter: Meter, _period_end: datetime) -> Decimal:
    """How many different values the dimension ``unique_by`` has; events without it do not count."""
    return Decimal(len({event.dimensions.get(meter.unique_by or "", "") for event in events} - {""}))


def average(events: Sequence[QuotedEvent], meter: Meter, period_end: datetime) -> Decimal:
    """The sum of the values over their number."""
    return divide(total(events, meter, period_end), count(events, meter, period_end))


def weighted_sum(events: Sequence[QuotedEvent], meter: Meter, period_end: datetime) -> Decimal:
    """Levels times the time for which they stand: GB become GB-hours.

    A value is the level from its timestamp on, not a change of it. It stands until the next one, in later periods too,
    while they are billed to now or to their end; a level of 0 ends it. What differs in any dimension is a level of its
    own (the multiplier is none of them); levels are added. ``per`` is the unit of time: ``second``, ``hour`` (the
    default) or ``day`` (24 hours).
    """
    levels: dict[frozenset[tuple[str, str]], list[QuotedEvent]] = defaultdict(list)
    for event in events:
        levels[frozenset(item for item in event.dimensions.items() if item[0] != meter.multiplier)].append(event)
    weighted = ZERO
    for series in levels.values():
        ends = [event.instant for event in series[1:]] + [max(period_end, series[-1].instant)]
        for event, end in zip(series, ends, strict=True):
            weighted += event.number * _microseconds(end - event.instant)
    return divide(weighted, _PER[meter.per or "hour"])


def duration(events: Sequence[QuotedEvent], meter: Meter, period_end: datetime) -> Decimal:
    """Seconds between starts and stops that ``session_by`` pairs, times the start's multiplier: GB-seconds.

    The dimension ``phase`` says ``start`` or ``stop``. Another start of the same key ends a session as a stop does.
    Filter, priced dimensions and multiplier are those of the start; a stop needs nothing but its key. A session that
    runs over the end of a period, or over a plan change, is split there. An open one runs to now or to the period's
    end and is marked as provisional; ``max_session`` ends it. A stop without its start waits for it and counts nothing.
    """
    running = ZERO
    for session in events:
        length = (session.until or max(period_end, session.instant)) - session.instant
        if meter.max_session is not None:
            length = min(length, timedelta(days=meter.max_session.days, hours=meter.max_session.hours))
        running += _microseconds(length) * (session.number if meter.multiplier else 1)
    return divide(running, _PER["second"])


def _microseconds(length: timedelta) -> Decimal:
    return Decimal(length // _MICROSECOND)


def _example(meter: Mapping[str, object], events: Sequence[Mapping[str, object]], amount: str, because: str) -> Example:
    case = {"meter": meter, "price": {"model": "per_unit", "unit_amount": "1"}, "events": events}
    return Example(case, amount, because)


def _at(day: int, value: str | None = None, **dimensions: str) -> dict[str, object]:
    """An event of an example, at noon of a day of January."""
    event: dict[str, object] = {"timestamp": f"2026-01-{day:02}T12:00:00Z", "dimensions": dimensions}
    return event if value is None else event | {"value": value}


_SESSION = {"session_by": "job", "multiplier": "memory_gb"}
_FIVE_SEVEN_SIX = [{"value": "5"}, {"value": "7"}, {"value": "6"}]
_REPORTS = [_at(1, "5"), _at(3, "7"), _at(2, "6")]
_CALLERS = [{"dimensions": {"user": "ann"}}, {"dimensions": {"user": "ben"}}, {"dimensions": {"user": "ann"}}]
_JOBS = [_at(1, phase="start", job="a", memory_gb="0.5"), _at(2, phase="stop", job="a", memory_gb="0.5")]

AGGREGATES: dict[str, Aggregate] = {
    "sum": Aggregate(total, _example({"aggregation": "sum"}, _FIVE_SEVEN_SIX, "18", "5 + 7 + 6")),
    "count": Aggregate(count, _example({"aggregation": "count"}, _FIVE_SEVEN_SIX, "3", "three events")),
    "max": Aggregate(greatest, _example({"aggregation": "max"}, _FIVE_SEVEN_SIX, "7", "the greatest of 5, 7 and 6")),
    "min": Aggregate(least, _example({"aggregation": "min"}, _FIVE_SEVEN_SIX, "5", "the least of 5, 7 and 6")),
    "latest": Aggregate(latest, _example({"aggregation": "latest"}, _REPORTS, "7", "7 was used last, on the 3rd")),
    "unique_count": Aggregate(
        unique_count,
        _example({"aggregation": "unique_count", "unique_by": "user"}, _CALLERS, "2", "ann and ben"),
    ),
    "average": Aggregate(average, _example({"aggregation": "average"}, _FIVE_SEVEN_SIX, "6", "18 over 3 events")),
    "weighted_sum": Aggregate(
        weighted_sum,
        _example(
            {"aggregation": "weighted_sum"},
            [_at(30, "10"), _at(31, "20")],
            "480",
            "10 for the 24 hours to noon of the 31st, then 20 for the 12 hours to the month's end",
        ),
    ),
    "duration": Aggregate(
        duration, _example({"aggregation": "duration", **_SESSION}, _JOBS, "43200", "86,400 seconds at 0.5 GB")
    ),
}


def aggregate(events: Sequence[QuotedEvent], meter: Meter, period_end: datetime) -> Decimal:
    """The metered quantity of quoted events that are counted and in order; without any, zero.

    Args:
        events: filtered, sessions with their ends.
        meter: its aggregation and window.
        period_end: when levels and open sessions stop counting.

    Raises:
        CatalogError: the aggregation is unknown.
        RatingError: an event lacks what the aggregation looks at.
    """
    if meter.aggregation not in AGGREGATES:
        hint = nearest(meter.aggregation, tuple(AGGREGATES))
        raise CatalogError(f"Unknown aggregation {meter.aggregation!r}.", hint=hint, path=("meter", "aggregation"))
    if meter.window is not None and meter.has_lasting_usage:
        message = f"A {meter.aggregation} adds up over time: aggregated in windows it is the same."
        raise CatalogError(message, hint="Remove the window.", path=("meter", "window"))
    of = AGGREGATES[meter.aggregation].of
    with Exactly():
        if meter.window is None:
            return of(events, meter, period_end) if events else ZERO
        windows: dict[datetime, list[QuotedEvent]] = defaultdict(list)
        for event in events:
            windows[_window_start(event.instant, meter.window)].append(event)
        return sum((of(group, meter, period_end) for group in windows.values()), ZERO)


def _window_start(instant: datetime, window: str) -> datetime:
    """The start of the UTC hour or day that holds ``instant``."""
    hour = instant.hour if window == "hour" else 0
    return instant.replace(hour=hour, minute=0, second=0, microsecond=0)
