"""Lake files from events written in Python: what landing does, without its checks. For tests only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from billing_pipeline.usage.event import ROWS_PER_BATCH, LakeFile, dimension_column, lake_schema

PERIOD = date(2026, 1, 1)
START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2026, 2, 1, tzinfo=UTC)

_FILE = count()


@dataclass(frozen=True, slots=True)
class Row:
    """A report, with the place it arrived at."""

    batch: int
    row: int
    customer: int = 1
    meter: int = 1
    minute: float = 0  # after START; exact to the second
    value: Decimal = Decimal(1)
    dimensions: Mapping[str, str] = field(default_factory=dict)
    event_id: str | None = None
    retract: bool = False
    scope: int | None = None

    @property
    def arrival(self) -> int:
        return self.batch * ROWS_PER_BATCH + self.row

    @property
    def timestamp(self) -> datetime:
        return START + timedelta(minutes=self.minute)


def write_file(folder: Path, rows: Sequence[Row], period: date = PERIOD) -> LakeFile:
    """One lake file with these rows, all of one batch."""
    (batch,) = {row.batch for row in rows}
    dimensions = tuple(sorted({name for row in rows for name, value in row.dimensions.items() if value}))
    columns = [
        {
            "customer": row.customer,
            "meter": row.meter,
            "timestamp": row.timestamp,
            "value": row.value,
            "event_id": row.event_id,
            "retract": row.retract,
            "row": row.row,
            "scope": row.scope,
            **{dimension_column(name): row.dimensions.get(name) or None for name in dimensions},
        }
        for row in sorted(rows, key=lambda row: (row.customer, row.meter, row.timestamp))
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"batch [{batch}] {next(_FILE)}.parquet"
    pq.write_table(pa.Table.from_pylist(columns, lake_schema(dimensions)), path, compression="zstd")
    retractions = sum(row.retract for row in rows)
    return LakeFile(str(path), batch, period, None, len(rows), retractions, "", path.stat().st_size, dimensions)


def write_lake(folder: Path, rows: Iterable[Row], period: date = PERIOD) -> list[LakeFile]:
    """A file for each batch."""
    batches: dict[int, list[Row]] = {}
    for row in rows:
        batches.setdefault(row.batch, []).append(row)
    return [write_file(folder, batch, period) for batch in batches.values()]
