"""One query per shape: join its questions to the events, group, aggregate, and read the figures exactly."""

from collections.abc import Iterator, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from itertools import groupby
from zoneinfo import ZoneInfo

import ibis.expr.types as ir
import pyarrow as pa

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.money import EXACT
from billing_pipeline.metering.aggregations import AGGREGATIONS
from billing_pipeline.metering.aggregations.aggregation import PRODUCT, QUANTITY
from billing_pipeline.metering.measurement import Quantity
from billing_pipeline.metering.multiplier import multiplied
from billing_pipeline.metering.shape import Shape, only_filtered
from billing_pipeline.metering.window import window_of
from billing_pipeline.usage.engine import Engine

_DIVISION = Context(prec=50)  # a quotient need not end; 50 digits are more than any bill can show
_ASKED = ["customer", "meter", "cut"]


def answers(
    engine: Engine, shape: Shape, meter: Meter, events: ir.Table, questions: ir.Table, time_zone: ZoneInfo
) -> list[Quantity]:
    """The quantities of all ``questions``, which are of one shape.

    Args:
        engine: computes.
        shape: theirs.
        meter: one of those that count in this way.
        events: the accepted events: customer, meter, cut, timestamp, value, arrival and the shape's dimensions.
        questions: number, customer, meter, cut, start, end.
        time_zone: whose days a window of a day means.

    Raises:
        Overflow: a quantity does not fit 38 digits.
        UsageError: an event has no number to multiply by.
    """
    counted = _counted(engine, shape, events, questions)
    groups = shape.groups(counted)
    fraction = AGGREGATIONS[shape.aggregation](counted, meter)
    figures = {"amount": fraction.amount, "events": counted.count()}
    if fraction.divisor is not None:
        figures["divisor"] = fraction.divisor
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
    for number, amount, events, dimensions in zip(*figures, _dimensions(table, by), strict=True):
        yield Quantity(number, dimensions, plain(amount), events)


def _divided(table: pa.Table, by: Sequence[str]) -> Iterator[Quantity]:
    """One quantity of all rows that differ only in their divisor: windows with as many events each."""
    rows = zip(table.to_pylist(), _dimensions(table, by), strict=True)
    for (number, dimensions), group in groupby(rows, key=lambda row: (row[0]["number"], row[1])):
        parts = [part for part, _ in group]
        exact = sum((Fraction(part["amount"]) / part["divisor"] for part in parts), Fraction(0))
        quotient = _DIVISION.divide(Decimal(exact.numerator), Decimal(exact.denominator))
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
