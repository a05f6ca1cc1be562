"""The engine reads lake files wherever they lie, tells what is wrong with them, and leaves nothing behind."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from billing_pipeline.core.errors import UsageError
from billing_pipeline.usage.engine import Engine, Overflow, _with_manifest, customers_in
from billing_pipeline_tests.usage.lake_writer import PERIOD, Row, write_file, write_lake


def test_files_are_read_as_one_table_with_the_dimensions_of_all(engine: Engine, tmp_path: Path) -> None:
    files = [
        write_file(tmp_path, [Row(1, 0, dimensions={"a": "x"})]),
        write_file(tmp_path / "bucket=1", [Row(2, 0, dimensions={'Größe / "B"': "y"})]),
    ]
    rows = engine.fetch(engine.read(files).order_by("batch")).to_pylist()
    assert [(row["batch"], row["period"], row["dim_a"], row['dim_Größe / "B"']) for row in rows] == [
        (1, PERIOD, "x", None),
        (2, PERIOD, None, "y"),
    ]
    assert "bucket" not in rows[0]  # no columns from folder names


@pytest.fixture
def in_memory() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/", recursive=True)


def test_a_lake_may_be_any_fsspec_url(engine: Engine, tmp_path: Path, in_memory: fsspec.AbstractFileSystem) -> None:
    file = write_file(tmp_path, [Row(3, 0, customer=5)])
    in_memory.pipe("/lake/one.parquet", Path(file.path).read_bytes())
    elsewhere = replace(file, path="memory://lake/one.parquet")
    assert engine.fetch(engine.read([elsewhere]))["batch"].to_pylist() == [3]
    assert customers_in(engine, [elsewhere]) == {5}


def test_the_customers_of_files(engine: Engine, tmp_path: Path) -> None:
    rows = [Row(1 + place % 3, place, customer=place % 7) for place in range(50)]
    assert customers_in(engine, write_lake(tmp_path, rows)) == set(range(7))
    assert customers_in(engine, []) == set()


def test_a_missing_file_is_named(engine: Engine, tmp_path: Path) -> None:
    file = write_file(tmp_path, [Row(1, 0)])
    Path(file.path).unlink()
    with pytest.raises(UsageError, match=r"No files found.*batch.*restore it"):
        engine.fetch(engine.read([file]))


def test_an_event_of_an_unknown_file_ends_the_query(engine: Engine, tmp_path: Path) -> None:
    """A join that finds no partner would lose usage silently."""
    file = write_file(tmp_path, [Row(1, 0)])
    table = engine._parquet([file.path])
    with pytest.raises(UsageError, match="not in the manifest"):
        engine.fetch(_with_manifest(table, [replace(file, path="elsewhere.parquet")]))


def test_a_truncated_file_is_an_error(engine: Engine, tmp_path: Path) -> None:
    file = write_file(tmp_path, [Row(1, 0)])
    Path(file.path).write_bytes(Path(file.path).read_bytes()[:-20])
    with pytest.raises(UsageError, match="cannot be read"):
        engine.fetch(engine.read([file]))


def test_a_file_without_a_listed_dimension_is_an_error(engine: Engine, tmp_path: Path) -> None:
    file = replace(write_file(tmp_path, [Row(1, 0)]), dimensions=("region",))
    with pytest.raises(UsageError, match="dim_region"):
        engine.read([file])


def test_dimensions_that_differ_only_in_case_are_an_error_and_not_merged(engine: Engine, tmp_path: Path) -> None:
    """Landing refuses them; the engine's column names do not know case."""
    files = write_lake(tmp_path, [Row(1, 0, dimensions={"region": "eu"}), Row(2, 0, dimensions={"Region": "us"})])
    with pytest.raises(UsageError, match=r"dim_[rR]egion"):
        engine.read(files)


def test_a_sum_beyond_38_digits_raises_and_does_not_wrap(engine: Engine) -> None:
    large = ibis.memtable(pa.table({"value": pa.array([9 * 10**37] * 2, pa.decimal128(38, 0))}))
    with pytest.raises(Overflow, match="38 digits"):
        engine.fetch(large.aggregate(total=large.value.sum()))


def test_a_stored_table_lives_as_long_as_its_block(engine: Engine) -> None:
    with engine.stored(pa.table({"a": [1, 2]})) as table:
        assert engine.fetch(table.aggregate(total=table.a.sum()))["total"].to_pylist() == [3]
    with pytest.raises(Exception, match="does not exist"):
        engine.fetch(table)


def test_closing_removes_what_was_spilled(tmp_path: Path) -> None:
    with Engine(memory="100MB", temp_directory=tmp_path / "spill"):
        assert len(list((tmp_path / "spill").iterdir())) == 1
    assert not list((tmp_path / "spill").iterdir())


def test_more_than_fits_spills(tmp_path: Path) -> None:
    """Three million groups need some 200 MB; the engine has 64."""
    with Engine(memory="64MB", temp_directory=tmp_path) as engine:
        numbers = pa.table({"n": pa.array(range(1_500_000), pa.int64())})
        pq.write_table(numbers, tmp_path / "numbers.parquet")
        table = ibis.memtable(numbers)
        groups = table.mutate(text=table.n.cast("string") + " and some more text").group_by("text").agg(n=table.n.max())
        with engine.stored(groups) as stored:
            assert engine.fetch(stored.aggregate(rows=stored.count()))["rows"].to_pylist() == [1_500_000]
