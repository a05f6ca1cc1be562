"""CSV: comma-separated columns under a header, UTF-8 (or UTF-16 with its byte order mark).

Arrow parses blocks of whole records. Where a block holds something that Arrow would take silently for another row
structure (a quote that is never closed, line breaks inside quotes, lone carriage returns), its records are cut by a
slower, strict reader first.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.csv as pacsv

from billing_pipeline.core.errors import UsageError
from billing_pipeline.usage.arrow import Array
from billing_pipeline.usage.sources.chunk import BadRow, Chunk, numbers
from billing_pipeline.usage.sources.lines import (
    Readable,
    fault,
    has_long_line,
    is_utf8,
    opened,
    refuse_absurd_line,
    shown,
    utf8_blocks,
)
from billing_pipeline.usage.sources.records import Record, records

_BLANK = b" \t\r\n"


def read_csv(path: Path) -> Iterator[Chunk]:
    """The file's rows as chunks of text columns; see the module.

    Raises:
        UsageError: there is no header, or it names a column twice.
    """
    with opened(path) as file:
        blocks = _record_blocks(file)
        header, rest = _header(next(blocks, b""), path.name)
        first_row = 1
        for block in _with_first(rest, blocks):
            chunk = _parsed(block, header, first_row)
            first_row += len(chunk.rows) + len(chunk.bad)
            yield Chunk(chunk.table, chunk.rows, chunk.bad, file.bytes_read)


def _with_first(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield first  # also when it is empty: a file of nothing but a header is one chunk without rows
    yield from blocks


def _record_blocks(file: Readable) -> Iterator[bytes]:
    """Blocks that end with a record: after a newline with an even number of quotes before it."""
    waiting = b""
    for block in utf8_blocks(file):
        waiting += block
        cut = _last_record_end(waiting)
        if cut:
            yield waiting[:cut]
            waiting = waiting[cut:]
        refuse_absurd_line(len(waiting))
    if waiting:
        yield waiting


def _last_record_end(data: bytes) -> int:
    """Where the last whole record ends; 0 where none does.

    A quote that is never closed makes every later newline odd; then the last newline has to do, and the strict reader
    sorts it out.
    """
    end = last = data.rfind(b"\n") + 1
    odd = data.count(b'"', 0, end) % 2
    for _ in range(1000):
        if not end or not odd:
            return end
        previous = data.rfind(b"\n", 0, end - 1) + 1
        odd ^= data.count(b'"', previous, end) % 2
        end = previous
    return last


def _header(block: bytes, name: str) -> tuple[list[str], bytes]:
    block = block.lstrip(b"\r\n")
    line, newline, rest = block.partition(b"\n")
    if not is_utf8(line):
        raise UsageError(f"The header of {name} is not UTF-8.", hint="Export the file as UTF-8 and land it again.")
    columns = next(csv.reader([line.decode().rstrip("\r")]), [])
    names = [column.strip() for column in columns]
    if not any(names):
        raise UsageError(f"{name} has no header.", hint="The first line of a CSV file names its columns.")
    repeated = sorted({column for column in names if names.count(column) > 1})
    if repeated:
        raise UsageError(f"The header of {name} names {repeated} more than once.", hint="Rename the columns.")
    return names, rest if newline else b""


def _parsed(block: bytes, header: Sequence[str], first_row: int) -> Chunk:
    """A block's rows: at once where it is plain, record by record where it is not."""
    if not has_long_line(block) and is_utf8(block):
        chunk = _parsed_at_once(block, header, first_row)
        lines = block.count(b"\n") + (not block.endswith(b"\n") and bool(block))
        if chunk is not None and len(chunk.rows) + len(chunk.bad) == lines:
            return chunk
    return _parsed_by_record(block, header, first_row)


def _parsed_at_once(block: bytes, header: Sequence[str], first_row: int) -> Chunk | None:
    """What Arrow makes of it; None where Arrow refuses."""
    misfits: list[pacsv.InvalidRow] = []

    def skip(row: pacsv.InvalidRow) -> Literal["skip"]:
        misfits.append(row)
        return "skip"

    if block.count(b'"') % 2:
        return None
    try:
        table = _arrow_table(block, header, skip) if block else _no_rows(header)
    except pa.ArrowInvalid:
        return None
    bad = tuple(
        _misfit(first_row + (row.number or 1) - 1, row.actual_columns, len(header), row.text) for row in misfits
    )
    return Chunk(table, _numbers_without(first_row, table.num_rows + len(bad), {row.row for row in bad}), bad)


def _arrow_table(block: bytes, header: Sequence[str], skip: Callable[[pacsv.InvalidRow], Literal["skip"]]) -> pa.Table:
    return pacsv.read_csv(
        io.BytesIO(block),
        # The row numbers of misfits are known to one thread only; one block, so that they count from its start.
        read_options=pacsv.ReadOptions(use_threads=False, column_names=list(header), block_size=len(block) + 1),
        parse_options=pacsv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            strings_can_be_null=True,
            null_values=[""],
            check_utf8=False,  # done for the whole block
        ),
    )


def _no_rows(header: Sequence[str]) -> pa.Table:
    return pa.table({name: pa.nulls(0, pa.string()) for name in header})


def _numbers_without(first: int, count: int, missing: set[int]) -> Array:
    if not missing:
        return numbers(first, count)
    return pa.array((row for row in range(first, first + count) if row not in missing), pa.int64())


def _misfit(row: int, actual: int, expected: int, raw: str) -> BadRow:
    reason = f"The row has {actual} columns, the header {expected}."
    return BadRow(row, "wrong_columns", reason, raw)


def _parsed_by_record(block: bytes, header: Sequence[str], first_row: int) -> Chunk:
    good: list[list[str]] = []
    rows: list[int] = []
    bad: list[BadRow] = []
    for number, record in enumerate(
        (record for record in records(block) if record.data.strip(_BLANK)), start=first_row
    ):
        values, wrong = _values(record, len(header), number)
        if wrong is None:
            good.append(values)
            rows.append(number)
        else:
            bad.append(wrong)
    columns = zip(*good, strict=True) if good else [()] * len(header)
    arrays = [pa.array([value or None for value in column], pa.string()) for column in columns]
    return Chunk(pa.table(arrays, names=list(header)), pa.array(rows, pa.int64()), tuple(bad))


def _values(record: Record, width: int, number: int) -> tuple[list[str], BadRow | None]:
    wrong = record.fault or fault(record.data)
    if wrong:
        return [], BadRow(number, *wrong, shown(record.data))
    text = record.data.decode().rstrip("\r\n")
    try:
        (values,) = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (csv.Error, ValueError):
        return [], BadRow(number, "malformed_row", "The row's quotes or line breaks are not those of one row.", text)
    if len(values) != width:
        return [], _misfit(number, len(values), width, text)
    return values, None
