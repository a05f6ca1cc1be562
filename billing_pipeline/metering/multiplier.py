"""A multiplier: a dimension of the event that holds a number by which its value counts, e.g. the GB of a GB-second."""

import ibis.expr.types as ir

from billing_pipeline.core.errors import UsageError
from billing_pipeline.metering.aggregations.aggregation import PRODUCT
from billing_pipeline.usage.engine import Engine
from billing_pipeline.usage.event import MULTIPLIER_SCALE, dimension_column

_WHOLE_DIGITS = 12
_NUMBER = rf"^[+-]?[0-9]{{1,{_WHOLE_DIGITS}}}([.][0-9]{{1,{MULTIPLIER_SCALE}}}0*)?$"
_FACTOR = f"decimal({_WHOLE_DIGITS + MULTIPLIER_SCALE}, {MULTIPLIER_SCALE})"


def multiplied(engine: Engine, events: ir.Table, dimension: str) -> ir.Table:
    """``events`` with each value times the number that its dimension holds; exact, or an error.

    Raises:
        UsageError: an event has no such number; landing quarantines these, so its meter was changed afterwards.
    """
    text = events[dimension_column(dimension)]
    wrong = events.filter(~text.re_search(_NUMBER).fill_null(False)).select(  # noqa: FBT003 - ibis has no other way
        "customer", "meter", "timestamp", text=text
    )
    for event in engine.fetch(wrong.limit(1)).to_pylist():
        raise UsageError(
            f"An event of {event['timestamp'].isoformat()} (customer code {event['customer']}) has "
            f"{dimension} = {event['text']!r}, which is no number to multiply by.",
            hint=f"Send it again with at most {MULTIPLIER_SCALE} decimals, or retract it.",
        )
    return events.mutate(value=(events.value * text.cast(_FACTOR)).cast(PRODUCT))
