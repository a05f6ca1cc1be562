"""Counts: where every report of a customer and meter ended, and which accepted events no price looks at."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.measurement import Measurement, UsageCount
from billing_pipeline.usage.deduplicate import RETRACTED, as_of, status
from billing_pipeline.usage.engine import Engine

Pair = tuple[int, int]  # codes of customer and meter
Stretch = tuple[datetime, datetime]  # half-open

_PAIR = ["customer", "meter"]
_STRETCHES = pa.schema(
    [
        ("customer", pa.int32()),
        ("meter", pa.int16()),
        ("start", pa.timestamp("us", tz="UTC")),
        ("end", pa.timestamp("us", tz="UTC")),
    ]
)


def landed(engine: Engine, reports: ir.Table) -> dict[Pair, int]:
    """How many reports there are of each customer and meter."""
    return _by_pair(engine, reports.group_by(_PAIR).agg(figure=reports.count()))


def retracted(engine: Engine, reports: ir.Table, meters: Mapping[int, Meter]) -> dict[Pair, int]:
    """How many reports are retractions or were retracted; looks only at whom a retraction names."""
    now = as_of(reports)
    touched = now.filter(now.retract).select(_PAIR).distinct()
    stated = status(now.semi_join(touched, _PAIR), meters)
    return _by_pair(engine, stated.filter(stated.status == RETRACTED).group_by(_PAIR).agg(figure=ibis._.count()))


def accepted(engine: Engine, winners: ir.Table) -> dict[Pair, tuple[int, datetime, datetime]]:
    """How many events count for each customer and meter, and the first and last of their timestamps."""
    figures = winners.group_by(_PAIR).agg(
        figure=winners.count(), first=winners.timestamp.min(), last=winners.timestamp.max()
    )
    return {
        (row["customer"], row["meter"]): (row["figure"], row["first"], row["last"])
        for row in engine.fetch(figures).to_pylist()
    }


def covered(
    engine: Engine,
    winners: ir.Table,
    found: Mapping[Pair, tuple[int, datetime, datetime]],
    stretches: Mapping[Pair, Sequence[Stretch]],
) -> dict[Pair, int]:
    """How many accepted events lie in a measured stretch; asks the engine only where it is not plainly all or none."""
    figures: dict[Pair, int] = {}
    unsure: list[dict[str, object]] = []
    for pair, (figure, first, last) in found.items():
        touching = [(start, end) for start, end in stretches.get(pair, ()) if start <= last and first < end]
        if any(start <= first and last < end for start, end in touching):
            figures[pair] = figure
        else:
            customer, meter = pair
            unsure += [{"customer": customer, "meter": meter, "start": start, "end": end} for start, end in touching]
    if unsure:
        asked = ibis.memtable(pa.Table.from_pylist(unsure, _STRETCHES))
        inside = winners.join(
            asked, [*_PAIR, winners.timestamp >= asked.start, winners.timestamp < asked.end]
        )
        figures |= _by_pair(engine, inside.group_by(_PAIR).agg(figure=inside.count()))
    return figures


def measured_stretches(measurements: Iterable[Measurement], codes: Mapping[str, int]) -> dict[Pair, list[Stretch]]:
    """The stretches that are measured of each customer and meter, disjoint and in order."""
    asked: dict[Pair, set[Stretch]] = defaultdict(set)
    for each in measurements:
        asked[each.customer, codes[each.meter]].add((each.start, each.end))
    return {pair: _merged(stretches) for pair, stretches in asked.items()}


def _merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def usage_counts(
    engine: Engine,
    reports: ir.Table,
    winners: ir.Table,
    measurements: Iterable[Measurement],
    meters: Mapping[int, Meter],
    *,
    retractions: bool,
) -> list[UsageCount]:
    """The counts of all customers and meters that have reports, in the order of their codes."""
    arrived = landed(engine, reports)
    removed = retracted(engine, reports, meters) if retractions else {}
    found = accepted(engine, winners)
    codes = {meter.id: code for code, meter in meters.items()}
    inside = covered(engine, winners, found, measured_stretches(measurements, codes))
    counts = []
    for pair in sorted(arrived):
        figure = found[pair][0] if pair in found else 0
        gone = removed.get(pair, 0)
        counts.append(
            UsageCount(
                pair[0],
                meters[pair[1]].id,
                landed=arrived[pair],
                accepted=figure,
                superseded=arrived[pair] - figure - gone,
                retracted=gone,
                unpriced=figure - inside.get(pair, 0),
            )
        )
    return counts


def _by_pair(engine: Engine, figures: ir.Table) -> dict[Pair, int]:
    return {(row["customer"], row["meter"]): row["figure"] for row in engine.fetch(figures).to_pylist()}
