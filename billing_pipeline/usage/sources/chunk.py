"""What every source format yields: chunks of text columns, and the rows that cannot even be read as such.

Values stay text until they are normalised, so that no digit is lost to a binary float on the way.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from billing_pipeline.core.errors import UsageError
from billing_pipeline.core.plain_text import printable, shortened
from billing_pipeline.usage.arrow import Array, ChunkedArray, pc

# A line longer than this is no event; it is taken out before a parser sees it.
LONGEST_LINE = 1 << 20
# A file with a line longer than this is no text file: the line would not fit into memory beside everything else.
LARGEST_LINE = 1 << 28
# A value longer than this is no property of an event, and a row whose values are longer together is none either: small
# files expand to many of them.
LONGEST_VALUE = 1 << 14  # bytes
LONGEST_ROW = 1 << 16  # bytes of all values that are used
MOST_COLUMNS = 2_000  # more names of columns than this are values
# Names of columns become names of dimensions: of columns in the lake, of rows in the ledger, in messages.
LONGEST_NAME = 500  # characters


@dataclass(frozen=True, slots=True)
class BadRow:
    r"""A row that cannot be read as columns.

    Attributes:
        row: 1-based number of the data row in the delivery.
        code: what is wrong, for machines.
        reason: what is wrong, for people.
        raw: the row as sent; bytes that are no UTF-8 as ``\xNN``.
    """

    row: int
    code: str
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a delivery that fits into memory easily.

    Attributes:
        table: text columns under the delivery's own names; null where a row has no value.
        rows: int64, the number of each table row in the delivery.
        bad: the rows of this part that are not in ``table``.
        bytes_read: how far into the delivery this part reaches.
    """

    table: pa.Table
    rows: Array
    bad: tuple[BadRow, ...] = ()
    bytes_read: int = 0


def fault_of_name(name: str) -> str | None:
    """Why a column cannot have this name; None where it can."""
    if len(name) > LONGEST_NAME:
        return f"The name of a column has {len(name):,} characters; at most {LONGEST_NAME} are allowed."
    if printable(name) != name:
        return f"The name {shortened(ascii(name))} of a column holds control characters."
    return None


def refuse_names(names: Iterable[str]) -> None:
    """Refuse a delivery whose columns have names that nothing can be called by. Raises UsageError."""
    names = list(names)
    if len(names) > MOST_COLUMNS:
        raise UsageError(
            f"The delivery has more than {MOST_COLUMNS:,} columns.",
            hint="Keep what differs from row to row in values, not in names; nothing was recorded.",
        )
    for fault in filter(None, map(fault_of_name, names)):
        raise UsageError(fault, hint="Rename the column and deliver it again; nothing was recorded.")


def text_table(table: pa.Table) -> pa.Table:
    """``table`` with every column as text: decimals exactly, floats by their shortest repr, nested values as JSON.

    Raises:
        UsageError: two columns have one name.
    """
    names = table.column_names
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UsageError(f"The columns {repeated} appear more than once.", hint="Rename them, then land again.")
    return pa.table([_text_column(column) for column in table.columns], names=names)


def _text_column(column: ChunkedArray) -> ChunkedArray:
    if pa.types.is_string(column.type):
        return column
    if pa.types.is_dictionary(column.type):
        return _text_column(column.cast(column.type.value_type))
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        from billing_pipeline.usage.sources.json_text import as_text

        return pa.chunked_array([pa.array([as_text(value) for value in column.to_pylist()], pa.string())])
    if pa.types.is_null(column.type):
        return pa.chunked_array([pa.nulls(len(column), pa.string())])
    if pa.types.is_timestamp(column.type) and column.type.tz == "UTC":
        # Arrow looks up a zone's offset for each instant, UTC's too; this way it takes a fifteenth of the time.
        column = pc.binary_join_element_wise(column.cast(pa.timestamp(column.type.unit)).cast(pa.string()), "Z", "")
    text: ChunkedArray = pc.cast(column, pa.string())
    return text


def numbers(first: int, count: int) -> Array:
    """Row numbers ``first, first + 1, …``."""
    return pa.array(np.arange(first, first + count, dtype=np.int64))
