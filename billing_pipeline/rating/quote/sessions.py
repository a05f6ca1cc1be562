"""Starts and stops of quoted events → one start and one stop a session, by the rules of metering."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from billing_pipeline.catalog.meter import PHASE, START, STOP, Meter
from billing_pipeline.rating.quote.event import QuotedEvent


def sessions(events: Sequence[QuotedEvent], meter: Meter) -> list[QuotedEvent]:
    """Each start, and behind it a stop where another event ends its session; in the order of timestamps.

    A stop has the dimensions of its start, so that filter and price find them together. One that no start belongs to
    waits for it and is left out.

    Args:
        events: in the order of (timestamp, arrival).
        meter: names the dimension that pairs them.
    """
    by_key: dict[str, list[QuotedEvent]] = defaultdict(list)
    for event in events:
        if event.dimensions.get(PHASE) in {START, STOP}:
            by_key[event.dimensions.get(meter.session_by or "", "")].append(event)
    by_key.pop("", None)
    found = [event for mine in by_key.values() for event in _paired(mine)]
    return sorted(found, key=lambda event: event.instant)


def _paired(events: Iterable[QuotedEvent]) -> list[QuotedEvent]:
    """The sessions of one key: at one instant the stop belongs to the session that is open, else to the start."""
    found: list[QuotedEvent] = []
    running: QuotedEvent | None = None
    for _, group in groupby(events, key=lambda event: event.instant):
        at_once = list(group)
        starts = [event for event in at_once if event.dimensions[PHASE] == START]
        was_running, stops = running is not None, len(starts) < len(at_once)
        if running is not None:
            found.append(_stop(running, at_once[0]))
        running = starts[-1] if starts else None
        if running is not None:
            found.append(running)
            if stops and not was_running:
                found.append(_stop(running, running))
                running = None
    return found


def _stop(start: QuotedEvent, at: QuotedEvent) -> QuotedEvent:
    return replace(start, timestamp=at.timestamp, dimensions={**start.dimensions, PHASE: STOP})
