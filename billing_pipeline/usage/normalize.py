"""Chunks of text → typed rows, and the rows that cannot be billed as sent, each with its reason.

Every row of a chunk ends in exactly one of the two. The first problem found is the one that is named.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from billing_pipeline.catalog.meter import PHASE, START, STOP, VALUELESS_AGGREGATIONS, Meter
from billing_pipeline.catalog.source import Constant
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.usage.arrow import Array, combined, pc
from billing_pipeline.usage.event import MULTIPLIER_SCALE, dimension_column
from billing_pipeline.usage.mapping import Columns
from billing_pipeline.usage.parse import Mask, Parser, mask
from billing_pipeline.usage.quarantine import QuarantinedRow
from billing_pipeline.usage.rows import (
    Rows,
    bad_multiplier,
    bad_phase,
    missing,
    missing_session,
    nothing_to_retract,
    other_spelling,
    too_long,
    two_values,
    unknown_customer,
    unknown_meter,
)
from billing_pipeline.usage.scopes import Scopes
from billing_pipeline.usage.sources.chunk import LONGEST_ROW, LONGEST_VALUE, Chunk, refuse_names
from billing_pipeline.usage.values import BadValue, parse_flag, too_early, too_late


@dataclass(frozen=True, slots=True)
class Registered:
    """What rows are checked against.

    Attributes:
        customers: columns id, code (int32), bucket (int16).
        meters: by id.
        meter_codes: by id.
        periods: all that may hold usage, from the first to the one after the open one, without gaps.
        dimensions: names of the dimensions that the lake knows.
        scope_code: gives a snapshot scope's key its code.
    """

    customers: pa.Table
    meters: Mapping[str, Meter]
    meter_codes: Mapping[str, int]
    periods: Sequence[BillingPeriod]
    dimensions: Collection[str]
    scope_code: Callable[[str], int]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What metering casts to a decimal of 18 digits, 6 of them after the point.
_MULTIPLIER = rf"[+-]?[0-9]{{1,12}}([.][0-9]{{1,{MULTIPLIER_SCALE}}}0*)?"


@dataclass(frozen=True, slots=True)
class Normalized:
    """A chunk's rows.

    Attributes:
        table: those that are events: the lake's columns, and ``bucket``, ``period`` and ``revision`` (text).
        quarantined: the others.
    """

    table: pa.Table
    quarantined: list[QuarantinedRow]


class Normalizer:
    """Normalises the chunks of one delivery, one after the other; remembers dimensions and scopes between them."""

    def __init__(self, columns: Columns, registered: Registered) -> None:
        self._columns = columns
        self._registered = registered
        self._parser = Parser(columns.time_zone)
        self._customers = {name: combined(registered.customers[name]) for name in ("id", "code", "bucket")}
        self._meter_ids = pa.array(list(registered.meter_codes), pa.string())
        self._meter_codes = pa.array(list(registered.meter_codes.values()), pa.int16())
        self._starts = np.array(
            [_micros(period.start) for period in registered.periods] + [_micros(registered.periods[-1].end)]
        )
        self._first_days = pa.array([period.first_day for period in registered.periods], pa.date32())
        self._spelling = {name.lower(): name for name in registered.dimensions}
        self._scopes = Scopes(columns.scope, registered.scope_code)

    def close(self) -> None:
        """Free the engine."""
        self._parser.close()

    def __call__(self, chunk: Chunk) -> Normalized:
        """Normalise one chunk. Raises UsageError where the delivery as a whole cannot be read by the mapping."""
        refuse_names(chunk.table.column_names)
        self._columns.refuse_missing(chunk.table.column_names)
        rows, event = Rows(chunk), self._columns.event
        customers = self._customer(rows, event.customer)
        meter_ids, meters = self._meter(rows, event.meter)
        timestamps, periods = self._timestamp(rows, event.timestamp)
        event_ids = self._event_id(rows, meter_ids)
        retract = self._retract(rows, event.retract, meter_ids)
        values = self._value(rows, meter_ids, retract)
        dimensions = self._dimensions(rows)
        _refuse_long(rows, {"event_id": event_ids, **dimensions})
        weighed = self._check_sessions(rows, meter_ids, dimensions)
        self._check_multipliers(rows, meter_ids, dimensions, weighed)
        arrays = {
            "customer": customers["code"],
            "meter": meters,
            "timestamp": timestamps,
            "value": values,
            "event_id": event_ids,
            "retract": retract,
            "row": chunk.rows,
            "scope": self._scopes.codes(rows),
            "bucket": customers["bucket"],
            "period": periods,
            "revision": rows.text(event.revision),
            **{dimension_column(name): texts for name, texts in dimensions.items()},
        }
        table = pa.table(arrays)
        return Normalized(table.filter(pa.array(~rows.bad)) if rows.bad.any() else table, rows.quarantined())

    def _customer(self, rows: Rows, column: str | Constant) -> dict[str, Array]:
        ids = rows.text(column)
        rows.refuse(mask(ids.is_null()), column, missing("customer"))
        at = pc.index_in(ids, value_set=self._customers["id"])
        rows.refuse(mask(at.is_null()), column, unknown_customer)
        return {name: self._customers[name].take(at) for name in ("code", "bucket")}

    def _meter(self, rows: Rows, column: str | Constant) -> tuple[Array, Array]:
        ids = rows.text(column)
        rows.refuse(mask(ids.is_null()), column, missing("meter"))
        at = pc.index_in(ids, value_set=self._meter_ids)
        rows.refuse(mask(at.is_null()), column, unknown_meter(tuple(self._registered.meter_codes)))
        return ids, self._meter_codes.take(at)

    def _timestamp(self, rows: Rows, column: str) -> tuple[Array, Array]:
        texts = rows.text(column)
        rows.refuse(mask(texts.is_null()), column, missing("timestamp"))
        instants, reasons = self._parser.instants(texts)
        rows.refuse(_at(reasons, len(rows)), column, lambda _, place: reasons[place])
        micros = pc.fill_null(instants.cast(pa.int64()), int(self._starts[0])).to_numpy(zero_copy_only=False)
        index = np.searchsorted(self._starts, micros, side="right") - 1
        first, last, count = self._registered.periods[0], self._registered.periods[-1], len(self._first_days)
        rows.refuse(index < 0, column, lambda text, _: too_early(text, first.first_day))
        rows.refuse(index >= count, column, lambda text, _: too_late(text, last.end))
        return instants, self._first_days.take(pa.array(np.clip(index, 0, count - 1)))

    def _event_id(self, rows: Rows, meter_ids: Array) -> Array:
        event_ids = rows.text(self._columns.event.event_id)
        needing = [meter.id for meter in self._registered.meters.values() if meter.deduplicate_by == "event_id"]
        if needing and event_ids.null_count:
            lacking = mask(pc.and_(_is_in(meter_ids, needing), event_ids.is_null()))
            rows.refuse(lacking, self._columns.event.event_id or "event_id", missing("event_id"))
        return event_ids

    def _retract(self, rows: Rows, column: str | None, meter_ids: Array) -> Array:
        texts = rows.text(column)
        flags: dict[str, bool] = {}
        reasons: dict[str, BadValue] = {}
        for text in pc.unique(texts.drop_null()).to_pylist():
            try:
                flags[text] = parse_flag(text)
            except BadValue as reason:
                reasons[text] = reason
        rows.refuse(mask(_is_in(texts, reasons)), column, lambda text, _: reasons[text])
        retract = _is_in(texts, (text for text, flag in flags.items() if flag))
        single = [meter.id for meter in self._registered.meters.values() if meter.deduplicate_by == "none"]
        if single:
            taken_back = mask(pc.and_(_is_in(meter_ids, single), retract))
            rows.refuse(taken_back, column or "retract", lambda _, place: nothing_to_retract(meter_ids[place].as_py()))
        return retract

    def _value(self, rows: Rows, meter_ids: Array, retract: Array) -> Array:
        """The value; a meter that looks at events alone, and a retraction, may do without one."""
        column = self._columns.event.value
        texts = rows.text(column)
        values, reasons = self._parser.values(texts)
        rows.refuse(_at(reasons, len(rows)), column, lambda _, place: reasons[place])
        if not texts.null_count:
            return values
        counting = [
            meter.id for meter in self._registered.meters.values() if meter.aggregation in VALUELESS_AGGREGATIONS
        ]
        needed = pc.invert(pc.or_(_is_in(meter_ids, counting), retract))
        rows.refuse(mask(pc.and_(texts.is_null(), needed)), column, missing("value"))
        filled: Array = pc.fill_null(values, pa.scalar(0, values.type))
        return filled

    def _dimensions(self, rows: Rows) -> dict[str, Array]:
        """The dimensions that any row has.

        A name that differs from a known one in case only is refused where it is used: engines would take the two for
        one column, the event key would not.
        """
        dimensions: dict[str, Array] = {}
        for name, column in self._columns.dimensions(rows.names):
            texts = rows.text(column)
            if texts.null_count == len(texts):
                continue
            first_spelling = self._spelling.setdefault(name.lower(), name)
            if first_spelling != name:
                rows.refuse(mask(texts.is_valid()), column, other_spelling(name, first_spelling))
                continue
            other = dimensions.get(name, texts)  # a row may nest its dimensions, or have one as a column of its own
            rows.refuse(mask(pc.not_equal(other, texts)), column, two_values(name))
            dimensions[name] = pc.coalesce(other, texts)
        return dimensions

    def _check_sessions(self, rows: Rows, meter_ids: Array, dimensions: Mapping[str, Array]) -> Mask:
        """Refuse what starts or stops no session; the rows that a multiplier is looked for in: not those that stop."""
        weighed = np.ones(len(rows), np.bool_)
        nothing = pa.nulls(len(rows), pa.string())
        phase = dimensions.get(PHASE, nothing)
        for name in {meter.session_by for meter in self._registered.meters.values()} - {None}:
            meters = [meter.id for meter in self._registered.meters.values() if meter.session_by == name]
            concerned = mask(_is_in(meter_ids, meters))
            if concerned.any() and name is not None:
                rows.refuse(concerned & mask(dimensions.get(name, nothing).is_null()), name, missing_session(name))
                rows.refuse(concerned & ~mask(_is_in(phase, [START, STOP])), PHASE, bad_phase(phase))
                weighed &= ~(concerned & mask(_is_in(phase, [STOP])))
        return weighed

    def _check_multipliers(self, rows: Rows, meter_ids: Array, dimensions: Mapping[str, Array], weighed: Mask) -> None:
        for dimension in {meter.multiplier for meter in self._registered.meters.values()} - {None}:
            meters = [meter.id for meter in self._registered.meters.values() if meter.multiplier == dimension]
            concerned = mask(_is_in(meter_ids, meters)) & weighed
            if concerned.any() and dimension is not None:
                texts = dimensions.get(dimension, pa.nulls(len(rows), pa.string()))
                number = self._parser.matches(texts, _MULTIPLIER)
                rows.refuse(concerned & ~number, dimension, bad_multiplier(dimension, texts))


def _refuse_long(rows: Rows, texts: Mapping[str, Array]) -> None:
    """Refuse rows with a value, or all values together, that are longer than any event's."""
    together = np.zeros(len(rows), np.int64)
    for name, column in texts.items():
        lengths = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
        if len(lengths) and lengths.max() > LONGEST_VALUE:
            rows.refuse(lengths > LONGEST_VALUE, name, too_long)
        together += lengths
    rows.refuse(together > LONGEST_ROW, None, too_long)


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _at(places: Iterable[int], count: int) -> Mask:
    where = np.zeros(count, np.bool_)
    where[list(places)] = True
    return where


def _is_in(texts: Array, values: Iterable[str]) -> Array:
    listed: Array = pc.is_in(texts, value_set=pa.array(list(values), pa.string()))
    return listed
