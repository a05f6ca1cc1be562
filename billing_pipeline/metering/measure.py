"""From reports to quantities: deduplicate once, then answer all measurements of one shape with one query."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.answer import answers
from billing_pipeline.metering.counting import usage_counts
from billing_pipeline.metering.measurement import Measured, Measurement, Quantity, UsageCount
from billing_pipeline.metering.questions import NOW, Questions, questions
from billing_pipeline.usage.deduplicate import Deliveries, as_of, deduplicate, events
from billing_pipeline.usage.engine import Engine, Overflow
from billing_pipeline.usage.event import LakeFile, dimension_column

__all__ = ["Measured", "Measurement", "Quantity", "UsageCount", "measure"]

_UTC = ZoneInfo("UTC")


def measure(
    engine: Engine,
    files: Sequence[LakeFile],
    deliveries: Deliveries,
    measurements: Sequence[Measurement],
    meters: Mapping[str, Meter],
    meter_codes: Mapping[str, int],
    customers: Collection[int] | None = None,
    *,
    time_zone: ZoneInfo = _UTC,
) -> Measured:
    """Answer ``measurements`` from the reports in ``files``.

    Args:
        engine: computes; its memory bounds what is held at once.
        files: the manifest's files of one period (and bucket).
        deliveries: all batches of each snapshot scope, by the scope's code.
        measurements: in any order; numbers are unique.
        meters: all meters, by id.
        meter_codes: the ledger's code of each meter that has usage.
        customers: whom to look at; None for all in the files.
        time_zone: the billing time zone: whose days a meter's ``window: day`` means.

    Returns:
        The quantities, in the order of their numbers and dimensions, and the counts of all customers looked at.

    Raises:
        UsageError: a quantity does not fit 38 digits, or a file cannot be read.
    """
    asked = questions(measurements, meters, meter_codes)
    by_code = {code: meters[name] for name, code in meter_codes.items()}
    retractions = any(file.retractions for file in files)
    reports = events(engine, files, deliveries, customers)
    looked_at = _looked_at(reports, asked)
    winners = deduplicate(looked_at, by_code, retractions=retractions, within=["cut"])
    with (
        engine.stored(_with_dimensions(winners, asked.dimensions)) as accepted,
        engine.stored(asked.table) as table,
    ):
        found = list(_all_answers(engine, asked, meters, accepted, table, time_zone))
        now = accepted.filter(accepted.cut == NOW)
        counts = usage_counts(engine, reports, now, table, by_code, retractions=retractions)
    return Measured(sorted(found, key=lambda each: each.number), counts)


def _looked_at(reports: ir.Table, asked: Questions) -> ir.Table:
    """What stands now, as cut ``NOW``, and again what stood at each earlier arrival that somebody asks about."""
    now = as_of(reports).mutate(cut=ibis.literal(NOW, "int32"))
    if not asked.cuts.num_rows:
        return now
    past = reports.join(ibis.memtable(asked.cuts), ["customer", "meter"])
    return now.union(as_of(past, past.before_arrival).select(now.columns))


def _with_dimensions(winners: ir.Table, dimensions: Sequence[str]) -> ir.Table:
    """Only the columns that answers look at; a dimension that no file has is null."""
    columns = map(dimension_column, dimensions)
    return winners.select(
        "cut", "customer", "meter", "timestamp", "value", "arrival",
        **{name: winners[name] if name in winners.columns else ibis.null("string") for name in columns},
    )  # fmt: skip


def _all_answers(
    engine: Engine,
    asked: Questions,
    meters: Mapping[str, Meter],
    accepted: ir.Table,
    table: ir.Table,
    time_zone: ZoneInfo,
) -> Iterator[Quantity]:
    for number, (shape, names) in enumerate(zip(asked.shapes, asked.meters, strict=True)):
        mine = table.filter(table["shape"] == number)
        try:
            yield from answers(engine, shape, meters[names[0]], accepted, mine, time_zone)
        except Overflow as error:
            where = "Meter" if len(names) == 1 else "One of the meters"
            raise Overflow(f"{where} {', '.join(map(repr, names))}: {error.message}", hint=error.hint) from error
