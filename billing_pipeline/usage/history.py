"""Every report of an event, losers too, in the order in which it was received, and which one won."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.usage.deduplicate import SUPERSEDED, Deliveries, events, grained, standing, status
from billing_pipeline.usage.engine import Engine, dimensions_of
from billing_pipeline.usage.event import DIMENSION_PREFIX, ROWS_PER_BATCH, LakeFile


@dataclass(frozen=True, slots=True)
class Report:
    """One report of an event.

    Attributes:
        batch: the batch that brought it.
        row: its place in the batch.
        status: accepted, superseded or retracted.
    """

    batch: int
    row: int
    timestamp: datetime
    value: Decimal
    event_id: str | None
    retract: bool
    dimensions: dict[str, str]
    status: str


def history(  # noqa: PLR0913 - what is asked, and where
    engine: Engine,
    files: Sequence[LakeFile],
    deliveries: Deliveries,
    customer: int,
    meter: tuple[int, Meter],
    *,
    timestamp: datetime | None = None,
    dimensions: Mapping[str, str] | None = None,
    event_id: str | None = None,
    starts: Mapping[date, datetime] | None = None,
) -> list[Report]:
    """All reports of the events of ``customer`` and ``meter`` (code and rule) that are named.

    Args:
        engine: reads.
        files: of the period that holds the event.
        deliveries: as for :func:`events`.
        customer: the ledger's code.
        meter: its code and its rule.
        timestamp: of the event; with ``dimensions`` left out, in whatever dimensions.
        dimensions: all of the event's; a value of '' is the same as none.
        event_id: in place of a timestamp.
        starts: the first instant of each period of the files.
    """
    reports = events(engine, files, deliveries, [customer])
    reports = grained(reports.filter(reports.meter == meter[0]), dict([meter]), starts or {})
    columns = (*reports.columns, "status")
    replaced = reports.filter(reports.replaced).mutate(status=ibis.literal(SUPERSEDED))
    stated = status(standing(reports), dict([meter])).select(columns).union(replaced.select(columns))
    named = _named(stated, timestamp, dimensions, event_id)
    if meter[1].identity_grain is not None:
        same = stated.filter(stated.timestamp.isin(named.timestamp))
        named = _named(same, None, dimensions, event_id)
    if meter[1].deduplicate_by == "event_id" and event_id is None:
        named = stated.filter(stated.event_id.isin(named.event_id) | stated.arrival.isin(named.arrival))
    return [_report(row) for row in engine.fetch(named.order_by("arrival")).to_pylist()]


def _named(
    stated: ir.Table, timestamp: datetime | None, dimensions: Mapping[str, str] | None, event_id: str | None
) -> ir.Table:
    if event_id is not None:
        stated = stated.filter(stated.event_id == event_id)
    if timestamp is not None:
        stated = stated.filter(stated.sent == timestamp)
    if dimensions is not None:
        wanted_values = {f"{DIMENSION_PREFIX}{name}": value for name, value in dimensions.items() if value}
        for column in dimensions_of(stated.columns):
            value = wanted_values.pop(column, None)
            stated = stated.filter(stated[column].isnull() if value is None else stated[column] == value)
        if wanted_values:  # a dimension that no event has
            return stated.limit(0)
    return stated


def _report(row: Mapping[str, Any]) -> Report:
    values = {name.removeprefix(DIMENSION_PREFIX): row[name] for name in dimensions_of(row)}
    batch, place = divmod(row["arrival"], ROWS_PER_BATCH)
    return Report(
        batch,
        place,
        timestamp=row["sent"],
        value=row["value"],
        event_id=row["event_id"],
        retract=row["retract"],
        dimensions={name: value for name, value in values.items() if value is not None},
        status=row["status"],
    )
