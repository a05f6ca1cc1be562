"""Amounts that stand in events, and the values of events one by one, for prices that look at single events."""

from collections.abc import Mapping
from decimal import Decimal

import ibis.expr.types as ir

from billing_pipeline.metering.aggregations.aggregation import QUANTITY
from billing_pipeline.usage.engine import Engine
from billing_pipeline.usage.event import VALUE_PRECISION, VALUE_SCALE, dimension_column

_WHOLE_DIGITS = VALUE_PRECISION - VALUE_SCALE
_NUMBER = rf"^[+-]?[0-9]{{1,{_WHOLE_DIGITS}}}([.][0-9]{{1,{VALUE_SCALE}}}0*)?$"
_AMOUNT = f"decimal({VALUE_PRECISION}, {VALUE_SCALE})"
_FEW = 4096  # values remembered, so that those that recur are held once

Group = tuple[object, ...]  # number, then the values of ``by``


def amounts(events: ir.Table, dimension: str) -> dict[str, ir.Value]:
    """The sum of the events' own amounts, which stand in a dimension, and how many events have none to read."""
    text = events[dimension_column(dimension)]
    readable = text.re_search(_NUMBER).fill_null(False)  # noqa: FBT003 - ibis has no other way
    own = readable.ifelse(text, None).cast(_AMOUNT)
    return {"own_amounts": own.sum().cast(QUANTITY), "unreadable": (~readable).sum()}


def values(engine: Engine, events: ir.Table, groups: Mapping[str, ir.Value]) -> dict[Group, tuple[Decimal, ...]]:
    """The value of every event, by question and group, in the order of (timestamp, arrival).

    Sorted by the engine, which spills, and fetched bit by bit: what is held is a list of the values that are asked for.
    """
    rows = events.select("number", "timestamp", "arrival", "value", **groups)
    keys = ["number", *groups]
    ordered = rows.order_by([*keys, "timestamp", "arrival"]).select([*keys, "value"])
    by_group: dict[Group, list[Decimal]] = {}
    remembered: dict[Decimal, Decimal] = {}
    for batch in engine.stream(ordered):
        columns = [batch.column(name).to_pylist() for name in keys]
        numbers: list[Decimal] = batch.column("value").to_pylist()  # type: ignore[assignment]  # no value is null
        for group, value in zip(zip(*columns, strict=True), numbers, strict=True):
            if len(remembered) >= _FEW:
                remembered.clear()
            by_group.setdefault(group, []).append(remembered.setdefault(value, value))
    return {group: tuple(values) for group, values in by_group.items()}
