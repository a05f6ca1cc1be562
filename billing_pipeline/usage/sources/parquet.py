"""Parquet: columns of any type, each as text. Decimals keep every digit; floats become their shortest decimal."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from billing_pipeline.core.errors import UsageError
from billing_pipeline.usage.sources.chunk import Chunk, numbers, text_table

_ROWS = 1 << 17


def read_parquet(path: Path) -> Iterator[Chunk]:
    """The file's rows as chunks of text columns.

    Raises:
        UsageError: the file is empty, truncated or damaged.
    """
    size = path.stat().st_size
    try:
        with pq.ParquetFile(path) as file:
            total = max(file.metadata.num_rows, 1)
            yield Chunk(text_table(file.schema_arrow.empty_table()), numbers(1, 0))
            first_row = 1
            for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
                done = first_row - 1 + batch.num_rows
                table = text_table(pa.Table.from_batches([batch]))
                yield Chunk(table, numbers(first_row, batch.num_rows), (), size * done // total)
                first_row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise UsageError(
            f"{path.name} is no whole Parquet file: {error}",
            hint="It is truncated or damaged; deliver it again. Nothing was recorded.",
        ) from error
