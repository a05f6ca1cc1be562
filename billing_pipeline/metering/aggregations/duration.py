"""Duration: the seconds of sessions, from starts to stops that share a value of ``session_by``.

The dimension ``phase`` says ``start`` or ``stop``. A session runs from its start to the next event of its key: a stop,
or another start, which begins the next session. So it does not matter whether starts are repeated, nor in which order
or batches events arrive. Of a start and a stop at one instant the stop belongs to the session that is open; where none
is, the two are a session of no length. Of several starts at one instant the one received last counts.

Everything else of a session is its start's: filter, dimensions and multiplier (the GB of GB-seconds) look at the start,
and a stop needs nothing but its key. ``max_session`` ends a session; its days have 24 hours.
"""

from datetime import timedelta

import ibis
import ibis.expr.types as ir

from billing_pipeline.catalog.meter import PHASE, START, STOP, Meter
from billing_pipeline.metering.aggregations.aggregation import Spans
from billing_pipeline.usage.event import VALUE_PRECISION, VALUE_SCALE, dimension_column

_SECOND = 10**6  # microseconds: durations are in seconds
_ONE = f"decimal({VALUE_PRECISION}, {VALUE_SCALE})"


def sessions(events: ir.Table, meter: Meter) -> ir.Table:
    """A session for each start: it lasts until the next event of its key."""
    marked, instants = _instants(events, meter)
    # What starts and stops at once while nothing is open has no length.
    until = instants.opens.ifelse(instants.following, instants.timestamp)
    starts = instants.filter(instants.starts).select("arrival", until=until)
    ends_by = ibis.null("timestamp('UTC')")
    if meter.max_session is not None:
        longest = timedelta(days=meter.max_session.days, hours=meter.max_session.hours)
        ends_by = marked.timestamp + ibis.interval(seconds=int(longest.total_seconds()))
    spans = marked.mutate(value=ibis.literal(1).cast(_ONE), ends_by=ends_by)
    return spans.join(starts, "arrival").select(*spans.columns, "until")


def waiting_stops(events: ir.Table, meter: Meter) -> ir.Table:
    """Instants at which a session stops that is not known to have started: customer, meter, timestamp."""
    _, instants = _instants(events, meter)
    waiting = instants.filter(instants.stops, ~instants.starts, ~instants.opened)
    return waiting.select("customer", "meter", "timestamp")


def _instants(events: ir.Table, meter: Meter) -> tuple[ir.Table, ir.Table]:
    """The events that start or stop a session; and a row per key and instant.

    ``opens`` says whether a session is open after it, ``opened`` whether one was before; ``arrival`` is the start's. A
    start and a stop at once leave that as it was; so the last instant that had only one of them decides.
    """
    assert meter.session_by is not None, "the catalog requires session_by"  # noqa: S101 - our own mistake
    session, phase = events[dimension_column(meter.session_by)], events[dimension_column(PHASE)]
    marked = events.filter(session.notnull(), phase.isin([START, STOP]))
    is_start = marked[dimension_column(PHASE)] == START
    key = ["customer", "meter", dimension_column(meter.session_by)]
    instants = marked.group_by([*key, "timestamp"]).agg(
        starts=is_start.any(), stops=(~is_start).any(), arrival=marked.arrival.max(where=is_start)
    )
    # An instant with a start and a stop leaves things as they were, so it joins the run of the last one that had only a
    # start or only a stop; if that was a start, a session is open after it. Start 10:00, start and stop 10:05, stop
    # 10:15: the runs are {10:00, 10:05} and {10:15}; one session ends at 10:05, where another begins, to end at 10:15.
    in_order = ibis.window(group_by=key, order_by="timestamp")
    so_far = ibis.window(group_by=key, order_by="timestamp", preceding=None, following=0)
    decides = instants.starts != instants.stops
    instants = instants.mutate(
        following=instants.timestamp.lead().over(in_order), run=decides.cast("int64").sum().over(so_far)
    )
    decided = (instants.starts & ~instants.stops).any().over(ibis.window(group_by=[*key, "run"]))
    instants = instants.mutate(opens=decided)
    return marked, instants.mutate(opened=instants.opens.lag().over(in_order).fill_null(False))  # noqa: FBT003


duration = Spans(sessions, lambda _: _SECOND, provisional=True, by_series=False)
