"""Files in FOCUS, the FinOps Foundation's cost and usage format, as CSV or Parquet; the text ``NULL`` is null.

Source: https://focus.finops.org, 1.0: columns, and 'Null handling'.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from billing_pipeline.usage.arrow import ChunkedArray, pc
from billing_pipeline.usage.sources.chunk import Chunk
from billing_pipeline.usage.sources.csv import read_csv
from billing_pipeline.usage.sources.parquet import read_parquet

_PARQUET_MAGIC = b"PAR1"


def read_focus(path: Path) -> Iterator[Chunk]:
    """The file's rows as chunks of text columns, whichever of the two formats it has."""
    with path.open("rb") as file:
        is_parquet = file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC or path.suffix.lower() == ".parquet"
    for chunk in (read_parquet if is_parquet else read_csv)(path):
        columns = [_without_null_text(column) for column in chunk.table.columns]
        yield replace(chunk, table=pa.table(columns, names=chunk.table.column_names))


def _without_null_text(column: ChunkedArray) -> ChunkedArray:
    texts: ChunkedArray = pc.if_else(pc.equal(column, "NULL"), pa.scalar(None, pa.string()), column)
    return texts
