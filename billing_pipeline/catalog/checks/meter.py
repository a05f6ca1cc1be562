"""Meters: does the aggregation have what it needs, and are its dimensions declared?"""

from collections.abc import Iterator

from billing_pipeline.catalog.checks.check_context import CheckContext, one_of, repeated
from billing_pipeline.catalog.meter import AGGREGATION_FIELDS, PHASE, VALUELESS_AGGREGATIONS, Meter
from billing_pipeline.core.errors import CatalogError, nearest


def check_meter(meter: Meter, context: CheckContext) -> Iterator[CatalogError]:
    """Aggregation, its own fields, dimensions and filter."""
    yield from one_of("aggregation", meter.aggregation, context.can.aggregations, ("aggregation",))
    yield from _check_own_fields(meter)
    yield from _check_sense(meter)
    yield from _check_identity(meter)
    for i, name in repeated(meter.dimensions):
        yield CatalogError(f"The dimension {name!r} is named twice.", hint="Keep one.", path=("dimensions", i))
    for name, values in meter.filter.items():
        if name not in meter.dimensions:
            message = f"The meter does not declare the dimension {name!r}."
            yield CatalogError(message, hint=nearest(name, meter.dimensions), path=("filter", name))
        if not values:
            message = f"No value of {name!r} is let through."
            yield CatalogError(message, hint="List those that count.", path=("filter", name))


def _check_own_fields(meter: Meter) -> Iterator[CatalogError]:
    for aggregation, field in AGGREGATION_FIELDS.items():
        given = getattr(meter, field) is not None
        if given and meter.aggregation != aggregation:
            hint = f"Remove it, or write aggregation: {aggregation}."
            yield CatalogError(f"{field} belongs to {aggregation}.", hint=hint, path=(field,))
        if not given and meter.aggregation == aggregation:
            yield CatalogError(f"{aggregation} needs {field}.", hint="Name a dimension.", path=(field,))
    for field, aggregation in (("max_session", "duration"), ("per", "weighted_sum")):
        if getattr(meter, field) is not None and meter.aggregation != aggregation:
            yield CatalogError(f"{field} belongs to {aggregation}.", hint="Remove it.", path=(field,))


def _check_sense(meter: Meter) -> Iterator[CatalogError]:
    """Fields that say nothing together."""
    if meter.window is not None and meter.has_lasting_usage:
        message = f"A {meter.aggregation} adds up over time: aggregated in windows it is the same."
        yield CatalogError(message, hint="Remove the window.", path=("window",))
    if meter.multiplier is not None and meter.aggregation in VALUELESS_AGGREGATIONS - {"duration"}:
        message = f"A {meter.aggregation} looks at no values that could be multiplied."
        yield CatalogError(message, hint="Remove it, or add the values: aggregation: sum.", path=("multiplier",))
    if meter.aggregation == "duration":
        for field in ("session_by", "multiplier"):
            other = meter.session_by if field == "multiplier" else None
            if getattr(meter, field) in {PHASE, other} - {None}:
                message = f"{getattr(meter, field)!r} says what starts and stops a session."
                yield CatalogError(message, hint="Name another dimension.", path=(field,))


_SINGLE_AGGREGATIONS = ("sum", "count")  # those to which rows that are no restatements add up


def _check_identity(meter: Meter) -> Iterator[CatalogError]:
    """What tells events apart."""
    if meter.identity_grain is not None and meter.deduplicate_by != "identity":
        message = "identity_grain says when timestamps are of one event; here they do not tell events apart."
        yield CatalogError(message, hint="Remove it, or deduplicate_by.", path=("identity_grain",))
    if meter.identity_grain is not None and meter.aggregation == "duration":
        message = "What starts and stops within an hour or a day would last no time."
        yield CatalogError(message, hint="Remove it.", path=("identity_grain",))
    if meter.deduplicate_by == "none":
        if meter.aggregation not in _SINGLE_AGGREGATIONS:
            message = f"deduplicate_by: none adds up rows; a {meter.aggregation} needs to know which are of one event."
            hint = f"Leave it out, or write aggregation: {' or '.join(_SINGLE_AGGREGATIONS)}."
            yield CatalogError(message, hint=hint, path=("deduplicate_by",))
        if meter.keep == "first":
            message = "Each row is an event of its own: there is no first report of it to keep."
            yield CatalogError(message, hint="Remove keep, or deduplicate_by: none.", path=("keep",))
