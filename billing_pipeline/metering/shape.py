"""Measurements of one shape differ only in whom and when they measure, so that one query answers them all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_

import ibis
import ibis.expr.types as ir

from billing_pipeline.catalog.meter import PHASE, Meter
from billing_pipeline.core.period import Duration
from billing_pipeline.metering.aggregations import AGGREGATIONS, Spans
from billing_pipeline.metering.measurement import Measurement, Needs
from billing_pipeline.usage.event import dimension_column

Match = tuple[tuple[str, str], ...]  # dimension and value, in the order of dimensions


@dataclass(frozen=True, slots=True)
class Shape:
    """How a measurement's events are selected, grouped and aggregated.

    Attributes:
        aggregation: with ``unique_by``, ``session_by``, ``max_session``, ``per``, ``multiplier``, ``window`` and
            ``filter`` as the meter declares them.
        by: dimensions to group by.
        matches: the combinations that are groups of their own; empty for all.
        needs: what the price wants to know of single events, with the ``amount_field`` that it names.
    """

    aggregation: str
    unique_by: str | None
    session_by: str | None
    max_session: Duration | None
    per: str | None
    multiplier: str | None
    window: str | None
    filter: tuple[tuple[str, tuple[str, ...]], ...]
    by: tuple[str, ...]
    matches: tuple[Match, ...]
    needs: Needs
    amount_field: str | None

    @classmethod
    def of(cls, measurement: Measurement, meter: Meter) -> "Shape":
        """The shape of a measurement; meters that count alike share it."""
        return cls(
            meter.aggregation,
            meter.unique_by,
            meter.session_by,
            meter.max_session,
            meter.per,
            meter.multiplier,
            meter.window,
            tuple(sorted((dimension, tuple(sorted(values))) for dimension, values in meter.filter.items())),
            measurement.by,
            _canonical(measurement.matches),
            measurement.needs,
            measurement.amount_field,
        )

    @property
    def dimensions(self) -> set[str]:
        """All dimensions that its query looks at."""
        named = {dimension for match in self.matches for dimension, _ in match}
        fields = (self.unique_by, self.session_by, self.session_by and PHASE, self.multiplier, self.amount_field)
        own = {dimension for dimension in fields if dimension is not None}
        return own | named | {*self.by} | {dimension for dimension, _ in self.filter}

    @property
    def by_series(self) -> bool:
        """Whether its query looks at every dimension that there is."""
        aggregation = AGGREGATIONS[self.aggregation]
        return isinstance(aggregation, Spans) and aggregation.by_series

    def groups(self, events: ir.Table) -> dict[str, ir.StringValue]:
        """The columns to group by, one for each of ``by``; all null for what no match takes."""
        values = {f"by_{place}": events[dimension_column(name)] for place, name in enumerate(self.by)}
        if not self.matches or not values:
            return values
        matched = matches_any(events, self.matches)
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


def _has(events: ir.Table, dimension: str, values: Sequence[str]) -> ir.BooleanValue:
    column = events[dimension_column(dimension)]
    return (column.isin(values) & column.notnull()) | (column.isnull() if "" in values else False)


def only_filtered(events: ir.Table, conditions: Sequence[tuple[str, tuple[str, ...]]]) -> ir.Table:
    """The events that a meter's filter lets count."""
    return (
        events.filter([_has(events, dimension, values) for dimension, values in conditions]) if conditions else events
    )


def _canonical(matches: Sequence[Mapping[str, str]]) -> tuple[Match, ...]:
    return tuple(sorted(tuple(sorted(match.items())) for match in matches))
