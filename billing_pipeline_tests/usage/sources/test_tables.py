"""Parquet, FOCUS and frames: typed columns as text, exactly."""

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from billing_pipeline.core.errors import UsageError
from billing_pipeline.usage.arrow import Array
from billing_pipeline.usage.sources.frame import frame_hash, frame_table, read_frame
from billing_pipeline_tests.servers import with_our_code
from billing_pipeline_tests.usage.sources.delivered import read, read_bytes

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (pa.array(["x"]), "x"),
        (pa.array(["x"]).dictionary_encode(), "x"),
        (pa.array(["x"], pa.large_string()), "x"),
        (pa.array([b"caf\xc3\xa9"]), "café"),
        (pa.array([2**63 - 1]), "9223372036854775807"),
        (pa.array([Decimal("1.500000000000000000")]), "1.500000000000000000"),
        (pa.array([0.1]), "0.1"),  # the shortest text that is this float
        (pa.array([float("inf")]), "inf"),
        (pa.array([True]), "true"),
        (pa.array([date(2026, 1, 5)]), "2026-01-05"),
        (pa.array([NOON], pa.timestamp("us", "UTC")), "2026-01-05 12:00:00.000000Z"),
        (pa.array([NOON], pa.timestamp("ms", "Europe/Berlin")), "2026-01-05 13:00:00.000+0100"),
        (pa.array([NOON.replace(tzinfo=None)], pa.timestamp("us")), "2026-01-05 12:00:00.000000"),
        (pa.array([{"b": 1, "a": [True]}]), '{"a":[true],"b":1}'),
        (pa.array([None]), None),
    ],
)
def test_a_parquet_column_as_text(tmp_path: Path, values: Array, text: str | None) -> None:
    pq.write_table(pa.table({"a": values}), tmp_path / "usage.parquet")
    assert read("parquet", tmp_path / "usage.parquet") == ({1: {"a": text} if text else {}}, [])


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x"] * 1000}), tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    for content in (whole[:-1], whole[: len(whole) // 2], whole[:4], b"", b"not parquet at all"):
        with pytest.raises(UsageError, match="no whole Parquet file"):
            read_bytes("parquet", tmp_path, content)


def test_focus_null_is_null_in_csv_and_parquet(tmp_path: Path) -> None:
    rows, _ = read_bytes("focus", tmp_path, b'RegionId,SkuId\nNULL,"NULL"\neu,NULLABLE\n', "focus.csv")
    assert rows == {1: {}, 2: {"RegionId": "eu", "SkuId": "NULLABLE"}}
    pq.write_table(pa.table({"RegionId": ["NULL", "eu"], "SkuId": ["NULL", "NULLABLE"]}), tmp_path / "focus")
    assert read("focus", tmp_path / "focus")[0] == rows


def test_a_frame_of_pandas_reads_like_one_of_arrow() -> None:
    frame = pd.DataFrame({"value": [Decimal("1.50"), None], "when": pd.to_datetime([NOON, NOON]), "n": ["a", None]})
    (chunk,) = read_frame(frame_table(frame))
    assert chunk.table.to_pylist() == [
        {"value": "1.50", "when": "2026-01-05 12:00:00.000000Z", "n": "a"},
        {"value": None, "when": "2026-01-05 12:00:00.000000Z", "n": None},
    ]
    assert chunk.rows.to_pylist() == [1, 2]


def test_mixed_cells_are_each_their_own_text() -> None:
    frame = pd.DataFrame({"value": pd.Series([1, "2.50", Decimal("3.0"), float("nan"), pd.NaT, NOON], dtype=object)})
    (chunk,) = read_frame(frame_table(frame))
    assert chunk.table["value"].to_pylist() == ["1", "2.50", "3.0", None, None, NOON.isoformat()]


def test_the_hash_of_a_frame_is_of_its_content() -> None:
    one = pa.table({"a": ["1", "2"], "b": ["x", None]})
    same = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[7, 8])
    assert frame_hash(one) == frame_hash(frame_table(same)) == frame_hash(pa.concat_tables([one[:1], one[1:]]))
    assert frame_hash(one) != frame_hash(one.rename_columns(["a", "c"]))
    assert frame_hash(one) != frame_hash(pa.table({"a": ["1", "2"], "b": ["x", ""]}))


def test_a_frame_is_read_alike_where_pandas_is_imported_last() -> None:
    """A program that uses the product as a library may import either first; an index is no data."""
    code = """
from billing_pipeline.usage.sources.frame import frame_hash, frame_table
import pandas, pyarrow
frame = pandas.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[7, 8])
print(frame_hash(frame_table(frame)) == frame_hash(pyarrow.table({"a": ["1", "2"], "b": ["x", None]})))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], env=with_our_code(), capture_output=True, text=True, check=True
    )
    assert ended.stdout == "True\n"


@pytest.mark.parametrize("delivered", [[1, 2], {"a": 1}, None])
def test_what_is_no_frame_is_refused(delivered: object) -> None:
    with pytest.raises(UsageError, match="cannot be read from"):
        frame_table(delivered)


def test_two_columns_of_one_name_are_refused() -> None:
    table = pa.table([pa.array(["1"]), pa.array(["2"])], names=["a", "a"])
    with pytest.raises(UsageError, match="more than once"):
        list(read_frame(table))


def test_a_zone_of_pandas_is_kept() -> None:
    frame = pd.DataFrame({"when": [NOON.astimezone(ZoneInfo("Asia/Kolkata"))]})
    (chunk,) = read_frame(frame_table(frame))
    assert chunk.table["when"].to_pylist() == ["2026-01-05 17:30:00.000000+0530"]
