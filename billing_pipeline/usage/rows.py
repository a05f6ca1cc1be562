"""One chunk while it is being checked: its columns, which rows are refused so far, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from billing_pipeline.catalog.source import Constant
from billing_pipeline.usage.arrow import Array, combined
from billing_pipeline.usage.arrow import compute as pc
from billing_pipeline.usage.parse import Mask
from billing_pipeline.usage.quarantine import QuarantinedRow, raw_of
from billing_pipeline.usage.sources.chunk import BadRow, Chunk
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
        return sorted([*refused, *map(_unread, self.chunk.bad)], key=lambda one: one.row)


def _unread(row: BadRow) -> QuarantinedRow:
    return QuarantinedRow(row.row, None, None, row.code, row.reason, row.raw, parsed=False)
