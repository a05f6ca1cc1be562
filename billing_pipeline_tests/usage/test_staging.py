"""Staging: small deliveries become one file a period, large ones one for each bucket, all sorted, none lost."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from billing_pipeline.usage import staging as module
from billing_pipeline.usage.event import LakeFile, lake_schema
from billing_pipeline.usage.lake import Lake
from billing_pipeline.usage.staging import Staging

JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)


def rows(*customers: int, period: date = JANUARY, first: int = 1, **columns: object) -> pa.Table:
    """Events of some customers, whose buckets are their last binary digit."""
    count = len(customers)
    same = {"event_id": None, "retract": False, "scope": None, "revision": None, "dim_region": "eu", **columns}
    schema = lake_schema(["region"]).remove(6)
    arrays = {
        field.name: pa.array([same.get(field.name)] * count, field.type) for field in schema if field.name in same
    }
    return pa.table(
        {
            "customer": pa.array(customers, pa.int32()),
            "meter": pa.array([1] * count, pa.int16()),
            "timestamp": pa.array(
                [datetime(period.year, period.month, 5, tzinfo=UTC)] * count, pa.timestamp("us", "UTC")
            ),
            "value": pa.array([Decimal(at) for at in range(count)], pa.decimal128(30, 12)),
            "row": pa.array(range(first, first + count), pa.int64()),
            "bucket": pa.array([one % 2 for one in customers], pa.int16()),
            "period": pa.array([period] * count, pa.date32()),
            "revision": pa.array([same["revision"]] * count, pa.string()),
            **arrays,
        }
    )


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    made = Staging(tmp_path)
    yield made
    made.close()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.at(str(tmp_path / "lake"))


def customers(lake: Lake, file: LakeFile) -> list[Any]:
    return content(lake, file)["customer"].to_pylist()


def content(lake: Lake, file: LakeFile) -> pa.Table:
    return pq.read_table(f"{lake.root}/{file.path}")


def test_a_small_delivery_is_one_sorted_file_a_period(staging: Staging, lake: Lake) -> None:
    staging.add(rows(3, 1))
    staging.add(rows(2, first=3))
    staging.add(rows(9, period=FEBRUARY, first=4))
    january, february = staging.write(lake)
    assert (january.period, january.bucket, january.rows) == (JANUARY, None, 3)
    assert (february.period, february.rows, february.dimensions) == (FEBRUARY, 1, ("region",))
    assert content(lake, january)["customer"].to_pylist() == [1, 2, 3]
    assert content(lake, january)["row"].to_pylist() == [2, 3, 1]


def test_a_large_one_is_a_file_for_each_period_and_bucket(
    staging: Staging, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 3)
    for first in range(1, 31, 3):
        staging.add(rows(first, first + 1, first + 2, first=first, period=FEBRUARY if first > 15 else JANUARY))
    files = list(staging.write(lake, split_rows=10))
    assert [(one.period, one.bucket) for one in files] == [(JANUARY, 0), (FEBRUARY, 0), (JANUARY, 1), (FEBRUARY, 1)]
    assert [{code % 2 for code in customers(lake, file)} for file in files] == [{0}, {0}, {1}, {1}]
    assert sorted(code for file in files for code in customers(lake, file)) == list(range(1, 31))
    assert all(customers(lake, file) == sorted(customers(lake, file)) for file in files)


def test_a_file_is_what_its_row_in_the_manifest_says(staging: Staging, lake: Lake) -> None:
    staging.add(rows(1, 2, retract=True))
    staging.add(rows(3, first=3))
    (file,) = staging.write(lake)
    written = Path(lake.root, file.path).read_bytes()
    assert (file.bytes, file.sha256) == (len(written), sha256(written).hexdigest())
    assert (file.rows, file.retractions) == (3, 2)
    assert content(lake, file).schema.equals(lake_schema(["region"]))
    assert pq.read_metadata(f"{lake.root}/{file.path}").row_group(0).column(0).compression == "ZSTD"


def test_dimensions_may_differ_from_chunk_to_chunk(staging: Staging, lake: Lake) -> None:
    staging.add(rows(1, dim_region=None))
    staging.add(rows(2, first=2).append_column('dim_a"b', pa.array(["x"])))
    (file,) = staging.write(lake)
    assert file.dimensions == ('a"b', "region")
    assert content(lake, file).select(['dim_a"b', "dim_region"]).to_pylist() == [
        {'dim_a"b': None, "dim_region": None},
        {'dim_a"b': "x", "dim_region": "eu"},
    ]


def test_nothing_is_no_file(staging: Staging, lake: Lake) -> None:
    staging.add(rows())
    assert list(staging.write(lake)) == []
    assert staging.duplicate([]) is None


@pytest.mark.parametrize(
    ("second", "found"),
    [
        ({}, (1, 2)),
        ({"dim_region": "us"}, None),
        ({"dim_region": None}, None),
        ({"event_id": "8"}, (1, 2)),
        ({"period": FEBRUARY}, None),
    ],
)
def test_duplicates_by_identity(staging: Staging, second: dict[str, object], found: tuple[int, int] | None) -> None:
    staging.add(rows(1, event_id="7"))
    staging.add(rows(1, first=2, **({"event_id": "7"} | second)))  # type: ignore[arg-type]
    assert staging.duplicate([]) == found


@pytest.mark.parametrize(
    ("second", "found"), [({"dim_region": "us"}, (1, 2)), ({"event_id": "8"}, None), ({"period": FEBRUARY}, None)]
)
def test_duplicates_by_event_id(staging: Staging, second: dict[str, object], found: tuple[int, int] | None) -> None:
    staging.add(rows(1, event_id="7"))
    staging.add(rows(1, first=2, **({"event_id": "7"} | second)))  # type: ignore[arg-type]
    assert staging.duplicate([1]) == found
