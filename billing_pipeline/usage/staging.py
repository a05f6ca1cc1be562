"""Normalised rows → sorted lake files, in bounded memory.

Rows are kept in local files first, sorted by bucket, so that a bucket can be read back without the others. A small
delivery becomes one file a period, a large one a file for each period and bucket.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from billing_pipeline.core.errors import UsageError
from billing_pipeline.usage.arrow import pc
from billing_pipeline.usage.event import DIMENSION_PREFIX, ROWS_PER_BATCH, SORT_ORDER, LakeFile, lake_schema
from billing_pipeline.usage.lake import Lake
from billing_pipeline.usage.sorted_files import ROW_GROUP, by_period, write_table
from billing_pipeline.usage.sources.chunk import MOST_COLUMNS, refuse_names

# More rows than this are split by bucket: a reader of one bucket then skips the rest.
SPLIT_ROWS = 1_000_000
_ROWS_AT_ONCE = 400_000
_BYTES_AT_ONCE = 96 << 20
_BYTES_READ = 64 << 20
_STAGED_GROUP = 1 << 15  # small, so that reading one bucket decodes little of the others
# All revisions are numbers: they are ordered as numbers; otherwise all are ordered as text.
_NUMERIC = r"[+-]?[0-9]{1,26}(\.[0-9]{1,12})?"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one delivery may be, and take while it is prepared: few bytes may expand to more than a disk holds.

    Attributes:
        memory: what sorting may use before it spills.
        disk: what prepared rows may take on disk.
        rows: how many rows there may be.
    """

    memory: str = "256MB"
    disk: str = "50GB"
    rows: int = ROWS_PER_BATCH

    def refuse_size(self, folder: Path) -> None:
        """Refuse a delivery that takes too much disk. Raises UsageError."""
        if sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) > _bytes_of(self.disk):
            raise UsageError(f"The delivery takes more than {self.disk} on disk while it is prepared.", hint=_TOO_MUCH)


def _bytes_of(size: str) -> int:
    """The bytes of a size as settings write it, e.g. ``512MB`` or ``1GiB``."""
    number, unit = size.rstrip("MGTiB"), size.lstrip("0123456789")
    base, power = 1024 if "i" in unit else 1000, "MGT".index(unit[0]) + 2
    return int(number) * int(base**power)


@contextmanager
def within_memory(memory: str) -> Iterator[None]:
    """A block that prepares a delivery. Raises UsageError where it takes more memory than there may be."""
    try:
        yield
    except (MemoryError, duckdb.OutOfMemoryException) as error:
        raise UsageError(f"The delivery cannot be prepared in {memory} of memory.", hint=_TOO_MUCH) from error


_TOO_MUCH = (
    "Split it, or allow more: BILLING_MEMORY, BILLING_STAGING_DISK, BILLING_DELIVERY_ROWS. Nothing was recorded."
)
_NO_LIMITS = Limits()


