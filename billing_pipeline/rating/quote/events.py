"""Events of a quote: in order, filtered, starts and stops paired, by the rules of metering.

All of them count, nothing is deduplicated. Without timestamps their order is the order they were written in.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby

from billing_pipeline.catalog.meter import PHASE, START, STOP, Meter
from billing_pipeline.core.errors import RatingError

NO_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class QuotedEvent:
    """An event of a quote.

    Attributes:
        position: its place among the events, from 0; stands for its arrival.
        timestamp: when it was used; NO_TIME where the quote does not say.
        value: its own figure, already times its multiplier; None where it has none.
        dimensions: what it can be priced by.
        until: of the start of a session, when another event ends it; None where none does.
    """

    position: int
    timestamp: datetime
    value: Decimal | None
    dimensions: Mapping[str, str]
    until: datetime | None = None

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


def counted(events: Iterable[QuotedEvent], meter: Meter) -> list[QuotedEvent]:
    """The events that pass a meter's filter, in the order of (timestamp, arrival); of sessions, their starts."""
    ordered = sorted(events, key=lambda event: (event.timestamp, event.position))
    if meter.aggregation == "duration":
        ordered = _sessions(ordered, meter)
    return [
        event
        for event in ordered
        if all(event.dimensions.get(name, "") in values for name, values in meter.filter.items())
    ]


def _sessions(events: Iterable[QuotedEvent], meter: Meter) -> list[QuotedEvent]:
    """The start of each session with its end, in the order of timestamps; a stop without its start waits for it."""
    by_key: dict[str, list[QuotedEvent]] = defaultdict(list)
    for event in events:
        if event.dimensions.get(PHASE) in {START, STOP}:
            by_key[event.dimensions.get(meter.session_by or "", "")].append(event)
    by_key.pop("", None)
    sessions = [session for same_key in by_key.values() for session in _paired(same_key)]
    return sorted(sessions, key=lambda session: session.instant)


def _paired(events: Iterable[QuotedEvent]) -> Iterator[QuotedEvent]:
    """The sessions of one key: at one instant the stop belongs to the session that is open, else to the start."""
    running: QuotedEvent | None = None
    for instant, group in groupby(events, key=lambda event: event.instant):
        at_once = list(group)
        starts = [event for event in at_once if event.dimensions[PHASE] == START]
        started = starts[-1] if starts else None
        if running is not None:
            yield replace(running, until=instant)
        elif started is not None and len(starts) < len(at_once):  # starts and stops while none is open: no length
            yield replace(started, until=instant)
            started = None
        running = started
    if running is not None:
        yield running
