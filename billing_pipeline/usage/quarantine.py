"""Rows that cannot be billed as sent: nothing is dropped, each says why, and each can be mended and replayed."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """One input row that waits to be mended.

    Attributes:
        row: 1-based number of the data row in its delivery.
        column: the delivery's column at fault; None where it is the row as a whole.
        value: what stands there.
        code: what is wrong, for machines.
        reason: what is wrong, for people.
        raw: JSON of the row's columns, or, where it could not be read as columns, the line itself.
        parsed: whether ``raw`` is JSON of columns.
    """

    row: int
    column: str | None
    value: str | None
    code: str
    reason: str
    raw: str
    parsed: bool


def raw_of(values: Mapping[str, str | None]) -> str:
    """A row's columns as stored: nulls are left out, an absent column is the same."""
    return json.dumps({name: value for name, value in values.items() if value is not None}, ensure_ascii=False)


def values_of(raw: str) -> dict[str, str]:
    """A stored row's columns."""
    values: dict[str, str] = json.loads(raw)
    return values


class Spool:
    """Quarantined rows in a local file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reasons: Counter[str] = Counter()

    def __len__(self) -> int:
        return self.reasons.total()

    def add(self, rows: Sequence[QuarantinedRow]) -> None:
        """Keep some rows."""
        if not rows:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(astuple(row)) + "\n" for row in rows)
        self.reasons.update(row.code for row in rows)

    def __iter__(self) -> Iterator[QuarantinedRow]:
        if not len(self):
            return
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                yield QuarantinedRow(*json.loads(line))
