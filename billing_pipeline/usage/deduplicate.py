"""Reports of usage events -> events: of all reports with one event key, the one that counts.

An event key is customer, meter, timestamp and dimensions; or, for a meter with ``deduplicate_by: event_id``, customer,
meter, event_id and period; with ``deduplicate_by: none`` each report is an event of its own. Say acme used the meter
``requests`` on 2026-01-10 at 09:00 in the region eu, and four reports of it were received:

    batch 7, received 2026-01-10:  100              superseded  a newer report stands in its place
    batch 9, received 2026-01-12:  120              retracted   it counted, until it was taken back
    batch 12, received 2026-01-15: a retraction     retracted   it takes back what counted, and counts nothing itself
    batch 15, received 2026-01-20:  90              accepted    what was taken back may be reported anew

Before batch 12 was received 120 counted; from then on nothing did, until 90 was received. Four reports landed: one is
accepted, one superseded, two are retracted; nothing is lost.

The rule behind it: the history of a key, in the order of arrival, falls into *segments*; a retraction ends one (here
batches 7 to 12, and batch 15). The *live* report of a segment is its latest (batch 9), or its first where the meter
keeps the first (then 100 of batch 7 is retracted and 120 of batch 9 superseded). The live report of the last segment is
accepted; that of a segment that a retraction ended is retracted, as is the retraction itself. All others are
superseded.

A snapshot's delivery stands in the place of all earlier deliveries of its scope: if batch 20 restates what batch 7 was
about, the reports of batch 7 are *replaced*, also where batch 20 does not name the event any more. Replaced reports are
put aside first (:func:`standing`); the rule above looks at those that stand. So are those of a batch that another one
replaced as a whole. What was known as of a batch is found by giving only the files and deliveries through it.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.usage.engine import BATCH, PERIOD, Engine, dimensions_of
from billing_pipeline.usage.event import ROWS_PER_BATCH, LakeFile

ACCEPTED, SUPERSEDED, RETRACTED = "accepted", "superseded", "retracted"

# Batches of the deliveries of a snapshot scope, by the scope's code. A batch that another one replaced as a whole is a
# scope of its own, by its number below zero: {-7: [7, 20]}, where 20 stands in the place of 7.
Deliveries = Mapping[int, Sequence[int]]

_REPLACED = pa.schema([("scope", pa.int32()), (BATCH, pa.int64())])


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
        The lake's columns, ``batch``, ``period`` and two more: ``arrival`` (int64), unique and increasing, and
        ``replaced``, whether a newer delivery of its snapshot scope stands in its place.
    """
    table = engine.read(files, customers)
    arrival = table[BATCH] * ROWS_PER_BATCH + table.row
    table = table.mutate(arrival=arrival)
    batches = {file.batch for file in files}
    whole = table[BATCH].isin(sorted({-scope for scope in deliveries if scope < 0} & batches))
    replaced = _replaced(deliveries, batches)
    if not replaced.num_rows:
        return table.mutate(replaced=whole)
    joined = table.left_join(ibis.memtable(replaced), ["scope", BATCH])
    return joined.select(*table.columns, replaced=joined[f"{BATCH}_right"].notnull() | whole)


def _replaced(deliveries: Deliveries, batches: Collection[int]) -> pa.Table:
    """The scope and batch of deliveries in whose place a newer one of the scope stands."""
    # Of a scope with the deliveries 7, 20 and 25 only 25 stands. The newest need not have rows in these files: an empty
    # delivery replaces, too. Pairs of a scope with a batch of another scope do no harm: no report joins with them.
    newest = {scope: max(of_scope) for scope, of_scope in deliveries.items() if of_scope and scope > 0}
    rows = [{"scope": scope, BATCH: batch} for scope, last in newest.items() for batch in batches if batch < last]
    return pa.Table.from_pylist(rows, _REPLACED)


def standing(reports: ir.Table) -> ir.Table:
    """Reports of deliveries that no newer one replaced."""
    return reports.filter(~reports.replaced)