class Staging:
    """The rows of one delivery on their way into the lake.

    Args:
        folder: a local folder of its own.
        limits: how much the delivery may be and take.
    """

    def __init__(self, folder: Path, limits: Limits = _NO_LIMITS) -> None:
        self._folder = folder
        self._limits = limits
        self._bytes = 0
        self._waiting: list[pa.Table] = []
        self._files: list[str] = []
        self._buckets: set[int] = set()
        self._has_revision = False
        self.rows = 0
        self.dimensions: set[str] = set()
        self.meters: set[int] = set()
        self.scope_periods: dict[int, set[date]] = {}
        self._engine = duckdb.connect(
            config={
                "threads": 1,
                "memory_limit": limits.memory,  # what sorting may use before it spills
                "temp_directory": str(folder / "spill"),
                "max_temp_directory_size": limits.disk,
                "TimeZone": "UTC",
                "autoinstall_known_extensions": False,
            }
        )

    def close(self) -> None:
        """Free the engine; the folder is the caller's to remove."""
        self._engine.close()

    def add(self, table: pa.Table) -> None:
        """Take over the rows of one chunk."""
        if not table.num_rows:
            return
        self.rows += table.num_rows
        self._bytes += table.nbytes
        if self.rows > self._limits.rows:
            raise UsageError(f"The delivery has more than {self._limits.rows:,} rows.", hint=_TOO_MUCH)
        self._waiting.append(self._noted(table))
        if len(self.dimensions) > MOST_COLUMNS:
            refuse_names(self.dimensions)
        if sum(table.num_rows for table in self._waiting) >= _ROWS_AT_ONCE or _size(self._waiting) >= _BYTES_AT_ONCE:
            self._flush()

    def write(self, lake: Lake, *, split_rows: int = SPLIT_ROWS) -> Iterator[LakeFile]:
        """Write the lake's files, one after the other; their batch is not known yet and 0."""
        self._flush()
        if not self.rows:
            return
        if self.rows >= ROWS_PER_BATCH:
            raise UsageError(f"One delivery has at most {ROWS_PER_BATCH:,} rows.", hint="Split it.")
        self._rank_revisions()
        token = uuid4().hex
        for bucket in sorted(self._buckets) if self.rows > split_rows else [None]:
            yield from self._sorted_files(lake, token, bucket)

    def duplicate(
        self,
        event_id_meters: Sequence[int],
        single: Sequence[int] = (),
        grains: Mapping[str, Sequence[int]] | None = None,
    ) -> tuple[int, int] | None:
        """Two rows with one event key, by their numbers; None where each key is there once.

        Args:
            event_id_meters: codes of the meters whose events are told apart by their event_id.
            single: codes of the meters to which each row is an event of its own.
            grains: hour or day → codes of the meters to whose events timestamps within one are the same.
        """
        self._flush()
        if not self.rows:
            return None
        by_event_id = f"meter IN ({_listed(event_id_meters)})"
        timestamp = "timestamp"
        for grain, meters in (grains or {}).items():
            timestamp = (
                f"CASE WHEN meter IN ({_listed(meters)}) THEN date_trunc('{grain}', timestamp) ELSE {timestamp} END"
            )
        others = [timestamp, *(f'"{_quoted(DIMENSION_PREFIX + name)}"' for name in sorted(self.dimensions))]
        key = ["customer", "meter", f"CASE WHEN {by_event_id} THEN event_id END"]
        key += [f"CASE WHEN {by_event_id} THEN NULL ELSE {column} END" for column in others]
        key += ["period", f"CASE WHEN meter IN ({_listed(single)}) THEN row END"]
        for bucket in sorted(self._buckets):
            query = f"""SELECT min(row), min(row, 2)[2] FROM {self._source()} WHERE bucket = {bucket}
                        GROUP BY {", ".join(key)} HAVING count(*) > 1 ORDER BY 1 LIMIT 1"""  # noqa: S608 - our own names
            rows = self._engine.execute(query).fetchone()
            if rows:
                return rows[0], rows[1]
        return None

    def _noted(self, table: pa.Table) -> pa.Table:
        """Remember what is needed about the whole; leave out columns that are empty."""
        self._buckets.update(pc.unique(table["bucket"]).to_pylist())
        self.meters.update(pc.unique(table["meter"]).to_pylist())
        self._has_revision |= table["revision"].null_count < table.num_rows
        scopes = table.filter(pc.is_valid(table["scope"])).group_by(["scope", "period"]).aggregate([])
        for scope_period in scopes.to_pylist():
            self.scope_periods.setdefault(scope_period["scope"], set()).add(scope_period["period"])
        empty = [
            name
            for name in table.column_names
            if name.startswith(DIMENSION_PREFIX) and table[name].null_count == table.num_rows
        ]
        table = table.drop_columns(empty)
        self.dimensions.update(
            name.removeprefix(DIMENSION_PREFIX) for name in table.column_names if name.startswith(DIMENSION_PREFIX)
        )
        return table

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting, promote_options="default")
        path = self._folder / f"{len(self._files):05}.parquet"
        pq.write_table(
            table.sort_by([("bucket", "ascending"), ("period", "ascending")]),
            path,
            row_group_size=_STAGED_GROUP,
            compression="lz4",
        )
        self._files.append(str(path))
        self._waiting = []
        self._limits.refuse_size(self._folder)

    def _source(self) -> str:
        files = ", ".join(f"'{path.replace(chr(39), chr(39) * 2)}'" for path in self._files)
        return f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"

    def _rank_revisions(self) -> None:
        """Where the source numbers its revisions, they and not the file order the rows; those without come first."""
        if not self._has_revision:
            return
        texts = f"FROM {self._source()} WHERE revision IS NOT NULL AND NOT regexp_full_match(revision, '{_NUMERIC}')"
        is_text = self._engine.execute(f"SELECT 1 {texts} LIMIT 1").fetchone()
        order = "revision" if is_text else "revision::DECIMAL(38, 12)"
        self._engine.execute(
            f"""CREATE TABLE place AS SELECT row, row_number() OVER (ORDER BY {order} NULLS FIRST, row) AS place
                FROM {self._source()}"""  # noqa: S608 - our own names
        )

    def _sorted_files(self, lake: Lake, token: str, bucket: int | None) -> Iterator[LakeFile]:
        schema = lake_schema(self.dimensions)
        place = "place" if self._has_revision else "row"
        columns = ", ".join(f'"{_quoted(name)}"' if name != "row" else f"{place} AS row" for name in schema.names)
        query = f"""
            SELECT period, {columns} FROM {self._source()} {"JOIN place USING (row)" if self._has_revision else ""}
            {"" if bucket is None else f"WHERE bucket = {bucket}"} ORDER BY period, {", ".join(SORT_ORDER)}, {place}
        """  # noqa: S608 - our own names
        wide = max(self._bytes // self.rows, 1)  # bytes of a row: as many at once as memory holds several times over
        batches = self._engine.sql(query).to_arrow_reader(max(min(ROW_GROUP, _BYTES_READ // wide), 1))
        for period, tables in by_period(batches):
            name = token if bucket is None else f"{token}-{bucket:04}"
            path = f"{period.isoformat()}/{name}.parquet"
            with lake.new_file(path) as sink:
                written = write_table(sink, schema, tables)
            yield LakeFile(
                path=path,
                batch=0,
                period=period,
                bucket=bucket,
                rows=written.rows,
                retractions=written.retractions,
                sha256=sink.sha256,
                bytes=sink.bytes,
                dimensions=tuple(sorted(self.dimensions)),
                meters=tuple(sorted(written.meters)),
                customers=tuple(sorted(written.customers)),
            )


def _listed(codes: Sequence[int]) -> str:
    return ", ".join(map(str, codes)) or "NULL"


def _quoted(name: str) -> str:
    return name.replace('"', '""')


def _size(tables: list[pa.Table]) -> int:
    return sum(table.nbytes for table in tables)
