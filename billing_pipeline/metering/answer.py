"""One query per shape of measurements: join them to the events, group, aggregate, and read the figures exactly."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import groupby

import ibis.expr.types as ir
import pyarrow as pa

from billing_pipeline.core.exact import quotient_of
from billing_pipeline.core.money import EXACT
from billing_pipeline.metering import counted_events, event_values
from billing_pipeline.metering.aggregations import AGGREGATIONS
from billing_pipeline.metering.aggregations.aggregation import PRODUCT, QUANTITY, Aggregation, Spans
from billing_pipeline.metering.counted_events import multiplied, only_filtered
from billing_pipeline.metering.measurement import Quantity, Timeline
from billing_pipeline.metering.questions import PAIR, Shape
from billing_pipeline.metering.spans import clipped, in_units, weighed
from billing_pipeline.usage.engine import Engine


def answers(
    engine: Engine, shape: Shape, events: ir.Table, questions: ir.Table, timeline: Timeline
) -> Sequence[Quantity]:
    """The quantities of all ``questions``, which are of one shape.

    Args:
        engine: computes.
        shape: of the questions.
        events: the accepted events: customer, meter, timestamp, value, arrival and the shape's dimensions.
        questions: number, customer, meter, start, end.
        timeline: what days and now are.

    Raises:
        Overflow: a quantity does not fit 38 digits.
        NoMultiplier: an event has no number to multiply by.
    """
    aggregation = AGGREGATIONS[shape.meter.aggregation]
    if isinstance(aggregation, Spans):
        return list(_lasting(engine, shape, aggregation, events, questions, timeline))
    counted = _counted(engine, shape, events, questions)
    groups = counted_events.groups(counted, shape.by, shape.matches)
    quantities = _aggregated(engine, shape, aggregation, counted, timeline)
    if shape.needs != "events":
        return quantities
    values = event_values.values(engine, counted, groups)
    return [
        replace(quantity, measures=values[quantity.number, *map(quantity.dimensions.get, shape.by)])
        for quantity in quantities
    ]


def _lasting(
    engine: Engine, shape: Shape, aggregation: Spans, events: ir.Table, questions: ir.Table, timeline: Timeline
) -> Iterator[Quantity]:
    """Quantities of what lasts: each span's weight times its length within what is measured."""
    spans = only_filtered(aggregation.of(events.semi_join(questions, PAIR), shape.meter), shape.meter.filter)
    spans = multiplied(engine, spans, shape.meter.multiplier)
    lasting = clipped(spans, questions, timeline.now, aggregation)
    groups = counted_events.groups(lasting, shape.by, shape.matches)
    table = engine.fetch(lasting.group_by(lasting.number, **groups).agg(**weighed(lasting)).order_by("number", *groups))
    for row, dimensions in zip(table.to_pylist(), _dimensions(table, shape.by), strict=True):
        yield Quantity(
            number=row["number"],
            dimensions=dimensions,
            quantity=_shortest(in_units(row["amount"], row["rest"], aggregation.unit(shape.meter))),
            events=row["events"],
            provisional=row["open"],
            counted_to=timeline.now if row["grows"] else None,
        )


def _counted(engine: Engine, shape: Shape, events: ir.Table, questions: ir.Table) -> ir.Table:
    """A row per measurement and event that counts in it."""
    events = only_filtered(events, shape.meter.filter)
    stretches = questions.select("number", *PAIR, "start", "end")
    counted = events.join(stretches, [*PAIR, events.timestamp >= stretches.start, events.timestamp < stretches.end])
    return multiplied(engine, counted, shape.meter.multiplier)


def _aggregated(
    engine: Engine, shape: Shape, aggregation: Aggregation, counted: ir.Table, timeline: Timeline
) -> list[Quantity]:
    """Quantities of the events at their instants, within each window if there are any."""
    meter, groups = shape.meter, counted_events.groups(counted, shape.by, shape.matches)
    quotient = aggregation(counted, meter)
    figures: dict[str, ir.Value] = {"amount": quotient.amount, "events": counted.count()}
    if quotient.divisor is not None:
        figures["divisor"] = quotient.divisor
    if shape.amount_field is not None:
        figures |= event_values.amounts(counted, shape.amount_field)
    if meter.window is None:
        rows = counted.group_by(counted.number, **groups).agg(**figures)
    else:
        window = counted_events.window_of(counted.timestamp, meter.window, timeline.time_zone)
        rows = _added(counted.group_by(counted.number, **groups, window=window).agg(**figures), shape)
    table = engine.fetch(rows.order_by("number", *groups))
    return list(_divided(table, shape.by) if "divisor" in table.column_names else _whole(table, shape.by))


def _added(windows: ir.Table, shape: Shape) -> ir.Table:
    """The sum over all windows; what is divided by different numbers stays apart."""
    same = ["number", *(f"by_{place}" for place, _ in enumerate(shape.by))]
    same += ["divisor"] if "divisor" in windows.columns else []
    total = windows.amount.sum().cast(PRODUCT if shape.meter.multiplier else QUANTITY)
    return windows.group_by(same).agg(amount=total, events=windows.events.sum())


def _whole(table: pa.Table, by: Sequence[str]) -> Iterator[Quantity]:
    """A quantity of each row: nothing is left to divide."""
    figures = (table[name].to_pylist() for name in ("number", "amount", "events"))
    for (number, amount, events), dimensions, measures in zip(
        zip(*figures, strict=True), _dimensions(table, by), _amounts(table), strict=True
    ):
        yield Quantity(number, dimensions, _shortest(amount), events, measures=measures)


def _amounts(table: pa.Table) -> Iterator[tuple[Decimal, ...] | None]:
    """The sum of the events' own amounts in each row, if they are asked for and can all be read."""
    if "own_amounts" not in table.column_names:
        return (None for _ in range(table.num_rows))
    rows = zip(table["own_amounts"].to_pylist(), table["unreadable"].to_pylist(), strict=True)
    return (None if unreadable or total is None else (_shortest(total),) for total, unreadable in rows)


def _divided(table: pa.Table, by: Sequence[str]) -> Iterator[Quantity]:
    """A quantity of all rows that differ only in their divisor: windows with as many events each."""
    rows = zip(table.to_pylist(), _dimensions(table, by), strict=True)
    for (number, dimensions), group in groupby(rows, key=lambda row: (row[0]["number"], row[1])):
        parts = [part for part, _ in group]
        quotient = quotient_of(sum((Fraction(part["amount"]) / part["divisor"] for part in parts), Fraction(0)))
        yield Quantity(number, dimensions, _shortest(quotient), sum(part["events"] for part in parts))


def _dimensions(table: pa.Table, by: Sequence[str]) -> Iterator[dict[str, str]]:
    """The dimensions of each row, without those it does not have."""
    if not by:
        return ({} for _ in range(table.num_rows))
    columns = [table[f"by_{place}"].to_pylist() for place, _ in enumerate(by)]
    return (
        {name: value for name, value in zip(by, values, strict=True) if value is not None}
        for values in zip(*columns, strict=True)
    )


def _shortest(number: Decimal) -> Decimal:
    """Without trailing zeros or an exponent: ``100``, not ``1E+2`` or ``100.000``."""
    short = EXACT.normalize(number)
    return EXACT.quantize(short, Decimal(1)) if short.as_tuple().exponent > 0 else short  # type: ignore[operator]
