"""What a usage event looks like in the lake, shared by those who write it and those who read it.

One row is one report that a customer used something. Rows are immutable; a correction is a later row with the same
event key. Which batch a row came with is known from its file, so that a file's bytes do not depend on its number.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

# 18 digits before the point and 12 after it; what does not fit is quarantined, never rounded.
VALUE_PRECISION = 30
VALUE_SCALE = 12
MULTIPLIER_SCALE = 6

# Dimension names are arbitrary text; the prefix keeps them apart from our own columns.
DIMENSION_PREFIX = "dim_"

# The arrival is the one order in which everything was received: batch number x ROWS_PER_BATCH + row in the batch.
# There is room for 2**31 batches of 2**32 rows each in one signed 64-bit number.
ROWS_PER_BATCH = 2**32

SORT_ORDER = ("customer", "meter", "timestamp")


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One Parquet file of the lake, as the ledger's manifest names it. Files are immutable.

    Attributes:
        path: a local path or any fsspec URL.
        batch: the batch whose rows it holds; with the row number it gives the arrival.
        period: first local day of the billing period that holds all its timestamps.
        bucket: the customer bucket that holds all its customers, or None where it may hold any.
        rows: how many events it holds, > 0.
        retractions: how many of them are retractions; where no file has any, dedupe is simpler.
        sha256: of its bytes, in hex.
        bytes: its size.
        dimensions: names of the dimensions it has columns for, without the prefix.
        meters: codes of the meters it has events of: later periods read only files with events that last into them.
        customers: codes of the customers it has events of, from who writes it; who reads the manifest asks when needed.
    """

    path: str
    batch: int
    period: date
    bucket: int | None
    rows: int
    retractions: int
    sha256: str
    bytes: int
    dimensions: tuple[str, ...]
    meters: tuple[int, ...] = ()
    customers: tuple[int, ...] = ()


def dimension_column(dimension: str) -> str:
    """The lake's column of a dimension."""
    return DIMENSION_PREFIX + dimension


def lake_schema(dimensions: Iterable[str]) -> "pa.Schema":
    """The schema of a file that holds these dimensions: text, null where the event does not have it (never '')."""
    import pyarrow as pa  # here: whoever only names files needs no engine

    fields: list[pa.Field[Any]] = [
        pa.field("customer", pa.int32(), nullable=False),  # the ledger's code
        pa.field("meter", pa.int16(), nullable=False),  # the ledger's code
        pa.field("timestamp", pa.timestamp("us", tz="UTC"), nullable=False),  # when it was used
        pa.field("value", pa.decimal128(VALUE_PRECISION, VALUE_SCALE), nullable=False),
        pa.field("event_id", pa.string()),
        pa.field("retract", pa.bool_(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),  # place inside the batch: of `revision`, else of the file
        pa.field("scope", pa.int32()),  # the ledger's code of the snapshot scope that this row's delivery replaces
    ]
    return pa.schema([*fields, *(pa.field(dimension_column(name), pa.string()) for name in sorted(dimensions))])
