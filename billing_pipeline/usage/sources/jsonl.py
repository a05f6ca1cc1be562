"""JSON Lines: one object a line; nested objects become dotted columns (``data.region``)."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from billing_pipeline.usage.sources.chunk import BadRow, Chunk
from billing_pipeline.usage.sources.json_text import as_text, columns_of, decode
from billing_pipeline.usage.sources.lines import fault, opened, shown, utf8_blocks, whole_lines

# Turns a decoded line into the object whose keys are columns; raises ValueError with the reason where it is none.
Shape = Callable[[object], dict[str, object]]

_ROWS = 1 << 16  # rows of one chunk: Python objects of more would be the largest thing in memory


def json_object(value: object) -> dict[str, object]:
    """A line must be an object."""
    if not isinstance(value, dict):
        raise ValueError("The line is no JSON object.")  # noqa: TRY004 - the data is wrong, not the call
    return value


def read_jsonl(path: Path, shape: Shape = json_object) -> Iterator[Chunk]:
    """The file's lines as chunks of text columns; blank lines are no rows."""
    with opened(path) as file:
        row = 1
        for block in whole_lines(utf8_blocks(file)):
            lines = [line for line in block.split(b"\n") if line.strip()]
            for start in range(0, len(lines), _ROWS):
                part = lines[start : start + _ROWS]
                yield _parsed(part, row, shape, file.bytes_read)
                row += len(part)


def _parsed(lines: Sequence[bytes], first_row: int, shape: Shape, bytes_read: int) -> Chunk:
    good: list[dict[str, object]] = []
    rows: list[int] = []
    bad: list[BadRow] = []
    for number, line in enumerate(lines, start=first_row):
        wrong = fault(line)
        try:
            values = {} if wrong else shape(decode(line.decode()))
        except (ValueError, RecursionError) as error:
            wrong = _malformed(error)
        if wrong:
            bad.append(BadRow(number, *wrong, shown(line)))
        else:
            good.append(values)
            rows.append(number)
    return chunk_of(good, rows, bad, bytes_read, lambda place: shown(lines[rows[place] - first_row]))


def chunk_of(
    good: list[dict[str, object]],
    rows: list[int],
    bad: list[BadRow],
    bytes_read: int,
    sent: Callable[[int], str] | None = None,
) -> Chunk:
    """A chunk of decoded objects and the rows that were none; what cannot be columns of text is taken out, too.

    Args:
        good: the objects.
        rows: their numbers.
        bad: the rows that are none.
        bytes_read: how far into the delivery they reach.
        sent: an object as it was sent, by its place in ``good``; None where nobody knows any more.
    """
    try:
        table = columns_of(good)
    except ValueError:  # which row it is takes longer to find
        wrong = {place: fault for place, values in enumerate(good) if (fault := _fault_of(values))}
        bad = [
            *bad,
            *(
                BadRow(rows[place], *fault, sent(place) if sent else as_text(good[place]) or "")
                for place, fault in wrong.items()
            ),
        ]
        table = columns_of([values for place, values in enumerate(good) if place not in wrong])
        rows = [row for place, row in enumerate(rows) if place not in wrong]
    return Chunk(table, pa.array(rows, pa.int64()), tuple(sorted(bad, key=lambda row: row.row)), bytes_read)


def _fault_of(values: dict[str, object]) -> tuple[str, str] | None:
    """(code, reason) of an object that cannot be columns of text."""
    try:
        columns_of([values])
    except UnicodeEncodeError:
        return "not_utf8", "A text holds half of a surrogate pair (\\uD800…)."
    except ValueError as error:
        return _malformed(error)
    return None


def _malformed(error: Exception) -> tuple[str, str]:
    return "malformed_row", f"The line is not what it should be: {error}"
