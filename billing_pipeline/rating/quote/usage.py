"""Usage of a quote case: its quantity, or its events measured per combination of priced dimension values.

Events are put in order, filtered, and starts and stops paired, by the rules of metering. All of them count; but where
the meter says which reports are of one event (``deduplicate_by``, ``keep``), one of each event counts, as in
``usage/deduplicate.py``. Without timestamps their order is the order they were written in, which is that of arrival.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import MAXYEAR, UTC, datetime
from decimal import Decimal
from itertools import groupby

from billing_pipeline.catalog.meter import PHASE, START, STOP, Meter
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.exact import Exactly
from billing_pipeline.rating.cost import convert
from billing_pipeline.rating.price_fields import number_of
from billing_pipeline.rating.price_models.dynamic import Dynamic
from billing_pipeline.rating.quote.aggregates import aggregate
from billing_pipeline.rating.quote.case import NO_TIME, Case, QuotedEvent
from billing_pipeline.rating.tiers import ZERO


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage that is priced at once.

    Attributes:
        dimensions: the values it is priced by.
        quantity: in the meter's unit, before the price's own conversion.
        measures: for prices of events, one number each, in order.
    """

    dimensions: Mapping[str, str]
    quantity: Decimal
    measures: tuple[Decimal, ...] | None = None


def usages(case: Case) -> list[Usage]:
    """The usage of a quote case, in the order of the dimension values.

    With ``tiers_per: subscription`` all is priced at once: each combination of values is measured on its own, then
    added.

    Raises:
        CatalogError: the meter cannot be computed as it says.
        RatingError: no rate matches an event, or an event lacks what is looked at.
    """
    price = case.quoted.price
    if case.events is None:
        quantity = convert(case.quantity or ZERO, case.meter.convert)
        return [Usage(price.combination(case.dimensions), quantity)]
    events = _counted(case.events, case.meter)
    groups: dict[tuple[tuple[str, str], ...], list[QuotedEvent]] = {} if price.by else {(): []}
    for event in events:
        groups.setdefault(tuple(sorted(price.combination(event.dimensions).items())), []).append(event)
    period_end = _period_end(case)
    quantities = {values: aggregate(group, case.meter, period_end) for values, group in groups.items()}
    if price.tiers_per == "subscription":
        with Exactly():
            quantities = {(): sum(quantities.values(), ZERO)}
        groups = {(): events}
    return [
        Usage(dict(values), convert(quantities[values], case.meter.convert), _measures(case, groups[values], values))
        for values in sorted(quantities)
    ]


def _measures(
    case: Case, events: Sequence[QuotedEvent], values: tuple[tuple[str, str], ...]
) -> tuple[Decimal, ...] | None:
    """One number an event, where the price wants them."""
    if case.quoted.price.needs == "quantity":
        return None
    model = case.quoted.price.rate_for(dict(values))
    if isinstance(model, Dynamic):
        return tuple(_own_amount(event, model.amount_field) for event in events)
    for conversion in (case.meter.convert, case.quoted.convert):
        if conversion is not None and conversion.round != "none":
            raise RatingError("Single events are converted without rounding.", hint="Use round: none.")
    return tuple(convert(convert(event.number, case.meter.convert), case.quoted.convert) for event in events)


def _own_amount(event: QuotedEvent, field: str) -> Decimal:
    if field not in event.dimensions:
        raise RatingError(f"Event {event.position + 1} has no {field!r}.", hint="It must hold the event's amount.")
    return number_of(event.dimensions[field], ("events", event.position, "dimensions", field))


def _period_end(case: Case) -> datetime:
    """When levels and open sessions stop counting: as the case says, or the end of the first event's UTC month."""
    if case.period_end is not None:
        return case.period_end
    first = min((event.timestamp for event in case.events or () if event.timestamp != NO_TIME), default=NO_TIME)
    if first.year == MAXYEAR:
        raise RatingError(f"The month of {first.isoformat()} has no end.", hint="Give period_end.")
    years, month = divmod(first.month, 12)
    return datetime(first.year + years, month + 1, 1, tzinfo=UTC)


def _counted(events: Iterable[QuotedEvent], meter: Meter) -> list[QuotedEvent]:
    """The events that pass a meter's filter, in the order of (timestamp, arrival); of sessions, their starts."""
    ordered = sorted(_reported_once(events, meter), key=lambda event: (event.timestamp, event.position))
    if meter.aggregation == "duration":
        ordered = _sessions(ordered, meter)
    return [
        event
        for event in ordered
        if all(event.dimensions.get(name, "") in values for name, values in meter.filter.items())
    ]


def _reported_once(events: Iterable[QuotedEvent], meter: Meter) -> Iterable[QuotedEvent]:
    """The report of each event that counts, by the order of arrival; all where nothing tells reports apart."""
    if meter.keep == "first":
        events = reversed(list(events))
    return {event.position if event.key is None else event.key: event for event in events}.values()


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
