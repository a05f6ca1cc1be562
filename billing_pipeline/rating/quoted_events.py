"""Aggregating a handful of quoted events in plain Python.

The same rules as the set-based aggregations of metering, on events that are at hand: all of them count, nothing is
deduplicated. Without timestamps their order is the order they were written in.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.errors import CatalogError, RatingError, nearest
from billing_pipeline.rating.exact import Exactly, divide

ZERO = Decimal(0)
NO_TIME = datetime.min.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS = {"second": Decimal(10) ** 6, "hour": 3600 * Decimal(10) ** 6}


@dataclass(frozen=True, slots=True)
class QuotedEvent:
    """One event of a quote.

    Attributes:
        position: its place among the events, from 0; stands for its arrival.
        timestamp: when it was used; NO_TIME where the quote does not say.
        value: its own figure, already times its multiplier; None where it has none.
        dimensions: what it can be priced by.
    """

    position: int
    timestamp: datetime
    value: Decimal | None
    dimensions: Mapping[str, str]

    @property
    def number(self) -> Decimal:
        """The value. Raises RatingError where there is none; a missing value is never zero."""
        if self.value is None:
            raise RatingError(f"Event {self.position + 1} has no value.", hint="Write 0 where it is zero.")
        return self.value

    @property
    def instant(self) -> datetime:
        """The timestamp. Raises RatingError where there is none."""
        if self.timestamp == NO_TIME:
            raise RatingError(f"Event {self.position + 1} has no timestamp, and this meter needs one.")
        return self.timestamp


Aggregate = Callable[[Sequence[QuotedEvent], Meter, datetime], Decimal]


def counted(events: Sequence[QuotedEvent], meter: Meter) -> list[QuotedEvent]:
    """The events that pass the meter's filter, in the order of (timestamp, arrival)."""
    passing = [e for e in events if all(e.dimensions.get(name, "") in ok for name, ok in meter.filter.items())]
    return sorted(passing, key=lambda event: (event.timestamp, event.position))


def aggregate(events: Sequence[QuotedEvent], meter: Meter, period_end: datetime) -> Decimal:
    """The metered quantity of ``events`` that are counted and in order.

    Args:
        events: from :func:`counted`.
        meter: its aggregation and window.
        period_end: when levels and open sessions stop counting.

    Raises:
        CatalogError: the aggregation is unknown.
        RatingError: an event lacks what the aggregation looks at.
    """
    if meter.aggregation not in _AGGREGATES:
        hint = nearest(meter.aggregation, tuple(_AGGREGATES))
        raise CatalogError(f"Unknown aggregation {meter.aggregation!r}.", hint=hint, path=("meter", "aggregation"))
    function = _AGGREGATES[meter.aggregation]
    with Exactly():
        if meter.window is None:
            return function(events, meter, period_end) if events else ZERO
        windows: dict[datetime, list[QuotedEvent]] = defaultdict(list)
        for event in events:
            windows[window_start(event.instant, meter.window)].append(event)
        return sum((function(group, meter, period_end) for group in windows.values()), ZERO)


def window_start(instant: datetime, window: str) -> datetime:
    """The start of the UTC hour or day that holds ``instant``."""
    hour = instant.hour if window == "hour" else 0
    return instant.replace(hour=hour, minute=0, second=0, microsecond=0)


def _weighted_sum(events: Sequence[QuotedEvent], _meter: Meter, period_end: datetime) -> Decimal:
    """Levels times the hours for which they stood; what differs in any dimension is a level of its own."""
    levels: dict[frozenset[tuple[str, str]], list[QuotedEvent]] = defaultdict(list)
    for event in events:
        levels[frozenset(event.dimensions.items())].append(event)
    total = ZERO
    for series in levels.values():
        ends = [event.instant for event in series[1:]] + [max(period_end, series[-1].instant)]
        for event, end in zip(series, ends, strict=True):
            total += event.number * _microseconds(end - event.instant)
    return divide(total, _MICROSECONDS["hour"])


def _duration(events: Sequence[QuotedEvent], meter: Meter, period_end: datetime) -> Decimal:
    """Seconds between starts and their stops, times the start's multiplier; an open session runs to the end."""
    total, open_sessions = ZERO, dict[str, QuotedEvent]()
    for event in events:
        key = event.dimensions.get(meter.session_by or "", "")
        start = open_sessions.pop(key, None)
        if start is not None:
            total += _session(start, event.instant, meter)
        if event.dimensions.get("phase") == "start":
            open_sessions[key] = event
    for start in open_sessions.values():
        total += _session(start, max(period_end, start.instant), meter)
    return divide(total, _MICROSECONDS["second"])


def _session(start: QuotedEvent, stop: datetime, meter: Meter) -> Decimal:
    length = stop - start.instant
    if meter.max_session is not None:
        length = min(length, timedelta(days=meter.max_session.days, hours=meter.max_session.hours))
    return _microseconds(length) * (start.number if meter.multiplier else 1)


def _microseconds(length: timedelta) -> Decimal:
    return Decimal(length // _MICROSECOND)


def _unique_count(events: Sequence[QuotedEvent], meter: Meter, _period_end: datetime) -> Decimal:
    values = {event.dimensions.get(meter.unique_by or "", "") for event in events}
    return Decimal(len(values - {""}))


def _total(events: Sequence[QuotedEvent], _meter: Meter, _period_end: datetime) -> Decimal:
    return sum((event.number for event in events), ZERO)


_AGGREGATES: dict[str, Aggregate] = {
    "sum": _total,
    "count": lambda events, _meter, _end: Decimal(len(events)),
    "max": lambda events, _meter, _end: max(event.number for event in events),
    "min": lambda events, _meter, _end: min(event.number for event in events),
    "latest": lambda events, _meter, _end: events[-1].number,
    "unique_count": _unique_count,
    "average": lambda events, meter, end: divide(_total(events, meter, end), Decimal(len(events))),
    "weighted_sum": _weighted_sum,
    "duration": _duration,
}
