"""Rows that cannot be billed as sent: nothing is dropped, each says why, and each can be mended and replayed.

They leave as a file that a person mends, CSV or JSON Lines, a row each, known by its ``_id``, and come back as one.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from io import StringIO
from pathlib import Path

from billing_pipeline.core.errors import UsageError
from billing_pipeline.core.plain_json import unique_fields


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

    @property
    def values(self) -> dict[str, str]:
        """The row's columns as sent; none where it could not be read as columns."""
        values: dict[str, str] = json.loads(self.raw) if self.parsed else {}
        return values


def raw_of(values: Mapping[str, str | None]) -> str:
    """A row's columns as stored: nulls are left out, an absent column is the same."""
    return json.dumps({name: value for name, value in values.items() if value is not None}, ensure_ascii=False)


_MOST_BYTES = 1 << 28  # of one delivery: nobody mends more by hand, and the ledger has to keep it


class Spool:
    """Quarantined rows in a local file, on their way into the ledger: many of them need no more memory than few."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reasons: Counter[str] = Counter()

    def __len__(self) -> int:
        return self.reasons.total()

    def add(self, rows: Sequence[QuarantinedRow]) -> None:
        """Keep some rows. Raises UsageError where they are more than anybody could mend."""
        if not rows:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(astuple(row)) + "\n" for row in rows)
            if file.tell() > _MOST_BYTES:
                raise UsageError(
                    f"More than {_MOST_BYTES >> 20} MB of the delivery cannot be billed as sent; of the last rows: "
                    f"{rows[-1].reason}",
                    hint="It is no delivery of usage, or of another source. Nothing was recorded.",
                )
        self.reasons.update(row.code for row in rows)

    def __iter__(self) -> Iterator[QuarantinedRow]:
        if not len(self):
            return
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                yield QuarantinedRow(*json.loads(line))


ID, REASON, RAW = "_id", "_reason", "_raw"
_OURS = (ID, REASON, RAW)


def to_jsonl(rows: Iterable[tuple[int, QuarantinedRow]]) -> Iterator[str]:
    """One line a row: its id, the reason, and its columns (or the line itself, where it could not be read as such)."""
    for number, row in rows:
        yield json.dumps(_mendable(number, row), ensure_ascii=False) + "\n"


def to_csv(rows: Sequence[tuple[int, QuarantinedRow]]) -> str:
    """A table of the rows, with a column for each column of any of them.

    Anybody may have sent them, and a spreadsheet computes a cell that begins like a formula: such a cell, and such a
    column's name, gets an apostrophe before it, which :func:`read_corrections` takes off.
    """
    mendable = [
        {_guarded(name): _guarded(value) if isinstance(value, str) else value for name, value in row.items()}
        for row in (_mendable(number, row) for number, row in rows)
    ]
    names = dict.fromkeys([*_OURS, *(name for row in mendable for name in row)])
    text = StringIO()
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(mendable)
    return text.getvalue()


def read_corrections(path: Path) -> dict[int, dict[str, str]]:
    """A mended file: the columns of each row by its id. A row without columns is not mended yet and left out.

    Raises:
        UsageError: it cannot be read, or a row has no ``_id``.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = list(_table(text) if path.suffix.lower() == ".csv" else map(_object, text.splitlines()))
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(
            f"The corrections in {path} cannot be read: {error}",
            hint="Give the file that 'billing usage quarantine list --csv' (or --jsonl) wrote, mended.",
        ) from error
    corrected = {}
    for at, row in enumerate(rows, start=1):
        number = str(row.get(ID) or "")
        if not number.isdecimal():
            raise UsageError(f"Row {at} of {path.name} has no {ID}.", hint="Keep the column that names the row.")
        values = {str(name): str(value) for name, value in row.items() if value not in {None, ""} and name not in _OURS}
        if values:
            corrected[int(number)] = values
    return corrected


def corrected_values(
    number: int, row: QuarantinedRow, corrected: Mapping[int, Mapping[str, str]], overrides: Mapping[str, str]
) -> dict[str, str]:
    """What a row says once it is mended: its corrected columns, else its own, with ``overrides`` ('' removes one)."""
    values = {**corrected.get(number, row.values), **overrides}
    return {name: value for name, value in values.items() if value}


def _mendable(number: int, row: QuarantinedRow) -> dict[str, object]:
    ours = {ID: number, REASON: row.reason}
    return {**ours, **row.values} if row.parsed else {**ours, RAW: row.raw}


_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[-+]?[0-9]+([.][0-9]+)?\Z")


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.match(cell) else cell


def _unguarded(cell: object) -> object:
    return cell[1:] if isinstance(cell, str) and cell.startswith("'") and _FORMULA.match(cell) else cell


def _table(text: str) -> Iterator[dict[str, object]]:
    for row in csv.DictReader(StringIO(text)):
        yield {str(_unguarded(name)): _unguarded(value) for name, value in row.items()}


def _object(line: str) -> dict[str, object]:
    row = json.loads(line, parse_float=str, parse_int=str, object_pairs_hook=unique_fields) if line.strip() else {}
    if not isinstance(row, dict):
        raise ValueError(f"{line[:50]!r} is no JSON object.")  # noqa: TRY004 - the data is wrong, not the call
    return row
