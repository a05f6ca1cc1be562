"""JSON Lines: one object a line; nested objects become dotted columns (``data.region``)."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from billing_pipeline.usage.sources.chunk import BadRow, Chunk
from billing_pipeline.usage.sources.json_text import columns_of, decode
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
            wrong = ("malformed_row", f"The line is not what it should be: {error}")
        if wrong:
            bad.append(BadRow(number, *wrong, shown(line)))
        else:
            good.append(values)
            rows.append(number)
    return chunk_of(good, rows, bad, bytes_read)


def chunk_of(good: list[dict[str, object]], rows: list[int], bad: list[BadRow], bytes_read: int) -> Chunk:
    """A chunk of decoded objects and the rows that were none; a text that is no Unicode is taken out too."""
    try:
        table = columns_of(good)
    except UnicodeEncodeError:
        kept = []
        for values, row in zip(good, rows, strict=True):
            raw = repr(values)
            try:
                columns_of([values])
                kept.append((values, row))
            except UnicodeEncodeError:
                bad = [*bad, BadRow(row, "not_utf8", "A text holds half of a surrogate pair (\\uD800…).", raw)]
        good, rows = [values for values, _ in kept], [row for _, row in kept]
        table = columns_of(good)
    return Chunk(table, pa.array(rows, pa.int64()), tuple(sorted(bad, key=lambda row: row.row)), bytes_read)
