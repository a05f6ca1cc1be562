"""Values missing, negative or absurd, and timestamps in the future, by customer and meter.

All events are looked at in one cheap pass; only customers that stand out are looked at again, by the report of each
event that counts, so that a corrected mistake is none.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from billing_pipeline.catalog.meter import VALUELESS_AGGREGATIONS, Meter
from billing_pipeline.usage.deduplicate import deduplicate, events, grained, standing
from billing_pipeline.usage.engine import Engine
from billing_pipeline.usage.event import ROWS_PER_BATCH, VALUE_PRECISION, VALUE_SCALE
from billing_pipeline.usage.expectations import Thresholds
from billing_pipeline.usage.profiles.facts import Figure, Magnitudes, UsageFacts

_TYPICAL = 99  # of 100 values; the rest may be anything up to the limit


def magnitudes(engine: Engine, cells: ir.Table) -> dict[int, dict[int, int]]:
    """How many values of each meter lie in each power of ten."""
    by_meter: dict[int, dict[int, int]] = {}
    sized = cells.filter(cells.exponent.notnull()).group_by("meter", "exponent").agg(values=cells["values"].sum())
    for row in engine.fetch(sized).to_pylist():
        if row["values"]:
            by_meter.setdefault(row["meter"], {})[row["exponent"]] = row["values"]
    return by_meter


def limits(
    earlier: Magnitudes, present: Magnitudes, meters: Mapping[int, Meter], thresholds: Thresholds
) -> dict[int, Decimal]:
    """From where on a value is absurd, by meter code; meters with too few values to tell have no limit.

    Compared is with the last periods; a meter that had too few values in them is compared with itself.
    """
    by_meter = {}
    for meter in present:
        if meter in meters and meters[meter].aggregation in VALUELESS_AGGREGATIONS:
            continue  # the value is not looked at
        for magnitudes in (earlier.get(meter, {}), present[meter]):
            if sum(magnitudes.values()) >= thresholds.absurd_history:
                by_meter[meter] = Decimal(10) ** (_typical_exponent(magnitudes) + 1) * thresholds.absurd_factor
                break
    return by_meter


def _typical_exponent(by_exponent: Mapping[int, int]) -> int:
    """The power of ten that holds the 99th of 100 values."""
    below, total = 0, sum(by_exponent.values())
    for exponent in sorted(by_exponent):
        below += by_exponent[exponent]
        if below * 100 >= total * _TYPICAL:
            return exponent
    raise AssertionError("the last power of ten holds the last value")


def value_figures(
    engine: Engine,
    cells: ir.Table,
    facts: UsageFacts,
    thresholds: Thresholds,
    absurd: Mapping[int, Decimal],
) -> Iterator[Figure]:
    """The figures of every customer and meter that stands out; others have none.

    Args:
        engine: reads the lake.
        cells: of ``cells.cells``.
        facts: the files, the meters and the clock.
        thresholds: how far a timestamp may lie ahead.
        absurd: of :func:`limits`.
    """
    missing = cells.group_by("customer", "meter").agg(missing=cells.missing.sum(), since=cells.missing_since.min())
    for row in engine.fetch(missing.filter(missing.missing > 0)).to_pylist():
        yield Figure("missing_values", row["missing"], (row["customer"],), row["meter"], batch=row["since"])
    suspects = _suspects(engine, cells, absurd)
    if suspects:
        late = facts.now + timedelta(minutes=thresholds.future_minutes)
        reports = standing(events(engine, facts.files, facts.deliveries, suspects))
        reports = grained(reports, facts.meters, facts.starts)
        accepted = deduplicate(reports, facts.meters, retractions=any(file.retractions for file in facts.files))
        measured = _measured(_limited(accepted, absurd), ibis.literal(late, "timestamp('UTC')"))
        for row in engine.fetch(measured).to_pylist():
            yield from _of_row(row, facts.meters, absurd)
    yield from _later_figures(engine, facts)


def _suspects(engine: Engine, cells: ir.Table, absurd: Mapping[int, Decimal]) -> list[int]:
    """Customers with any report that might stand out: cheap, and never too few."""
    marked = [(cells.negative > 0) | (cells.future > 0)]
    marked += [(cells.meter == meter) & (cells.exponent >= limit.adjusted() - 1) for meter, limit in absurd.items()]
    customers = cells.filter(ibis.or_(*marked)).select("customer").distinct()
    return sorted(row["customer"] for row in engine.fetch(customers).to_pylist())


def _limited(accepted: ir.Table, absurd: Mapping[int, Decimal]) -> ir.Table:
    """With each meter's limit; null where it has none, or where no value can reach it."""
    highest = Decimal(10) ** (VALUE_PRECISION - VALUE_SCALE)
    reachable = {meter: limit for meter, limit in absurd.items() if limit < highest}
    bounds = pa.table(
        {
            "meter": pa.array(reachable, pa.int16()),
            "bound": pa.array(reachable.values(), pa.decimal128(VALUE_PRECISION, VALUE_SCALE)),
        }
    )
    return accepted.left_join(ibis.memtable(bounds), "meter").select(*accepted.columns, "bound")


def _measured(accepted: ir.Table, late: ir.TimestampValue) -> ir.Table:
    too_large = (accepted["value"].abs() > accepted.bound).fill_null(False)  # noqa: FBT003 - ibis has no other way
    counted = accepted.group_by("customer", "meter").agg(
        negative=(accepted["value"] < 0).sum().fill_null(0),
        absurd=too_large.sum(),
        since=accepted.arrival.min(where=too_large) // ROWS_PER_BATCH,
        future=(accepted.timestamp > late).sum().fill_null(0),
        least=accepted["value"].min(),
        largest=accepted["value"].abs().max(),
        latest=accepted.timestamp.max(),
    )
    return counted.filter((counted.negative > 0) | (counted.absurd > 0) | (counted.future > 0))


def _of_row(row: Mapping[str, Any], meters: Mapping[int, Meter], absurd: Mapping[int, Decimal]) -> Iterator[Figure]:
    customer, meter = row["customer"], row["meter"]
    counts_values = not (meter in meters and meters[meter].aggregation in VALUELESS_AGGREGATIONS)
    if row["negative"] and counts_values:
        yield Figure("negative_values", row["negative"], (customer,), meter, note=f"lowest {_plain(row['least'])}")
    if row["absurd"]:
        note = f"largest {_plain(row['largest'])}, absurd above {_plain(absurd[meter])}"
        yield Figure("absurd_values", row["absurd"], (customer,), meter, note=note, batch=row["since"])
    if row["future"]:
        note = f"latest {row['latest']:%Y-%m-%d %H:%M} UTC"
        yield Figure("future_timestamps", row["future"], (customer,), meter, note=note)


def _later_figures(engine: Engine, facts: UsageFacts) -> Iterator[Figure]:
    """Events of periods that have not begun: no other period's check would ever show them."""
    if not facts.later_files:
        return
    reports = standing(events(engine, facts.later_files, facts.deliveries))
    accepted = deduplicate(reports, facts.meters, retractions=any(file.retractions for file in facts.later_files))
    late = accepted.group_by("customer", "meter").agg(events=accepted.count(), latest=accepted.timestamp.max())
    for row in engine.fetch(late).to_pylist():
        note = f"in periods that have not begun, latest {row['latest']:%Y-%m-%d %H:%M} UTC"
        yield Figure("future_timestamps", row["events"], (row["customer"],), row["meter"], note=note)


def _plain(value: Decimal) -> str:
    """Without the zeros that a fixed scale trails."""
    return f"{value.normalize():,f}"
