"""From usage reports to quantities: deduplicate once, then answer all measurements of one shape with one query."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from billing_pipeline.catalog.meter import PHASE, Meter
from billing_pipeline.core.period import midnight
from billing_pipeline.metering.answer import answers
from billing_pipeline.metering.counted_events import NoMultiplier
from billing_pipeline.metering.measurement import (
    NO_NUMBER,
    TOO_LARGE,
    Measured,
    Measurement,
    Quantity,
    Timeline,
    UsageCount,
)
from billing_pipeline.metering.questions import Questions, Shape
from billing_pipeline.metering.usage_counts import usage_counts
from billing_pipeline.usage.arrow import pc
from billing_pipeline.usage.deduplicate import Deliveries, deduplicate, events, grained, standing
from billing_pipeline.usage.engine import PERIOD, Engine, Overflow, dimensions_of
from billing_pipeline.usage.event import LakeFile, dimension_column

__all__ = ["Measured", "Measurement", "Quantity", "Timeline", "UsageCount", "measure"]

_UTC = Timeline(ZoneInfo("UTC"))


def measure(  # noqa: PLR0913 - what is asked, and how
    engine: Engine,
    files: Sequence[LakeFile],
    deliveries: Deliveries,
    measurements: Sequence[Measurement],
    meters: Mapping[str, Meter],
    meter_codes: Mapping[str, int],
    customers: Collection[int] | None = None,
    *,
    timeline: Timeline = _UTC,
    apart: bool = False,
    covered: Sequence[Measurement] = (),
) -> Measured:
    """Answer measurements from the usage reports in ``files``.

    Args:
        engine: computes; its memory bounds what is held at once.
        files: the manifest's files of one period (and bucket).
        deliveries: all batches of each snapshot scope, by the scope's code.
        measurements: in any order; numbers are unique.
        meters: all meters, by id.
        meter_codes: the ledger's code of each meter that has usage.
        customers: whom to look at; None for all in the files.
        timeline: what lies around the files' period; in UTC, nothing.
        apart: mark the quantities of whoever cannot be measured (TOO_LARGE, NO_NUMBER), and answer for the others.
        covered: what is measured elsewhere: its events are not unpriced.

    Returns:
        The quantities, in the order of their numbers and dimensions, and the counts of all customers looked at.

    Raises:
        UsageError: a file cannot be read; or a quantity does not fit 38 digits, unless ``apart`` is asked for.
    """
    questions = Questions.of(measurements, meters, meter_codes)
    by_code = {code: meters[name] for name, code in meter_codes.items()}
    retractions = any(file.retractions for file in [*files, *timeline.earlier])
    all_files = [*files, *timeline.earlier]
    starts = {day: midnight(day, timeline.time_zone) for day in {file.period for file in all_files}}
    reports = _of_meters(grained(events(engine, all_files, deliveries, customers), by_code, starts), timeline, by_code)
    # One report of each event is accepted, whoever asks: several prices and cut points look at the same ones.
    winners = deduplicate(standing(reports), by_code, retractions=retractions, within=["earlier"])
    with (
        engine.stored(_with_dimensions(winners, questions, by_code)) as accepted,
        engine.stored(questions.table) as table,
        engine.stored(Questions.of([*measurements, *covered], meters, meter_codes).table) as priced,
    ):
        quantities = list(_all_answers(engine, questions, accepted, table, timeline, apart=apart))
        own = reports.filter(~reports.earlier)
        counts = usage_counts(engine, own, accepted, priced, by_code, retractions=retractions)
    return Measured(sorted(quantities, key=lambda quantity: quantity.number), counts)


def _of_meters(reports: ir.Table, timeline: Timeline, meters: Mapping[int, Meter]) -> ir.Table:
    """All reports of the period; and of earlier ones (column ``earlier``) those of meters whose usage lasts.

    No event key reaches over periods: it has the timestamp in it, or the period itself.
    """
    if not timeline.earlier:
        return reports.mutate(earlier=ibis.literal(False))  # noqa: FBT003 - ibis has no other way
    reports = reports.mutate(earlier=reports[PERIOD].isin(sorted({file.period for file in timeline.earlier})))
    lasting = [code for code, meter in meters.items() if meter.has_lasting_usage]
    return reports.filter(~reports.earlier | reports.meter.isin(lasting))


def _with_dimensions(winners: ir.Table, questions: Questions, meters: Mapping[int, Meter]) -> ir.Table:
    """Only the columns that answers and counts look at; a dimension that no file has is null."""
    sessions = {name for meter in meters.values() if meter.session_by for name in (PHASE, meter.session_by)}
    columns = {*map(dimension_column, (*questions.dimensions, *sessions))}
    columns |= set(dimensions_of(winners.columns)) if questions.by_series else set()
    return winners.select(
        "earlier", "customer", "meter", "timestamp", "value", "arrival",
        **{name: winners[name] if name in winners.columns else ibis.null("string") for name in sorted(columns)},
    )  # fmt: skip


def _all_answers(
    engine: Engine, questions: Questions, accepted: ir.Table, table: ir.Table, timeline: Timeline, *, apart: bool
) -> Iterator[Quantity]:
    for number, (shape, meters) in enumerate(zip(questions.shapes, questions.meters, strict=True)):
        asked = table.filter(table["shape"] == number)
        try:
            yield from answers(engine, shape, accepted, asked, timeline)
        except (Overflow, NoMultiplier) as error:
            if not apart:
                where = "Meter" if len(meters) == 1 else "One of the meters"
                message = f"{where} {', '.join(map(repr, meters))}: {error.message}"
                raise type(error)(message, hint=error.hint) from error
            yield from _one_by_one(engine, shape, accepted, questions.of_shape(number), timeline)


def _one_by_one(
    engine: Engine, shape: Shape, accepted: ir.Table, asked: pa.Table, timeline: Timeline
) -> Iterator[Quantity]:
    """The answers of those who can be measured; who cannot is found by halves, as nearly all can."""
    customers = sorted(pc.unique(asked["customer"]).to_pylist())
    half = len(customers) // 2
    for some in (customers[:half], customers[half:]):
        theirs = asked.filter(pc.is_in(asked["customer"], value_set=pa.array(some, pa.int32())))
        if not some:
            continue
        try:
            with engine.stored(theirs) as table:
                yield from answers(engine, shape, engine.only(accepted, some), table, timeline)
        except (Overflow, NoMultiplier) as error:
            if len(some) > 1:
                yield from _one_by_one(engine, shape, accepted, theirs, timeline)
                continue
            mark = TOO_LARGE if isinstance(error, Overflow) else NO_NUMBER
            yield from (Quantity(number, {}, mark, events=1) for number in theirs["number"].to_numpy().tolist())
