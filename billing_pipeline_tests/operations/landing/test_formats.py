"""Each format and each kind of mapping, end to end into the lake."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from billing_pipeline.core.errors import UsageError
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.land import land
from billing_pipeline_tests.operations.landing.landing_ledger import (
    add_catalog,
    events,
    quarantined,
    reconciles,
    rows_of,
    write,
)

TEN = datetime(2026, 1, 5, 10, tzinfo=UTC)
EVENT = {"customer": "acme", "meter": "gb", "timestamp": "2026-01-05T10:00:00Z", "value": "1.50"}


def test_columns_as_the_source_maps_them(billing: Billing, tmp_path: Path) -> None:
    add_catalog(
        billing,
        tmp_path,
        """
        sources: [{id: mapped, format: csv, event: {customer: account, meter: {value: gb}, timestamp: ended,
                   value: used, dimensions: {region: zone, cloud: {value: aws}}, event_id: id}}]
        """,
    )
    header = "id,account,ended,used,zone,cost"
    path = write(tmp_path / "usage.csv", [header, "7,acme,2026-01-05T10:00:00Z,2,eu,9.99"])
    assert land(billing, "mapped", path).accepted == 1
    columns = ("customer", "event_id", "value", "dim_region", "dim_cloud", "dim_cost")
    assert events(billing, *columns) == [("acme", "7", Decimal(2), "eu", "aws", None)]


def test_revisions_order_the_rows_of_a_delivery_as_numbers(billing: Billing, tmp_path: Path) -> None:
    header = "customer,meter,timestamp,value,region,id,version,retracted"
    rows = [
        f"acme,gb,2026-01-05T10:00:00Z,{value},eu,,{version}," for value, version in ((1, 10), (2, 9), (3, ""), (4, 9))
    ]
    land(billing, "logs", write(tmp_path / "usage.csv", [header, *rows]))
    assert events(billing, "value", "row") == [(Decimal(3), 1), (Decimal(2), 2), (Decimal(4), 3), (Decimal(1), 4)]


def test_revisions_that_are_not_all_numbers_order_as_text(billing: Billing, tmp_path: Path) -> None:
    header = "customer,meter,timestamp,value,region,id,version,retracted"
    rows = [f"acme,gb,2026-01-05T10:00:00Z,{value},eu,,{version}," for value, version in ((1, "b"), (2, 9), (3, 10))]
    land(billing, "logs", write(tmp_path / "usage.csv", [header, *rows]))
    assert [value for (value,) in events(billing, "value")] == [Decimal(3), Decimal(2), Decimal(1)]


def test_retractions_need_no_value(billing: Billing, tmp_path: Path) -> None:
    header = "customer,meter,timestamp,value,region,id,version,retracted"
    rows = [f"acme,gb,2026-01-05T10:00:00Z,,eu,,,{flag}" for flag in ("yes", "no", "maybe")]
    result = land(billing, "logs", write(tmp_path / "usage.csv", [header, *rows]))
    assert result.reasons == {"missing_value": 1, "bad_retract": 1}
    assert events(billing, "retract", "value") == [(True, Decimal(0))]
    assert rows_of(billing, "SELECT retractions FROM lake_file") == [(1,)]


def test_a_meter_that_counts_needs_no_value(billing: Billing, tmp_path: Path) -> None:
    path = write(tmp_path / "usage.jsonl", [json.dumps({**EVENT, "meter": "requests", "value": None})])
    assert land(billing, "lines", path).accepted == 1


def test_json_lines_may_nest_their_dimensions(billing: Billing, tmp_path: Path) -> None:
    lines = [json.dumps({**EVENT, "dimensions": {"region": "eu", "gb": 1.5}}), json.dumps({**EVENT, "region": "us"})]
    land(billing, "lines", write(tmp_path / "usage.jsonl", lines))
    assert events(billing, "value", "dim_region", "dim_gb") == [
        (Decimal("1.5"), "eu", "1.5"),
        (Decimal("1.5"), "us", None),
    ]


def test_a_dimension_that_is_there_twice_and_differs(billing: Billing, tmp_path: Path) -> None:
    lines = [json.dumps({**EVENT, "region": "eu", "dimensions": {"region": other}}) for other in ("eu", "us")]
    assert land(billing, "lines", write(tmp_path / "usage.jsonl", lines)).reasons == {"dimension_twice": 1}


def test_parquet_of_typed_columns(billing: Billing, tmp_path: Path) -> None:
    table = pa.table(
        {
            "customer": ["acme", "beta"],
            "meter": pa.array(["gb", "gb"]).dictionary_encode(),
            "timestamp": pa.array([TEN, TEN], pa.timestamp("ns", "Europe/Berlin")),
            "value": pa.array([Decimal("0.000000000001"), Decimal(123456789012345678)], pa.decimal128(30, 12)),
            "cores": [4, None],
        }
    )
    pq.write_table(table, tmp_path / "usage.parquet")
    assert land(billing, "parquet", tmp_path / "usage.parquet").accepted == 2
    assert events(billing, "customer", "timestamp", "value", "dim_cores") == [
        ("acme", TEN, Decimal("1E-12"), "4"),
        ("beta", TEN, Decimal(123456789012345678), None),
    ]


FOCUS_HEADER = "SubAccountId,ChargePeriodStart,ConsumedQuantity,ConsumedUnit,ServiceName,SkuId,Tags"


def test_focus_with_a_constant_meter(billing: Billing, tmp_path: Path) -> None:
    rows = [
        'acme,2026-01-05 10:00:00,1.500000000000000,GB,S3,X1,"{""a"": ""b""}"',
        "acme,2026-01-05 10:00:00,2,GB,S3,NULL,NULL",
        "acme,2026-01-05 10:00:00,NULL,NULL,S3,X1,NULL",
    ]
    result = land(billing, "focus", write(tmp_path / "focus.csv", [FOCUS_HEADER, *rows]))
    assert result.reasons == {"missing_value": 1}
    assert events(billing, "timestamp", "value", "dim_ServiceName", "dim_SkuId", "dim_Tags") == [
        (TEN, Decimal("1.5"), "S3", "X1", None),
        (TEN, Decimal(2), "S3", None, None),
    ]


def test_focus_without_a_mapping_meters_by_unit(billing: Billing, tmp_path: Path) -> None:
    add_catalog(billing, tmp_path, "sources: [{id: cur, format: focus}]\nmeters: [{id: GB, aggregation: sum}]")
    rows = ["acme,2026-01-05 10:00:00,1,GB,S3,X1,NULL", "acme,2026-01-05 10:00:00,1,Hours,EC2,X1,NULL"]
    result = land(billing, "cur", write(tmp_path / "focus.csv", [FOCUS_HEADER, *rows]))
    assert (result.accepted, result.reasons) == (1, {"unknown_meter": 1})


def test_cloudevents_map_themselves(billing: Billing, tmp_path: Path) -> None:
    event = {
        "specversion": "1.0",
        "type": "gb",
        "source": "/g",
        "id": "7",
        "time": EVENT["timestamp"],
        "subject": "acme",
    }
    lines = [
        json.dumps({**event, "data": {"value": 1.50, "region": "eu"}}),
        json.dumps({**event, "type": "unique", "data": {"value": "2", "retract": True}}),
        json.dumps({**event, "subject": None}),
    ]
    assert land(billing, "events", write(tmp_path / "usage.json", lines)).reasons == {"missing_customer": 1}
    assert events(billing, "customer", "value", "event_id", "retract", "dim_region") == [
        ("acme", Decimal("1.5"), "/g/7", False, "eu"),
        ("acme", Decimal(2), "/g/7", True, None),
    ]
    assert quarantined(billing, "row", "column") == [(3, "subject")]


@pytest.mark.parametrize("make", [pd.DataFrame, pa.table])
def test_frames(billing: Billing, make: type) -> None:
    columns: dict[str, list[str | None]] = {name: [value, value] for name, value in {**EVENT, "meter": "gb"}.items()}
    columns["region"] = ["eu", None]
    first, second = land(billing, "bare", make(columns)), land(billing, "bare", make(columns))
    assert (first.name, first.rows, first.accepted) == ("frame", 2, 2)
    assert (second.batch, second.already) == (first.batch, True)
    assert events(billing, "customer", "value", "dim_region") == [
        ("acme", Decimal("1.5"), "eu"),
        ("acme", Decimal("1.5"), None),
    ]


def test_a_frame_is_the_same_delivery_from_pandas_and_arrow(billing: Billing) -> None:
    columns = {name: [value] for name, value in EVENT.items()}
    assert land(billing, "bare", pd.DataFrame(columns)).batch == land(billing, "bare", pa.table(columns)).batch


def test_a_frame_without_a_mapped_column_is_refused(billing: Billing) -> None:
    with pytest.raises(UsageError, match="no column 'value'"):
        land(billing, "lines", pa.table({"customer": ["acme"], "meter": ["gb"], "timestamp": ["x"]}))


def test_a_file_at_a_url(billing: Billing, tmp_path: Path) -> None:
    path = write(tmp_path / "usage.jsonl", [json.dumps(EVENT)])
    result = land(billing, "lines", f"file://{path}")
    assert (result.name, result.accepted) == ("usage.jsonl", 1)
    assert land(billing, "lines", path).already, "the same content, from wherever"
    assert reconciles(billing)


def test_progress_is_told(billing: Billing, tmp_path: Path) -> None:
    path = write(tmp_path / "usage.jsonl", [json.dumps({**EVENT, "n": n}) for n in range(100)])
    told: list[tuple[int, int, int]] = []
    land(billing, "lines", path, progress=lambda *one: told.append(one))
    size = path.stat().st_size
    assert told[-1] == (100, size, size)
