"""One chunk while it is being checked: its columns, which rows are refused so far, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from billing_pipeline.catalog.meter import PHASE, START, STOP
from billing_pipeline.catalog.source import Constant
from billing_pipeline.core.errors import nearest
from billing_pipeline.core.plain_text import shortened
from billing_pipeline.usage.arrow import Array, combined, pc
from billing_pipeline.usage.event import MULTIPLIER_SCALE
from billing_pipeline.usage.parse import Mask
from billing_pipeline.usage.quarantine import QuarantinedRow, raw_of
from billing_pipeline.usage.sources.chunk import LONGEST_ROW, LONGEST_VALUE, BadRow, Chunk
from billing_pipeline.usage.values import BadValue

# The text at fault and the row's place in the chunk → what is wrong with it.
Reason = Callable[[str, int], BadValue]


@dataclass(slots=True)
class Rows:
    """The rows of one chunk. A row is refused once, for the first problem that is found."""

    chunk: Chunk
    bad: Mask = field(init=False)
    _problems: list[tuple[int, str | None, str | None, BadValue]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bad = np.zeros(len(self.chunk.rows), np.bool_)

    def __len__(self) -> int:
        return len(self.bad)

    @property
    def names(self) -> Sequence[str]:
        """The delivery's columns."""
        names: list[str] = self.chunk.table.column_names
        return names

    def text(self, column: str | Constant | None) -> Array:
        """A column's texts; empty and absent are null."""
        if isinstance(column, Constant):
            return pa.repeat(pa.scalar(column.value, pa.string()), len(self))
        if column is None or column not in self.names:
            return pa.nulls(len(self), pa.string())
        texts = combined(self.chunk.table[column])
        empty = pc.equal(texts, "")
        return pc.if_else(empty, pa.scalar(None, pa.string()), texts) if pc.any(empty).as_py() else texts

    def refuse(self, where: Mask, column: str | Constant | None, reason: Reason) -> None:
        """Refuse the rows in ``where`` that are not refused already."""
        places = np.flatnonzero(where & ~self.bad)
        if not len(places):
            return
        texts = self.text(column).take(places).to_pylist()
        name = column if isinstance(column, str) else None
        for place, text in zip(places.tolist(), texts, strict=True):
            self._problems.append((place, name, text, reason(text or "", place)))
        self.bad[places] = True

    def quarantined(self) -> list[QuarantinedRow]:
        """The refused rows, and those that could not be read at all."""
        self._problems.sort(key=lambda problem: problem[0])
        raws = map(raw_of, self.chunk.table.filter(pa.array(self.bad)).to_pylist())
        rows: list[Any] = self.chunk.rows.filter(pa.array(self.bad)).to_pylist()
        refused = [
            QuarantinedRow(row, column, text, why.code, why.reason, raw, parsed=True)
            for (_, column, text, why), row, raw in zip(self._problems, rows, raws, strict=True)
        ]
        return sorted([*refused, *map(_unread, self.chunk.bad)], key=lambda row: row.row)


def _unread(row: BadRow) -> QuarantinedRow:
    return QuarantinedRow(row.row, None, None, row.code, row.reason, row.raw, parsed=False)


# Fields with a code of their own; the columns of a snapshot scope have their own names and share one.
_CODED = frozenset({"customer", "meter", "timestamp", "value", "event_id"})


def missing(field: str) -> Reason:
    """A row without a value where it needs one."""
    why = BadValue(f"missing_{field}" if field in _CODED else "missing_scope", f"The row has no {field}.")
    return lambda _text, _place: why


def too_long(_text: str, _place: int) -> BadValue:
    """A row that is longer than any event."""
    return BadValue(
        "value_too_long",
        f"A value of an event has at most {LONGEST_VALUE:,} bytes, and all of them together {LONGEST_ROW:,}.",
    )


def nothing_to_retract(meter: str) -> BadValue:
    """A row that takes an event back, of a meter to which each row is an event of its own."""
    return BadValue(
        "nothing_to_retract",
        f"Each row of the meter {shortened(meter)!r} is an event of its own. Send what is taken back below zero.",
    )


def unknown_customer(text: str, _place: int) -> BadValue:
    """A customer that the catalog does not have."""
    return BadValue("unknown_customer", f"No customer {shortened(text)!r} in the catalog. Add it, then replay.")


def unknown_meter(meters: Sequence[str]) -> Reason:
    """A meter that the catalog does not have."""
    return lambda text, _place: BadValue(
        "unknown_meter", f"No meter {shortened(text)!r} in the catalog. {nearest(text, meters)}"
    )


def other_spelling(name: str, first_spelling: str) -> Reason:
    """A dimension whose name differs from a known one in case only."""
    why = BadValue(
        "dimension_case",
        f"The dimension {shortened(name)!r} is known as {first_spelling!r}; names must not differ in case only.",
    )
    return lambda _text, _place: why


def two_values(name: str) -> Reason:
    """A dimension that two columns give differently."""
    return lambda text, _place: BadValue(
        "dimension_twice", f"The dimension {shortened(name)!r} is {shortened(text)!r} and something else."
    )


def bad_multiplier(dimension: str, texts: Array) -> Reason:
    """A dimension by which values are multiplied, and which is no number."""
    return lambda _text, place: BadValue(
        "bad_multiplier",
        f"{dimension} = {shortened(repr(texts[place].as_py()))} is no number to multiply by "
        f"(at most {MULTIPLIER_SCALE} decimals).",
    )


def missing_session(dimension: str) -> Reason:
    """An event of a session that does not say of which."""
    why = BadValue("missing_session", f"The row has no {dimension}, which pairs the start of a session with its stop.")
    return lambda _text, _place: why


def bad_phase(texts: Array) -> Reason:
    """An event of a session that neither starts nor stops it."""
    return lambda _text, place: BadValue(
        "bad_phase", f"{PHASE} = {shortened(repr(texts[place].as_py()))} is neither {START!r} nor {STOP!r}."
    )
