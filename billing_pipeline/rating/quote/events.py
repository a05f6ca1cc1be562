"""Aggregating a handful of quoted events: all of them count, nothing is deduplicated.

Without timestamps their order is the order they were written in.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.errors import CatalogError, nearest
from billing_pipeline.core.exact import Exactly
from billing_pipeline.rating.quote.aggregates import AGGREGATES
from billing_pipeline.rating.quote.event import QuotedEvent
from billing_pipeline.rating.quote.sessions import sessions

ZERO = Decimal(0)


def counted(events: Sequence[QuotedEvent], meter: Meter) -> list[QuotedEvent]:
    """The events that pass the meter's filter, in the order of (timestamp, arrival)."""
    ordered = sorted(events, key=lambda event: (event.timestamp, event.position))
    if meter.aggregation == "duration":
        ordered = sessions(ordered, meter)
    return [e for e in ordered if all(e.dimensions.get(name, "") in ok for name, ok in meter.filter.items())]


def aggregate(events: Sequence[QuotedEvent], meter: Meter, period_end: datetime) -> Decimal:
    """The metered quantity of ``events`` that are counted and in order; without any, zero.

    Args:
        events: from :func:`counted`.
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
            windows[window_start(event.instant, meter.window)].append(event)
        return sum((of(group, meter, period_end) for group in windows.values()), ZERO)


def window_start(instant: datetime, window: str) -> datetime:
    """The start of the UTC hour or day that holds ``instant``."""
    hour = instant.hour if window == "hour" else 0
    return instant.replace(hour=hour, minute=0, second=0, microsecond=0)
