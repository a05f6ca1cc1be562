"""Parquet: columns of any type, each as text. Decimals keep every digit; floats become their shortest decimal.

A value that stands a million times in a file may stand there once, so that few bytes hold more than memory does: the
file says how long its rows are before they are read, and a value that is longer than a line of text may be is taken out
before it is made into text.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from billing_pipeline.core.errors import UsageError
from billing_pipeline.usage.arrow import Array, pc
from billing_pipeline.usage.parse import Mask
from billing_pipeline.usage.sources.chunk import LONGEST_LINE, BadRow, Chunk, numbers, text_table

_ROWS = 1 << 17
_BYTES = 32 << 20  # of rows that are made into text at once
_LARGEST_ROW = 64 << 20  # bytes; one that is larger would be in memory several times before anybody could look at it


def read_parquet(path: Path) -> Iterator[Chunk]:
    """The file's rows as chunks of text columns.

    Raises:
        UsageError: the file is empty, truncated or damaged, or its rows are too large to be looked at.
    """
    size = path.stat().st_size
    try:
        with pq.ParquetFile(path) as file:
            rows_at_once, texts = _rows_at_once(file.metadata), _texts(file.schema_arrow)
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            total = max(file.metadata.num_rows, 1)
            yield Chunk(text_table(file.schema_arrow.empty_table()), numbers(1, 0))
            first_row = 1
            for batch in file.iter_batches(batch_size=rows_at_once, use_threads=False):
                for table in _parts(pa.Table.from_batches([batch])):
                    done = first_row - 1 + table.num_rows
                    yield _chunk(table, first_row, size * done // total)
                    first_row += table.num_rows
    except MemoryError:  # Arrow's is one of its own exceptions, too
        raise
    except (pa.ArrowException, OSError) as error:
        raise UsageError(
            f"{path.name} is no whole Parquet file: {error}",
            hint="It is truncated or damaged; deliver it again. Nothing was recorded.",
        ) from error


def _rows_at_once(metadata: pq.FileMetaData) -> int:
    """How many rows to decode at once. Raises UsageError where already one is too large."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    largest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    if largest > _LARGEST_ROW:
        raise UsageError(
            f"Rows of {largest >> 20} MB are no usage: at most {_LARGEST_ROW >> 20} MB can be looked at.",
            hint="Deliver it without the columns that hold them; nothing was recorded.",
        )
    return max(1, min(_ROWS, _BYTES // max(largest, 1)))


def _texts(schema: pa.Schema) -> list[str]:
    """The columns of text, which are read with their dictionaries: what recurs is in memory once."""
    return [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_binary(field.type)]


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    """As many rows at once as do not make too much text."""
    width = sum(_width(column) for column in table.columns)
    rows = max(1, min(_ROWS, _BYTES // max(width, 1)))
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)


def _width(column: Any) -> int:
    """The bytes that a value takes as text: of recurring ones at most, of others on average."""
    if pa.types.is_dictionary(column.type):
        lengths = [pc.max(_lengths(chunk.dictionary)).as_py() or 0 for chunk in column.chunks]
        return min(max(lengths, default=0), LONGEST_LINE)
    return int(column.nbytes) // max(len(column), 1)


def _chunk(table: pa.Table, first_row: int, bytes_read: int) -> Chunk:
    """Rows as text, without those that have a value longer than any line of text may be."""
    rows, long = numbers(first_row, table.num_rows), np.zeros(table.num_rows, np.bool_)
    for column in table.columns:
        long |= np.concatenate([_too_long(chunk) for chunk in column.chunks] or [long])
    if not long.any():
        return Chunk(text_table(table), rows, (), bytes_read)
    reason = f"A value of the row has more than {LONGEST_LINE:,} bytes; no event has."
    bad = tuple(BadRow(first_row + place, "line_too_long", reason, "") for place in np.flatnonzero(long).tolist())
    kept = pa.array(~long)
    return Chunk(text_table(table.filter(kept)), rows.filter(kept), bad, bytes_read)


def _too_long(values: Array) -> Mask:
    if isinstance(values, pa.DictionaryArray):
        long = pc.greater(_lengths(values.dictionary), LONGEST_LINE)
        if not pc.any(long).as_py():
            return np.zeros(len(values), np.bool_)
        return np.asarray(pc.fill_null(long.take(values.indices), False), np.bool_)  # noqa: FBT003 - Arrow's only way
    if not _may_be_long(values.type) or values.nbytes <= LONGEST_LINE:
        return np.zeros(len(values), np.bool_)
    return np.array([values.slice(place, 1).nbytes > LONGEST_LINE for place in range(len(values))], np.bool_)


def _may_be_long(kind: pa.DataType) -> bool:
    """Whether single values of a column that has no dictionary can be of any length."""
    return pa.types.is_nested(kind) or pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)


def _lengths(dictionary: Array) -> Array:
    """How many bytes each value of a dictionary has."""
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    texts = dictionary if any(is_kind(dictionary.type) for is_kind in kinds) else pc.cast(dictionary, pa.string())
    lengths: Array = pc.binary_length(texts)
    return lengths
