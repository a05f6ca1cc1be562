"""Reports -> events: of all reports with one event key, the one that counts.

The history of a key, in order of arrival, falls into segments; a retraction ends one. The live report of a segment is
its latest, or its first where the meter keeps the first. Of the last segment it is *accepted*; of a segment that a
retraction ended it is *retracted*, as is the retraction itself. All other reports are *superseded*.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.usage.engine import BATCH, PERIOD, Engine, dimensions_of
from billing_pipeline.usage.event import ROWS_PER_BATCH, LakeFile

ACCEPTED, SUPERSEDED, RETRACTED = "accepted", "superseded", "retracted"

# Batches of the deliveries of a snapshot scope, by the scope's code.
Deliveries = Mapping[int, Sequence[int]]

_REPLACED = pa.schema([("scope", pa.int32()), (BATCH, pa.int64()), ("replaced_at", pa.int64())])


def events(
    engine: Engine, files: Sequence[LakeFile], deliveries: Deliveries, customers: Collection[int] | None = None
) -> ir.Table:
    """Every report in ``files``, with its place in the one order of arrival.

    Args:
        engine: reads the files.
        files: what the manifest holds.
        deliveries: all deliveries of each snapshot scope, also those without rows.
        customers: whose reports, or None for all.

    Returns:
        The lake's columns, ``batch``, ``period`` and two more, both int64: ``arrival``, unique and increasing, and
        ``replaced_at``, the arrival from which on a newer delivery of its snapshot scope stands in its place; null
        where none does.
    """
    table = engine.read(files, customers)
    arrival = table[BATCH] * ROWS_PER_BATCH + table.row
    table = table.mutate(arrival=arrival)
    replaced = _replaced(deliveries, {file.batch for file in files})
    if not replaced.num_rows:
        return table.mutate(replaced_at=ibis.null("int64"))
    return table.left_join(ibis.memtable(replaced), ["scope", BATCH]).select(*table.columns, "replaced_at")


def _replaced(deliveries: Deliveries, batches: Collection[int]) -> pa.Table:
    """For each scope and batch, the arrival from which on the next delivery of the scope stands in its place."""
    rows = [
        {"scope": scope, BATCH: batch, "replaced_at": newer[bisect_right(newer, batch)] * ROWS_PER_BATCH}
        for scope, newer in ((scope, sorted(batches)) for scope, batches in deliveries.items())
        for batch in batches
        if newer and batch < newer[-1]
    ]
    return pa.Table.from_pylist(rows, _REPLACED)


def as_of(reports: ir.Table, before_arrival: ir.IntegerValue | int | None = None) -> ir.Table:
    """What stood at an arrival: received before it, and in no delivery that was replaced before it."""
    if before_arrival is None:
        return reports.filter(reports.replaced_at.isnull())
    received = reports.arrival < before_arrival
    standing = reports.replaced_at.isnull() | (reports.replaced_at >= before_arrival)
    return reports.filter(received, standing)


def deduplicate(
    reports: ir.Table, meters: Mapping[int, Meter], *, retractions: bool = True, within: Sequence[str] = ()
) -> ir.Table:
    """The accepted reports.

    Args:
        reports: as :func:`events` gives them, as of one arrival.
        meters: by code; a meter that is not among them keeps the latest by identity.
        retractions: whether there may be any; a plain aggregation is enough where there are none.
        within: further columns that keep histories apart, e.g. of several instants that are looked at in one go.

    Returns:
        One row per event key, with the columns ``within``, customer, meter, timestamp, value, arrival and dimensions.
    """
    special = _special(meters)
    columns = _winner_columns(reports, within)
    latest = _latest(reports.filter(reports.meter.notin(special)) if special else reports, within, retractions)
    if not special:
        return latest.select(columns)
    stated = status(reports.filter(reports.meter.isin(special)), meters, retractions=retractions, within=within)
    return latest.select(columns).union(stated.filter(stated.status == ACCEPTED).select(columns))


def status(
    reports: ir.Table, meters: Mapping[int, Meter], *, retractions: bool = True, within: Sequence[str] = ()
) -> ir.Table:
    """Every report with its ``status``: accepted, superseded or retracted. The rule itself, for any meter.

    Args and columns as of :func:`deduplicate`.
    """
    keyed, key = _keyed(reports, meters, within)
    if retractions:
        before = ibis.window(group_by=key, order_by="arrival", preceding=(None, 1))
        segment = keyed.retract.cast("int32").sum().over(before).fill_null(0)
        keyed, key = keyed.mutate(segment=segment), [*key, "segment"]
    segments = ibis.window(group_by=key)
    report = keyed.retract.ifelse(ibis.null("int64"), keyed.arrival)
    keep_first = [code for code, meter in meters.items() if meter.keep == "first"]
    latest = report.max().over(segments)
    live = keyed.meter.isin(keep_first).ifelse(report.min().over(segments), latest) if keep_first else latest
    keyed = keyed.mutate(live=live, ended=keyed.retract.any().over(segments))
    is_live = keyed.live == keyed.arrival
    stated = ibis.cases(
        (keyed.retract | (is_live.fill_null(False) & keyed.ended), RETRACTED),  # noqa: FBT003 - ibis has no other way
        (is_live, ACCEPTED),
        else_=SUPERSEDED,
    )
    return keyed.mutate(status=stated).select(*reports.columns, "status")


def _latest(reports: ir.Table, within: Sequence[str], retractions: bool) -> ir.Table:  # noqa: FBT001 - private
    """The rule for meters that keep the latest by identity: the last report, unless it is a retraction."""
    key = [*within, "customer", "meter", "timestamp", *dimensions_of(reports.columns)]
    measures = {"value": reports.value.argmax(reports.arrival), "arrival": reports.arrival.max()}
    if not retractions:
        return reports.group_by(key).agg(**measures)
    last = reports.group_by(key).agg(**measures, retract=reports.retract.argmax(reports.arrival))
    return last.filter(~last.retract)


def _keyed(reports: ir.Table, meters: Mapping[int, Meter], within: Sequence[str]) -> tuple[ir.Table, list[str]]:
    """The event key as columns: either timestamp and dimensions or event_id and period; the others are null.

    An event without an event_id came before its meter asked for one: it keeps its identity, so that it is not lost.
    """
    by_event_id = [code for code, meter in meters.items() if meter.deduplicate_by == "event_id"]
    dimensions = dimensions_of(reports.columns)
    if not by_event_id:
        return reports, [*within, "customer", "meter", "timestamp", *dimensions]
    identified = reports.meter.isin(by_event_id) & reports.event_id.notnull()
    parts = {
        "key_timestamp": identified.ifelse(ibis.null("timestamp('UTC')"), reports.timestamp),
        "key_event_id": identified.ifelse(reports.event_id, ibis.null("string")),
        "key_period": identified.ifelse(reports[PERIOD], ibis.null("date")),
        **{f"key_{name}": identified.ifelse(ibis.null("string"), reports[name]) for name in dimensions},
    }
    return reports.mutate(**parts), [*within, "customer", "meter", *parts]


def _special(meters: Mapping[int, Meter]) -> list[int]:
    """Meters for which the latest report of an identity is not the answer."""
    return [code for code, meter in meters.items() if meter.keep == "first" or meter.deduplicate_by == "event_id"]


def _winner_columns(reports: ir.Table, within: Sequence[str]) -> list[str]:
    return [*within, "customer", "meter", "timestamp", "value", "arrival", *dimensions_of(reports.columns)]
