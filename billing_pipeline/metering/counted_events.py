"""Which events count for a price, and as what: a meter's filter, multiplier and windows, and a price's groups."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import and_, or_
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from billing_pipeline.core.errors import UsageError
from billing_pipeline.metering.aggregations.aggregation import PRODUCT
from billing_pipeline.usage.engine import Engine
from billing_pipeline.usage.event import MULTIPLIER_SCALE, dimension_column

Match = tuple[tuple[str, str], ...]  # dimension and value, in the order of dimensions


class NoMultiplier(UsageError):  # noqa: N818 - what the event has
    """An event without the number by which its meter multiplies values."""


_WHOLE_DIGITS = 12
_NUMBER = rf"^[+-]?[0-9]{{1,{_WHOLE_DIGITS}}}([.][0-9]{{1,{MULTIPLIER_SCALE}}}0*)?$"
_FACTOR = f"decimal({_WHOLE_DIGITS + MULTIPLIER_SCALE}, {MULTIPLIER_SCALE})"


def only_filtered(events: ir.Table, conditions: Mapping[str, Sequence[str]]) -> ir.Table:
    """The events that a meter's filter lets count."""
    if not conditions:
        return events
    return events.filter([_has(events, dimension, values) for dimension, values in sorted(conditions.items())])


def multiplied(engine: Engine, events: ir.Table, dimension: str | None) -> ir.Table:
    """The events with each value times the number that its dimension holds, e.g. the GB of a GB-second; exact.

    Raises:
        NoMultiplier: an event has no such number; landing quarantines these, so its meter was changed afterwards.
    """
    if dimension is None:
        return events
    text = events[dimension_column(dimension)]
    wrong = events.filter(~text.re_search(_NUMBER).fill_null(False)).select(  # noqa: FBT003 - ibis has no other way
        "customer", "meter", "timestamp", text=text
    )
    for event in engine.fetch(wrong.limit(1)).to_pylist():
        raise NoMultiplier(
            f"An event of {event['timestamp'].isoformat()} (customer code {event['customer']}) has "
            f"{dimension} = {event['text']!r}, which is no number to multiply by.",
            hint=f"Send it again with at most {MULTIPLIER_SCALE} decimals, or retract it.",
        )
    return events.mutate(value=(events.value * text.cast(_FACTOR)).cast(PRODUCT))


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, dt.Timestamp("UTC")), dt.timestamp))  # type: ignore[untyped-decorator]
def _local(zone: str, instant: datetime) -> datetime:  # type: ignore[empty-body]
    """The wall clock of a zone, as DuckDB knows it."""


def window_of(timestamp: ir.TimestampValue, window: str, zone: ZoneInfo) -> ir.TimestampValue:
    """The start of an event's window: an elapsed hour, or a local day of 23 to 25 of them.

    A meter with a window aggregates within each first; the quantity is the sum over them.
    """
    if window == "hour":
        return timestamp.truncate("h")
    return _local(zone.key, timestamp).truncate("D")


def groups(events: ir.Table, by: Sequence[str], matches: Sequence[Match]) -> dict[str, ir.StringValue]:
    """The columns to group events by, one for each of ``by``; all null for what no match takes, if there are any."""
    values = {f"by_{place}": events[dimension_column(name)] for place, name in enumerate(by)}
    if not matches or not values:
        return values
    matched = matches_any(events, matches)
    return {name: matched.ifelse(value, ibis.null("string")) for name, value in values.items()}


def matches_any(events: ir.Table, matches: Sequence[Match]) -> ir.BooleanValue:
    """Whether an event has all the dimension values of at least one match.

    Matches that differ only in their last dimension become one set, so that a table of many rates stays fast.
    """
    sets: dict[tuple[Match, str], list[str]] = {}
    for match in matches:
        if not match:
            return ibis.literal(True)  # noqa: FBT003 - a match without conditions takes everything
        *first, (dimension, value) = match
        sets.setdefault((tuple(first), dimension), []).append(value)
    alternatives = [
        reduce(and_, (_has(events, name, [value]) for name, value in first), _has(events, dimension, values))
        for (first, dimension), values in sets.items()
    ]
    return reduce(or_, alternatives)


def canonical(matches: Sequence[Mapping[str, str]]) -> tuple[Match, ...]:
    """Matches of dimension values in one order, so that equal ones can be told."""
    return tuple(sorted(tuple(sorted(match.items())) for match in matches))


def _has(events: ir.Table, dimension: str, values: Sequence[str]) -> ir.BooleanValue:
    column = events[dimension_column(dimension)]
    return (column.isin(values) & column.notnull()) | (column.isnull() if "" in values else False)
