"""One query per shape: join its questions to the events, group, aggregate, and read the figures exactly."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from zoneinfo import ZoneInfo

import ibis.expr.types as ir
import pyarrow as pa

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.money import EXACT
from billing_pipeline.core.quotient import divide
from billing_pipeline.metering import event_values
from billing_pipeline.metering.aggregations import AGGREGATIONS
from billing_pipeline.metering.aggregations.aggregation import PRODUCT, QUANTITY, Aggregation, Spans
from billing_pipeline.metering.measurement import Quantity
from billing_pipeline.metering.multiplier import multiplied
from billing_pipeline.metering.shape import Shape, only_filtered
from billing_pipeline.metering.spans import clipped, in_units, weighed
from billing_pipeline.metering.timeline import Timeline
from billing_pipeline.metering.window import window_of
from billing_pipeline.usage.engine import Engine

_ASKED = ["customer", "meter", "cut"]


def answers(
    engine: Engine, shape: Shape, meter: Meter, events: ir.Table, questions: ir.Table, timeline: Timeline
) -> list[Quantity]:
    """The quantities of all ``questions``, which are of one shape.

    Args:
        engine: computes.
        shape: theirs.
        meter: one of those that count in this way.
        events: the accepted events: customer, meter, cut, timestamp, value, arrival and the shape's dimensions.
        questions: number, customer, meter, cut, start, end.
        timeline: what days and now are.

    Raises:
        Overflow: a quantity does not fit 38 digits.
        UsageError: an event has no number to multiply by.
    """
    aggregation = AGGREGATIONS[shape.aggregation]
    if isinstance(aggregation, Spans):
        return list(_lasting(engine, shape, (aggregation, meter), events, questions, timeline.now))
    counted = _counted(engine, shape, events, questions)
    groups = shape.groups(counted)
    found = _aggregated(engine, shape, (aggregation, meter), counted, timeline.time_zone)
    if shape.needs != "events":
        return found
    values = event_values.values(engine, counted, groups)
    return [replace(one, measures=values[one.number, *map(one.dimensions.get, shape.by)]) for one in found]


def _lasting(
    engine: Engine, shape: Shape, how: tuple[Spans, Meter], events: ir.Table, questions: ir.Table, now: datetime | None
) -> Iterator[Quantity]:
    """Quantities of what lasts: each span's weight times its length within what is asked for."""
    aggregation, meter = how
    mine = events.semi_join(questions, _ASKED)
    spans = only_filtered(aggregation.of(mine, meter), shape.filter)
    if shape.multiplier is not None:
        spans = multiplied(engine, spans, shape.multiplier)
    lasting = clipped(spans, questions, now, aggregation)
    groups = shape.groups(lasting)
    table = engine.fetch(lasting.group_by(lasting.number, **groups).agg(**weighed(lasting)).order_by("number", *groups))
    for row, dimensions in zip(table.to_pylist(), _dimensions(table, shape.by), strict=True):
        yield Quantity(
            number=row["number"],
            dimensions=dimensions,
            quantity=plain(in_units(row["amount"], row["rest"], aggregation, meter)),
            events=row["events"],
            provisional=row["open"],
            counted_to=now if row["grows"] else None,
        )


def _aggregated(
    engine: Engine, shape: Shape, how: tuple[Aggregation, Meter], counted: ir.Table, time_zone: ZoneInfo
) -> list[Quantity]:
    """Quantities of the events at their instants, within each window if there are any."""
    aggregation, meter = how
    groups = shape.groups(counted)
    fraction = aggregation(counted, meter)
    figures: dict[str, ir.Value] = {"amount": fraction.amount, "events": counted.count()}
    if fraction.divisor is not None:
        figures["divisor"] = fraction.divisor
    if shape.amount_field is not None:
        figures |= event_values.amounts(counted, shape.amount_field)
    if shape.window is None:
        rows = counted.group_by(counted.number, **groups).agg(**figures)
    else:
        window = window_of(counted.timestamp, shape.window, time_zone)
        rows = _added(counted.group_by(counted.number, **groups, window=window).agg(**figures), shape)
    table = engine.fetch(rows.order_by("number", *groups))
    return list(_divided(table, shape.by) if "divisor" in table.column_names else _plain(table, shape.by))


def _counted(engine: Engine, shape: Shape, events: ir.Table, questions: ir.Table) -> ir.Table:
    """A row per question and event that counts in it."""
    events = only_filtered(events, shape.filter)
    asked = questions.select("number", *_ASKED, "start", "end")
    joined = events.join(asked, [*_ASKED, events.timestamp >= asked.start, events.timestamp < asked.end])
    return joined if shape.multiplier is None else multiplied(engine, joined, shape.multiplier)


def _added(windows: ir.Table, shape: Shape) -> ir.Table:
    """The sum over all windows; what is divided by different numbers stays apart."""
    same = ["number", *(f"by_{place}" for place, _ in enumerate(shape.by))]
    same += ["divisor"] if "divisor" in windows.columns else []
    total = windows.amount.sum().cast(PRODUCT if shape.multiplier else QUANTITY)
    return windows.group_by(same).agg(amount=total, events=windows.events.sum())


def _plain(table: pa.Table, by: Sequence[str]) -> Iterator[Quantity]:
    figures = (table[name].to_pylist() for name in ("number", "amount", "events"))
    for (number, amount, events), dimensions, measures in zip(
        zip(*figures, strict=True), _dimensions(table, by), _amounts(table), strict=True
    ):
        yield Quantity(number, dimensions, plain(amount), events, measures=measures)


def _amounts(table: pa.Table) -> Iterator[tuple[Decimal, ...] | None]:
    """The sum of the amounts of each row, if they are asked for and can all be read."""
    if "carried" not in table.column_names:
        return (None for _ in range(table.num_rows))
    rows = zip(table["carried"].to_pylist(), table["unreadable"].to_pylist(), strict=True)
    return (None if unreadable or total is None else (plain(total),) for total, unreadable in rows)


def _divided(table: pa.Table, by: Sequence[str]) -> Iterator[Quantity]:
    """One quantity of all rows that differ only in their divisor: windows with as many events each."""
    rows = zip(table.to_pylist(), _dimensions(table, by), strict=True)
    for (number, dimensions), group in groupby(rows, key=lambda row: (row[0]["number"], row[1])):
        parts = [part for part, _ in group]
        exact = sum((Fraction(part["amount"]) / part["divisor"] for part in parts), Fraction(0))
        quotient = divide(Decimal(exact.numerator), Decimal(exact.denominator))
        yield Quantity(number, dimensions, plain(quotient), sum(part["events"] for part in parts))


def _dimensions(table: pa.Table, by: Sequence[str]) -> Iterator[dict[str, str]]:
    """The dimensions of each row, without those it does not have."""
    if not by:
        return ({} for _ in range(table.num_rows))
    columns = [table[f"by_{place}"].to_pylist() for place, _ in enumerate(by)]
    return (
        {name: value for name, value in zip(by, values, strict=True) if value is not None}
        for values in zip(*columns, strict=True)
    )


def plain(number: Decimal) -> Decimal:
    """Without trailing zeros or an exponent: ``100``, not ``1E+2`` or ``100.000``."""
    short = EXACT.normalize(number)
    return EXACT.quantize(short, Decimal(1)) if short.as_tuple().exponent > 0 else short  # type: ignore[operator]
