"""A sorted stream of rows → the files of its periods."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import IO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from billing_pipeline.usage.arrow import pc
from billing_pipeline.usage.lake import Sink

ROW_GROUP = 122_880  # rows that a reader decodes or skips as one


@dataclass(slots=True)
class Written:
    """What a file holds: how many rows and retractions, and the codes of their meters and customers."""

    rows: int = 0
    retractions: int = 0
    meters: set[int] = field(default_factory=set)
    customers: set[int] = field(default_factory=set)


def write_table(sink: Sink, schema: pa.Schema, tables: Iterator[pa.Table]) -> Written:
    """Write one file; returns what it holds."""
    written = Written()
    with pq.ParquetWriter(cast("IO[bytes]", sink), schema, compression="zstd") as writer:
        for table in tables:
            written.rows += table.num_rows
            written.retractions += pc.sum(table["retract"]).as_py() or 0
            written.meters.update(pc.unique(table["meter"]).to_pylist())
            written.customers.update(pc.unique(table["customer"]).to_pylist())
            writer.write_table(table.select(schema.names).cast(schema), row_group_size=ROW_GROUP)
    return written


def by_period(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[date, Iterator[pa.Table]]]:
    """The rows of each period, in order; to be used up before the next period is asked for."""
    parts = (part for batch in batches for part in _split(pa.Table.from_batches([batch])))
    for period, run in groupby(parts, key=itemgetter(0)):
        yield period, (table for _, table in run)


def _split(table: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """A sorted table by its periods."""
    for period in pc.unique(table["period"]).to_pylist():
        yield period, table.filter(pc.equal(table["period"], period))
