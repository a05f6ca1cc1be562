"""Counts of usage: where every report of a customer and meter ended, and which events no measurement looks at."""

from collections.abc import Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.aggregations.duration import waiting_stops
from billing_pipeline.metering.measurement import UsageCount
from billing_pipeline.metering.questions import PAIR
from billing_pipeline.usage.deduplicate import RETRACTED, as_of, status
from billing_pipeline.usage.engine import Engine

_FIGURES = ("landed", "accepted", "retracted", "measured", "pending")


def usage_counts(
    engine: Engine,
    reports: ir.Table,
    accepted: ir.Table,
    questions: ir.Table,
    meters: Mapping[int, Meter],
    *,
    retractions: bool,
) -> list[UsageCount]:
    """The counts of all customers and meters that have reports, in the order of their codes.

    Args:
        engine: computes.
        reports: all that landed.
        accepted: the events accepted now, and those of earlier periods that may last into this one.
        questions: customer, meter, start, end of what is measured.
        meters: by code.
        retractions: whether there may be any.
    """
    own = accepted.filter(~accepted.earlier)
    figures = [
        reports.group_by(PAIR).agg(landed=reports.count()),
        own.group_by(PAIR).agg(accepted=own.count()),
        _measured(own, questions),
    ]
    figures += [_retracted(reports, meters)] if retractions else []
    sessions = {code: meter for code, meter in meters.items() if meter.aggregation == "duration"}
    figures += [_pending(accepted, own, sessions)] if sessions else []
    table = figures[0]
    for figure in figures[1:]:
        table = table.left_join(figure, PAIR).drop("customer_right", "meter_right")
    rows = engine.fetch(table.order_by(PAIR)).to_pylist()
    return [_count(row, meters[row["meter"]].id) for row in rows]


def _count(row: Mapping[str, Any], meter: str) -> UsageCount:
    landed, accepted, retracted, measured, pending = (row.get(name) or 0 for name in _FIGURES)
    superseded = landed - accepted - retracted
    unpriced = accepted - measured
    return UsageCount(row["customer"], meter, landed, accepted, superseded, retracted, unpriced, pending)


def _retracted(reports: ir.Table, meters: Mapping[int, Meter]) -> ir.Table:
    """The reports that are retractions or were retracted; looks only at those whom a retraction names."""
    now = as_of(reports)
    touched = now.filter(now.retract).select(PAIR).distinct()
    stated = status(now.semi_join(touched, PAIR), meters)
    gone = stated.filter(stated.status == RETRACTED)
    return gone.group_by(PAIR).agg(retracted=gone.count())


def _pending(accepted: ir.Table, own: ir.Table, sessions: Mapping[int, Meter]) -> ir.Table:
    """How many instants of the period stop a session that nothing has started, in it or before."""
    stops = [waiting_stops(accepted.filter(accepted.meter == code), meter) for code, meter in sessions.items()]
    waiting = ibis.union(*stops) if len(stops) > 1 else stops[0]
    instants = own.select(*PAIR, "timestamp").distinct()
    return waiting.semi_join(instants, [*PAIR, "timestamp"]).group_by(PAIR).agg(pending=ibis._.count())


def _measured(own: ir.Table, questions: ir.Table) -> ir.Table:
    """How many accepted events lie in a measured stretch of time."""
    stretch = _stretches(questions)
    inside = own.join(stretch, [*PAIR, own.timestamp >= stretch.start, own.timestamp < stretch.end])
    return inside.group_by(PAIR).agg(measured=inside.count())


def _stretches(questions: ir.Table) -> ir.Table:
    """What is measured of each customer and meter, merged into stretches that do not overlap.

    Cut points ask for one stretch many times over, each a little longer; an event must be counted once: of [1, 5),
    [1, 10) and [12, 20) remain [1, 10) and [12, 20).
    """
    stretches = questions.select(*PAIR, "start", "end").distinct()
    # One stands apart where it begins after the end of all that begin before it; those until the next such are its own.
    before = ibis.window(group_by=PAIR, order_by=["start", "end"], preceding=(None, 1))
    apart = (stretches.start > stretches["end"].max().over(before)).fill_null(True)  # noqa: FBT003 - ibis has no other way
    stretches = stretches.mutate(apart=apart)
    so_far = ibis.window(group_by=PAIR, order_by=["start", "end"], preceding=None, following=0)
    stretches = stretches.mutate(number=stretches.apart.cast("int32").sum().over(so_far))
    merged = stretches.group_by(*PAIR, "number").agg(start=stretches.start.min(), end=stretches["end"].max())
    return merged.drop("number")
