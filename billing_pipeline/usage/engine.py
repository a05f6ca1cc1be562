"""The set-based engine: DuckDB under Ibis, with a bound on its memory, reading lake files wherever they lie.

Expressions are built elsewhere and know no engine; only reading files, storing tables and fetching rows happen here.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
from fsspec import filesystem

import billing_pipeline.usage.arrow  # noqa: F401 - settles whether Arrow's lists need pandas
from billing_pipeline.core.errors import UsageError
from billing_pipeline.core.private_files import make_private_folder
from billing_pipeline.usage.event import DIMENSION_PREFIX, LakeFile, dimension_column, lake_schema

BATCH, PERIOD = "batch", "period"  # the columns that reading adds from the manifest: a file does not know them
_ADDED: "tuple[pa.Field[Any], ...]" = (pa.field(BATCH, pa.int64()), pa.field(PERIOD, pa.date32()))
_MANIFEST = pa.schema([pa.field("filename", pa.string()), *_ADDED])
_PROTOCOL = re.compile(r"^[a-z0-9+]+:/*")  # engines write it with one, two or three slashes
_STREAMED = 1 << 16  # rows at once
_FEW = 200  # customers named in the query itself, so that the reader skips what does not hold them
_GLOB = str.maketrans({"[": "[[]", "*": "[*]", "?": "[?]"})


class Overflow(UsageError):  # noqa: N818 - what happened, as the built-in OverflowError's own word
    """A sum or product has more digits than the engine's widest decimal (38)."""


class Engine:
    """The engine is one DuckDB in memory, closed with the ``with`` block; what does not fit spills to its own folder.

    Args:
        memory: the most it may hold before it spills, e.g. ``512MB``.
        temp_directory: where its folder for spilling is made; the system's place by default.
    """

    def __init__(self, *, memory: str = "512MB", temp_directory: Path | None = None) -> None:
        if temp_directory is not None:
            make_private_folder(temp_directory)
        self._spill = mkdtemp(prefix="billing-engine-", dir=temp_directory)
        self._ibis = ibis.duckdb.connect(
            memory_limit=memory,
            threads=1,  # buckets are computed in parallel, by processes
            temp_directory=self._spill,
            preserve_insertion_order=False,  # sorting out the order of files costs memory, and no result depends on it
            TimeZone="UTC",
            autoinstall_known_extensions=False,  # nothing is downloaded behind anyone's back
        )
        self._ibis.raw_sql("SET enable_progress_bar = false")  # what is printed is ours to decide
        self._protocols: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the engine's memory and remove what it spilled."""
        self._ibis.disconnect()
        rmtree(self._spill, ignore_errors=True)

    def read(self, files: Sequence[LakeFile], customers: Collection[int] | None = None) -> ir.Table:
        """The events of these files, with their ``batch`` and ``period``; a column per dimension of any file.

        A file without a dimension's column reads as events without the dimension. Files are sorted by customer, so
        that naming ``customers`` skips most of what does not concern them.

        Raises:
            UsageError: a file is missing, unreadable, or its columns are not those of the lake.
        """
        dimensions = {name for file in files for name in file.dimensions}
        if not files:
            columns = [*lake_schema(()), *_ADDED]
            return ibis.memtable(pa.schema([column.with_nullable(nullable=True) for column in columns]).empty_table())
        for file in files:
            self._register(file.path)
        events = self._parquet([file.path for file in files])
        missing = {*lake_schema(()).names, *map(dimension_column, dimensions)} - {*events.columns}
        if missing:
            raise UsageError(
                f"The lake files have no column {', '.join(sorted(map(repr, missing)))}, which the manifest lists.",
                hint="A lake file was changed after it was accepted; restore it from a backup.",
            )
        if customers is not None:
            events = self.only(events, customers)
        return _with_manifest(events, files)

    def only(self, events: ir.Table, customers: Collection[int]) -> ir.Table:
        """The events of these customers."""
        if len(customers) <= _FEW:
            return events.filter(events.customer.isin(sorted(customers)))
        some = pa.table({"customer": pa.array(sorted(customers), pa.int32())})
        near = events.filter(events.customer.between(min(customers), max(customers)))
        return near.semi_join(ibis.memtable(some), "customer")

    @contextmanager
    def stored(self, table: ir.Table | pa.Table) -> Iterator[ir.Table]:
        """``table``, computed once and kept until the block ends."""
        expression = ibis.memtable(table) if isinstance(table, pa.Table) else table
        name = ibis.util.gen_name("billing")
        with _explained():
            stored = self._ibis.create_table(name, expression, temp=True)
        try:
            yield stored
        finally:
            self._ibis.con.execute(f'DROP TABLE "{name}"')  # Ibis 12 writes a DROP that newer sqlglots leave empty

    def fetch(self, table: ir.Table) -> pa.Table:
        """The rows of a small result.

        Raises:
            Overflow: a sum or product does not fit 38 digits.
            UsageError: a file cannot be read, or the engine refuses for another reason.
        """
        # Past Ibis here too: on the way to rows it imports pandas, which is a quarter of a short command.
        given = {memory.name: memory.data.to_pyarrow(memory.schema) for memory in table.op().find(ops.InMemoryTable)}
        for name, rows in given.items():
            self._ibis.con.register(name, rows)
        try:
            with _explained():
                result: pa.Table = self._ibis.con.sql(self._ibis.compile(table)).to_arrow_table()
                return result.cast(table.schema().to_pyarrow())
        finally:
            for name in given:
                self._ibis.con.unregister(name)

    def stream(self, table: ir.Table) -> Iterator[pa.RecordBatch]:
        """The rows of a result that may be large, bit by bit and in its order, made of stored tables and files alone.

        Use them up before anything else is asked. Raises as :meth:`fetch`.
        """
        with _explained():  # past Ibis, whose own way to do it newer DuckDBs do not have any more
            yield from self._ibis.con.sql(self._ibis.compile(table)).to_arrow_reader(_STREAMED)

    def _parquet(self, paths: Sequence[str]) -> ir.Table:
        name = ibis.util.gen_name("lake")
        with _explained():
            self._ibis.con.read_parquet(
                [path.translate(_GLOB) for path in paths], filename=True, union_by_name=True, hive_partitioning=False
            ).create_view(name)
            return self._ibis.table(name)

    def _register(self, path: str) -> None:
        protocol = urlsplit(path).scheme
        if protocol and protocol != "file" and protocol not in self._protocols:
            self._ibis.register_filesystem(filesystem(protocol))
            self._protocols.add(protocol)


