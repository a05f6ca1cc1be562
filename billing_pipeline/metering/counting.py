"""Counts: where every report of a customer and meter ended, and which accepted events no measurement looks at."""

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.aggregations.duration import waiting_stops
from billing_pipeline.metering.measurement import UsageCount
from billing_pipeline.usage.deduplicate import RETRACTED, as_of, status
from billing_pipeline.usage.engine import Engine

_PAIR = ["customer", "meter"]
_FIGURES = ("landed", "accepted", "retracted", "measured", "pending")


def usage_counts(
    engine: Engine,
    reports: ir.Table,
    winners: ir.Table,
    questions: ir.Table,
    meters: Mapping[int, Meter],
    *,
    retractions: bool,
) -> list[UsageCount]:
    """The counts of all customers and meters that have reports, in the order of their codes.

    Args:
        engine: computes.
        reports: all that landed.
        winners: those accepted now, and what is carried from earlier periods.
        questions: customer, meter, start, end of what is measured.
        meters: by code.
        retractions: whether there may be any.
    """
    carried = winners
    winners = winners.filter(~winners.carried)
    figures = [
        reports.group_by(_PAIR).agg(landed=reports.count()),
        winners.group_by(_PAIR).agg(accepted=winners.count()),
        _measured(winners, questions),
    ]
    figures += [_retracted(reports, meters)] if retractions else []
    sessions = {code: meter for code, meter in meters.items() if meter.aggregation == "duration"}
    figures += [_pending(carried, winners, sessions)] if sessions else []
    table = figures[0]
    for figure in figures[1:]:
        table = table.left_join(figure, _PAIR).drop("customer_right", "meter_right")
    rows = engine.fetch(table.order_by(_PAIR)).to_pydict()
    nothing = [0] * len(rows["landed"])
    columns = zip(*(rows[name] for name in _PAIR), *(rows.get(name, nothing) for name in _FIGURES), strict=True)
    return [
        _count(customer, meters[meter].id, *(figure or 0 for figure in found)) for customer, meter, *found in columns
    ]


def _count(
    customer: int, meter: str, landed: int, accepted: int, retracted: int, measured: int, pending: int
) -> UsageCount:
    superseded = landed - accepted - retracted
    return UsageCount(customer, meter, landed, accepted, superseded, retracted, accepted - measured, pending)


def _retracted(reports: ir.Table, meters: Mapping[int, Meter]) -> ir.Table:
    """How many reports are retractions or were retracted; looks only at those whom a retraction names."""
    now = as_of(reports)
    touched = now.filter(now.retract).select(_PAIR).distinct()
    stated = status(now.semi_join(touched, _PAIR), meters)
    gone = stated.filter(stated.status == RETRACTED)
    return gone.group_by(_PAIR).agg(retracted=gone.count())


def _pending(carried: ir.Table, winners: ir.Table, sessions: Mapping[int, Meter]) -> ir.Table:
    """How many instants of the period stop a session that nothing has started, in it or before."""
    stops = [waiting_stops(carried.filter(carried.meter == code), meter) for code, meter in sessions.items()]
    waiting = ibis.union(*stops) if len(stops) > 1 else stops[0]
    own = winners.select(*_PAIR, "timestamp").distinct()
    return waiting.semi_join(own, [*_PAIR, "timestamp"]).group_by(_PAIR).agg(pending=ibis._.count())


def _measured(winners: ir.Table, questions: ir.Table) -> ir.Table:
    """How many accepted events lie in a measured stretch of time."""
    stretch = _stretches(questions)
    inside = winners.join(stretch, [*_PAIR, winners.timestamp >= stretch.start, winners.timestamp < stretch.end])
    return inside.group_by(_PAIR).agg(measured=inside.count())


def _stretches(questions: ir.Table) -> ir.Table:
    """What is measured of each customer and meter, merged into stretches that do not overlap.

    Cut points ask for one stretch many times over, each a little longer; an event must be counted once.
    """
    asked = questions.select(*_PAIR, "start", "end").distinct()
    earlier = ibis.window(group_by=_PAIR, order_by=["start", "end"], preceding=(None, 1))
    asked = asked.mutate(apart=(asked.start > asked["end"].max().over(earlier)).fill_null(True))  # noqa: FBT003
    so_far = ibis.window(group_by=_PAIR, order_by=["start", "end"], preceding=None, following=0)
    asked = asked.mutate(stretch=asked.apart.cast("int32").sum().over(so_far))
    merged = asked.group_by(*_PAIR, "stretch").agg(start=asked.start.min(), end=asked["end"].max())
    return merged.drop("stretch")
