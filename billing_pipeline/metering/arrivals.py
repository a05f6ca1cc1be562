"""Arrivals: what each report changes in the order of receipt, for prices that on demand look at every one.

A key has three reports: 10, restated as 12, then taken back. Its steps are +10 at the first arrival, −10 and +12 at the
second, −12 at the third, whatever window each is in. Read are the reports of the events that something new is said
about, and no others; they are few, and plain Python plays them one by one.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

import ibis
import pyarrow as pa

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.money import EXACT
from billing_pipeline.metering.measurement import NO_NUMBER, Measurement, Step
from billing_pipeline.usage.deduplicate import Deliveries, events, grained, keyed
from billing_pipeline.usage.engine import BATCH, Engine
from billing_pipeline.usage.event import ROWS_PER_BATCH, LakeFile, dimension_column

Combination = tuple[tuple[str, str], ...]  # names and values of the dimensions that a price tells apart
Steps = Mapping[tuple[int, Combination], list[Step]]  # by number of the measurement


@dataclass(frozen=True, slots=True)
class _Report:
    """A report of an event.

    Attributes:
        dies: the arrival from which a later delivery stands in its place as a whole; None: none does.
    """

    arrival: int
    timestamp: datetime
    value: Decimal
    retract: bool
    dimensions: Mapping[str, str]
    dies: int | None


def arrivals(
    engine: Engine,
    files: Sequence[LakeFile],
    deliveries: Deliveries,
    measurements: Sequence[tuple[Measurement, int]],
    meters: Mapping[str, Meter],
    meter_codes: Mapping[str, int],
    starts: Mapping[date, datetime],
) -> Steps:
    """What arrived for each measurement after a batch, in order.

    Args:
        engine: reads.
        files: of the periods in which something arrived, through the last batch.
        deliveries: as for :func:`~billing_pipeline.usage.deduplicate.events`.
        measurements: each with the last batch that it knows already.
        meters: all meters, by id.
        meter_codes: the ledger's codes of them.
        starts: the first instant of each period of the files.
    """
    asked: dict[tuple[int, int], list[tuple[Measurement, int]]] = defaultdict(list)
    for measurement, after in measurements:
        asked[measurement.customer, meter_codes[measurement.meter]].append((measurement, after))
    by_code = {meter_codes[name]: meter for name, meter in meters.items() if name in meter_codes}
    found: dict[tuple[int, Combination], list[Step]] = defaultdict(list)
    for (customer, code), history in _histories(engine, files, deliveries, asked, by_code, starts):
        meter = by_code[code]
        for arrival, old, new in _transitions(history, meter):
            for measurement, after in asked[customer, code]:
                if arrival < (after + 1) * ROWS_PER_BATCH:
                    continue
                for report, counts in ((old, False), (new, True)):
                    if report is not None and _counts(report, measurement, meter):
                        step = Step(arrival, report.arrival, _value(report, measurement, meter), counts)
                        found[measurement.number, _combination(report, measurement)].append(step)
    return {
        key: sorted(steps, key=lambda step: (step.arrival, step.counts, step.event)) for key, steps in found.items()
    }


_Asked = Mapping[tuple[int, int], Sequence[tuple[Measurement, int]]]
_AFTER = pa.schema([("customer", pa.int32()), ("meter", pa.int16()), ("known", pa.int64())])


def _histories(
    engine: Engine,
    files: Sequence[LakeFile],
    deliveries: Deliveries,
    asked: _Asked,
    meters: Mapping[int, Meter],
    starts: Mapping[date, datetime],
) -> Iterator[tuple[tuple[int, int], list[_Report]]]:
    """The reports of each event that something is new about, in the order of arrival."""
    reports = grained(events(engine, files, deliveries, sorted({customer for customer, _ in asked})), meters, starts)
    known = [
        {"customer": customer, "meter": meter, "known": min(after for _, after in same)}
        for (customer, meter), same in asked.items()
    ]
    reports = reports.inner_join(ibis.memtable(pa.Table.from_pylist(known, _AFTER)), ["customer", "meter"])
    of_keys, key = keyed(reports, meters)
    # What a delivery replaced may have been replaced since: which one did is looked at row by row below.
    new = (of_keys[BATCH] > of_keys.known) | of_keys.replaced
    of_keys = of_keys.mutate(new=new.cast("int32").max().over(ibis.window(group_by=key)))
    rows = engine.fetch(of_keys.filter(of_keys.new == 1).order_by("arrival")).to_pylist()
    by_key: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_key[tuple(row[name] for name in key)].append(row)
    prefix = dimension_column("")
    for same in by_key.values():
        deaths = _deaths(same, deliveries)
        history = [
            _Report(
                row["arrival"], row["timestamp"], row["value"], row["retract"],
                {name.removeprefix(prefix): text for name, text in row.items() if name.startswith(prefix) and text},
                dies,
            )
            for row, dies in zip(same, deaths, strict=True)
        ]  # fmt: skip
        yield (same[0]["customer"], same[0]["meter"]), history


def _deaths(rows: Sequence[Mapping[str, Any]], deliveries: Deliveries) -> list[int | None]:
    """For each report of an event, the arrival from which another delivery stands in its place.

    Where that delivery restates the event, it is the restatement's; else the delivery's own, before its first row.
    """
    deaths: list[int | None] = []
    for row in rows:
        of_scope = [*deliveries.get(row["scope"], ())] if row["scope"] is not None else []
        later = [batch for batch in (*of_scope, *deliveries.get(-row[BATCH], ())) if batch > row[BATCH]]
        if not later:
            deaths.append(None)
            continue
        by = min(later)
        restated = [other["arrival"] for other in rows if other[BATCH] == by]
        deaths.append(min(restated, default=by * ROWS_PER_BATCH))
    return deaths


def _transitions(history: Sequence[_Report], meter: Meter) -> Iterator[tuple[int, _Report | None, _Report | None]]:
    """Each arrival that changes which report of an event counts: what counted before it, and what does from then on."""
    moments = sorted({report.arrival for report in history} | {one.dies for one in history if one.dies is not None})
    live = [None, *(_live(history, moment, meter) for moment in moments)]
    for moment, (old, new) in zip(moments, pairwise(live), strict=True):
        if old is not new:
            yield moment, old, new


def _live(history: Iterable[_Report], moment: int, meter: Meter) -> _Report | None:
    """The report that counts once all until an arrival is known: the rule of deduplication, for one event."""
    live: _Report | None = None
    for report in history:
        if report.arrival > moment or (report.dies is not None and report.dies <= moment):
            continue
        if report.retract:
            live = None
        elif live is None or meter.keep == "latest":
            live = report
    return live


def _counts(report: _Report, measurement: Measurement, meter: Meter) -> bool:
    if not measurement.start <= report.timestamp < measurement.end:
        return False
    return all(report.dimensions.get(name, "") in values for name, values in meter.filter.items())


def _value(report: _Report, measurement: Measurement, meter: Meter) -> Decimal:
    """What a report counts; NO_NUMBER where a dimension that must hold a number holds none."""
    if measurement.needs == "amounts":
        return _number(report.dimensions.get(measurement.amount_field or "", ""))
    if meter.aggregation == "count":
        return Decimal(1)
    if meter.multiplier is None:
        return report.value
    factor = _number(report.dimensions.get(meter.multiplier, ""))
    return EXACT.multiply(report.value, factor) if factor.is_finite() else factor


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return NO_NUMBER
    return number if number.is_finite() else NO_NUMBER


def _combination(report: _Report, measurement: Measurement) -> Combination:
    values = {name: report.dimensions[name] for name in measurement.by if report.dimensions.get(name)}
    matches: Collection[Mapping[str, str]] = measurement.matches
    if matches and not any(
        all(report.dimensions.get(name, "") == value for name, value in match.items()) for match in matches
    ):
        return ()
    return tuple(sorted(values.items()))