@ibis.udf.scalar.builtin(name="error", signature=((dt.string,), dt.int64))  # type: ignore[untyped-decorator]
def _error(message: str) -> int:  # type: ignore[empty-body]
    """DuckDB's way to end a query that went wrong."""


def _with_manifest(events: ir.Table, files: Sequence[LakeFile]) -> ir.Table:
    """Give each event its file's batch and period. An event of no known file ends the query: none is ever lost."""
    batches = {_PROTOCOL.sub("", file.path): (file.batch, file.period) for file in files}
    assert len(batches) == len(files), "a lake lies in one place, and the manifest names a file once"  # noqa: S101
    rows = [{"filename": path, BATCH: batch, PERIOD: period} for path, (batch, period) in batches.items()]
    manifest = ibis.memtable(pa.Table.from_pylist(rows, _MANIFEST))
    named = events.mutate(filename=events.filename.re_replace(_PROTOCOL.pattern, ""))
    joined = named.left_join(manifest, "filename")
    unknown = _error(ibis.literal("A lake file is not in the manifest: ") + joined.filename)
    return joined.mutate(batch=joined[BATCH].fill_null(unknown)).drop("filename", "filename_right")


@contextmanager
def _explained() -> Iterator[None]:
    """Say in our words what the engine could not do."""
    try:
        yield
    except duckdb.OutOfRangeException as error:
        raise Overflow(
            f"A quantity does not fit 38 digits: {_first_line(error)}",
            hint="Meter in a larger unit, or correct the events whose values are absurd.",
        ) from error
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise UsageError(
            f"The usage lake cannot be read: {_first_line(error)}.",
            hint="Every file in the manifest must stay as it was accepted; restore it from a backup.",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def dimensions_of(columns: Iterable[str]) -> tuple[str, ...]:
    """The dimension columns among a table's columns."""
    return tuple(column for column in columns if column.startswith(DIMENSION_PREFIX))


def customers_in(engine: Engine, files: Sequence[LakeFile], meters: Collection[int] | None = None) -> set[int]:
    """The codes of all customers in these files, or of those with events of some meters, reading nothing else."""
    events = engine.read(files)
    if meters is not None:
        events = events.filter(events.meter.isin(sorted(meters)))
    customers = events.select("customer").distinct()
    return {code for code in engine.fetch(customers)["customer"].to_pylist() if code is not None}