def grained(reports: ir.Table, meters: Mapping[int, Meter], starts: Mapping[date, datetime]) -> ir.Table:
    """Reports with the timestamps that count, and ``sent``, as they were sent.

    Of a meter with ``identity_grain: hour``, 10:05 and 10:35 are 10:00, and one event. A UTC day that began before the
    billing period counts as the period's first instant.

    Args:
        reports: as :func:`events` gives them.
        meters: by code.
        starts: the first instant of each period that has reports.
    """
    counts = reports.timestamp
    for grain, unit in (("hour", "h"), ("day", "D")):
        codes = [code for code, meter in meters.items() if meter.identity_grain == grain]
        if codes and starts:
            first = ibis.cases(*((reports[PERIOD] == day, _instant(start)) for day, start in sorted(starts.items())))
            counts = reports.meter.isin(codes).ifelse(ibis.greatest(reports.timestamp.truncate(unit), first), counts)
    return reports.mutate(timestamp=counts, sent=reports.timestamp)


def _instant(at: datetime) -> ir.TimestampValue:
    return ibis.literal(at, "timestamp('UTC')")


def deduplicate(
    reports: ir.Table, meters: Mapping[int, Meter], *, retractions: bool = True, within: Sequence[str] = ()
) -> ir.Table:
    """The accepted reports.

    Args:
        reports: as :func:`standing` gives them.
        meters: by code; a meter that is not among them keeps the latest by identity.
        retractions: whether there may be any; a plain aggregation is enough where there are none.
        within: further columns that keep histories apart, e.g. of several instants that are looked at in one go.

    Returns:
        One row per event key, with the columns ``within``, customer, meter, timestamp, value, arrival and dimensions.
    """
    # Nearly all meters keep the latest report by identity, for which one aggregation is enough: no report is compared
    # with its neighbours. Only those of the other meters take the slow way through windows.
    special, single = _special(meters), _single(meters)
    columns, others = _winner_columns(reports, within), [*special, *single]
    accepted = _latest(reports.filter(reports.meter.notin(others)) if others else reports, within, retractions)
    accepted = accepted.select(columns)
    if special:
        stated = status(reports.filter(reports.meter.isin(special)), meters, retractions=retractions, within=within)
        accepted = accepted.union(stated.filter(stated.status == ACCEPTED).select(columns))
    if single:
        accepted = accepted.union(reports.filter(reports.meter.isin(single) & ~reports.retract).select(columns))
    return accepted


def status(
    reports: ir.Table, meters: Mapping[int, Meter], *, retractions: bool = True, within: Sequence[str] = ()
) -> ir.Table:
    """Every report with its ``status``: accepted, superseded or retracted. The rule itself, for any meter.

    Args and columns as of :func:`deduplicate`.
    """
    keyed, key = _segmented(reports, meters, within, retractions)
    # The live arrival is looked for among reports alone, a retraction counting as null; a segment of nothing but a
    # retraction has none. ``ended`` is true of every report of a segment with a retraction in it.
    segments = ibis.window(group_by=key)
    report = keyed.retract.ifelse(ibis.null("int64"), keyed.arrival)
    keep_first = [code for code, meter in meters.items() if meter.keep == "first"]
    latest = report.max().over(segments)
    live = keyed.meter.isin(keep_first).ifelse(report.min().over(segments), latest) if keep_first else latest
    keyed = keyed.mutate(live=live, ended=keyed.retract.any().over(segments))
    # Retracted are the retraction and the live report that it took back; in a segment that nothing ended the live one
    # counts. Where there is no live report the comparison is null, and must not make the status null as well.
    is_live = keyed.live == keyed.arrival
    stated = ibis.cases(
        (keyed.retract | (is_live.fill_null(False) & keyed.ended), RETRACTED),  # noqa: FBT003 - ibis has no other way
        (is_live, ACCEPTED),
        else_=SUPERSEDED,
    )
    return keyed.mutate(status=stated).select(*reports.columns, "status")


def repeated(
    reports: ir.Table, meters: Mapping[int, Meter], *, retractions: bool = True, within: Sequence[str] = ()
) -> ir.Table:
    """Events that were reported more than once with nothing taken back between the reports.

    Args as of :func:`deduplicate`; the reports are :func:`grained`.

    Returns:
        A row each, with the columns ``within``, customer and meter, and of its reports: ``reports``, how many;
        ``differ``, whether not all say the same; ``last``, the value of the latest, with its ``arrival``; and
        ``highest``, the highest value.
    """
    keyed, key = _segmented(reports, meters, within, retractions)
    keyed = keyed.filter(~keyed.retract)
    # An absent text and an empty one are the same; null alone would not be counted as a value of its own.
    texts = [keyed[name].fill_null("") for name in ("event_id", *dimensions_of(reports.columns))]
    said = [keyed.sent, keyed["value"], *texts]
    counted = keyed.group_by(key).agg(
        reports=keyed.count(),
        differ=ibis.or_(*(column.nunique() > 1 for column in said)),
        last=keyed["value"].argmax(keyed.arrival),
        last_arrival=keyed.arrival.max(),
        highest=keyed["value"].max(),
    )
    several = counted.filter(counted.reports > 1)
    figures = {name: several[name] for name in ("reports", "differ", "last", "highest")}
    return several.select(*within, "customer", "meter", **figures, arrival=several.last_arrival)


def _segmented(
    reports: ir.Table,
    meters: Mapping[int, Meter],
    within: Sequence[str],
    retractions: bool,  # noqa: FBT001 - private
) -> tuple[ir.Table, list[str]]:
    """The segments that retractions cut an event's history into, as columns."""
    # A report's segment is the number of retractions of its key before it: the retraction itself still belongs to the
    # segment that it ends. Before the first report of a key the window is empty and its sum null.
    of_keys, key = keyed(reports, meters, within)
    if not retractions:
        return of_keys, key
    before = ibis.window(group_by=key, order_by="arrival", preceding=(None, 1))
    segment = of_keys.retract.cast("int32").sum().over(before).fill_null(0)
    return of_keys.mutate(segment=segment), [*key, "segment"]


def _latest(reports: ir.Table, within: Sequence[str], retractions: bool) -> ir.Table:  # noqa: FBT001 - private
    """The rule for meters that keep the latest by identity: the last report, unless it is a retraction."""
    key = [*within, "customer", "meter", "timestamp", *dimensions_of(reports.columns)]
    measures = {"value": reports.value.argmax(reports.arrival), "arrival": reports.arrival.max()}
    if not retractions:
        return reports.group_by(key).agg(**measures)
    last = reports.group_by(key).agg(**measures, retract=reports.retract.argmax(reports.arrival))
    return last.filter(~last.retract)


def keyed(reports: ir.Table, meters: Mapping[int, Meter], within: Sequence[str] = ()) -> tuple[ir.Table, list[str]]:
    """The event key as columns: either timestamp and dimensions or event_id and period; the others are null.

    Where each report is an event of its own, its arrival is part of the key.

    An event without an event_id came before its meter asked for one: it keeps its identity, so that it is not lost.
    """
    by_event_id = [code for code, meter in meters.items() if meter.deduplicate_by == "event_id"]
    dimensions, single = dimensions_of(reports.columns), _single(meters)
    if not by_event_id and not single:
        return reports, [*within, "customer", "meter", "timestamp", *dimensions]
    # All meters share the key's columns, so that one window serves them: an identified event has nulls for timestamp
    # and dimensions, any other has nulls for event_id and period. The period is in the key because files are read by
    # period: an id used again in another month would otherwise be the same event there, and not be found here.
    identified = reports.meter.isin(by_event_id) & reports.event_id.notnull()
    parts = {
        "key_timestamp": identified.ifelse(ibis.null("timestamp('UTC')"), reports.timestamp),
        "key_event_id": identified.ifelse(reports.event_id, ibis.null("string")),
        "key_period": identified.ifelse(reports[PERIOD], ibis.null("date")),
        "key_arrival": reports.meter.isin(single).ifelse(reports.arrival, ibis.null("int64")),
        **{f"key_{name}": identified.ifelse(ibis.null("string"), reports[name]) for name in dimensions},
    }
    return reports.mutate(**parts), [*within, "customer", "meter", *parts]


def _special(meters: Mapping[int, Meter]) -> list[int]:
    """Meters for which the latest report of an identity is not the answer."""
    return [
        code
        for code, meter in meters.items()
        if meter.deduplicate_by != "none" and (meter.keep == "first" or meter.deduplicate_by == "event_id")
    ]


def _single(meters: Mapping[int, Meter]) -> list[int]:
    """Meters to which each report is an event of its own."""
    return [code for code, meter in meters.items() if meter.deduplicate_by == "none"]


def _winner_columns(reports: ir.Table, within: Sequence[str]) -> list[str]:
    return [*within, "customer", "meter", "timestamp", "value", "arrival", *dimensions_of(reports.columns)]
