"""Bad input: a clear error, nothing lost, and the rest of the delivery accepted."""

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from billing_pipeline.core.errors import UsageError
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.land import land
from billing_pipeline_tests.operations.landing.landing_ledger import (
    events,
    lake_files,
    quarantined,
    reconciles,
    rows_of,
    write,
)

HEADER = "customer,meter,timestamp,value,region"
GOOD = "acme,gb,2026-01-05T10:00:00Z,1,eu"


def nothing_was_recorded(billing: Billing) -> bool:
    return (
        not rows_of(billing, "SELECT FROM batch")
        and not rows_of(billing, "SELECT FROM quarantine")
        and not lake_files(billing)
    )


@pytest.mark.parametrize(
    ("row", "column", "value", "code"),
    [
        ("acme,gb,2026-01-05T10:00:00Z,1e400,eu", "value", "1e400", "value_too_large"),
        ("acme,gb,2026-01-05T10:00:00Z,NaN,eu", "value", "NaN", "value_not_finite"),
        ('acme,gb,2026-01-05T10:00:00Z,"1,5",eu', "value", "1,5", "bad_value"),
        (f"acme,gb,2026-01-05T10:00:00Z,{'9' * 200},eu", "value", "9" * 200, "value_too_large"),
        ("acme,gb,2026-01-05T10:00:00Z,0.0000000000001,eu", "value", "0.0000000000001", "value_too_fine"),
        ("acme,gb,2026-01-05T10:00:00Z,,eu", "value", None, "missing_value"),
        ("acme,gb,2026-01-05,1,eu", "timestamp", "2026-01-05", "timestamp_without_zone"),
        ("acme,gb,2026-01-05T10:00:00,1,eu", "timestamp", "2026-01-05T10:00:00", "timestamp_without_zone"),
        ("acme,gb,0001-01-01T00:00:00Z,1,eu", "timestamp", "0001-01-01T00:00:00Z", "timestamp_before_first_period"),
        ("acme,gb,2023-12-31T23:59:59Z,1,eu", "timestamp", "2023-12-31T23:59:59Z", "timestamp_before_first_period"),
        ("acme,gb,2026-04-01T00:00:00Z,1,eu", "timestamp", "2026-04-01T00:00:00Z", "timestamp_too_far_ahead"),
        ("acme,gb,yesterday,1,eu", "timestamp", "yesterday", "bad_timestamp"),
        ("nobody,gb,2026-01-05T10:00:00Z,1,eu", "customer", "nobody", "unknown_customer"),
        ("Acme,gb,2026-01-05T10:00:00Z,1,eu", "customer", "Acme", "unknown_customer"),
        (",gb,2026-01-05T10:00:00Z,1,eu", "customer", None, "missing_customer"),
        ("acme,tb,2026-01-05T10:00:00Z,1,eu", "meter", "tb", "unknown_meter"),
        ("acme,unique,2026-01-05T10:00:00Z,1,eu", "event_id", None, "missing_event_id"),
    ],
)
def test_a_bad_row_waits_in_quarantine(
    billing: Billing, tmp_path: Path, row: str, column: str, value: str | None, code: str
) -> None:
    path = write(tmp_path / "usage.csv", [HEADER, row, GOOD])
    result = land(billing, "bare", path)
    assert (result.accepted, result.quarantined, result.reasons) == (1, 1, {code: 1})
    assert quarantined(billing, "row", "column", "value", "code") == [(1, column, value, code)]
    assert events(billing, "value") == [(Decimal(1),)]
    assert reconciles(billing)


def test_usage_up_to_the_end_of_the_next_period_is_accepted(billing: Billing, tmp_path: Path) -> None:
    """It is February: a client's clock may run ahead, and the checks name what lies in the future."""
    path = write(tmp_path / "usage.csv", [HEADER, "acme,gb,2026-03-31T23:59:59Z,1,eu"])
    assert land(billing, "bare", path).accepted == 1


def test_a_truncated_parquet(billing: Billing, tmp_path: Path) -> None:
    path = tmp_path / "usage.parquet"
    pq.write_table(pa.table({"customer": ["acme"] * 1000}), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UsageError, match="no whole Parquet file"):
        land(billing, "parquet", path)
    assert nothing_was_recorded(billing)


def test_a_csv_with_a_missing_column(billing: Billing, tmp_path: Path) -> None:
    path = write(tmp_path / "usage.csv", [HEADER.replace("timestamp", "time_stamp"), GOOD])
    with pytest.raises(UsageError) as refused:
        land(billing, "bare", path)
    assert "no column 'timestamp'" in refused.value.message
    assert "customer, meter, time_stamp, value, region" in refused.value.message
    assert "Did you mean 'time_stamp'?" in refused.value.hint
    assert nothing_was_recorded(billing)


def test_an_empty_file(billing: Billing, tmp_path: Path) -> None:
    for source in ("bare", "lines", "events", "parquet", "focus"):
        path = tmp_path / "usage"
        path.write_bytes(b"")
        with pytest.raises(UsageError, match=r"is empty|no whole Parquet"):
            land(billing, source, path)
    assert nothing_was_recorded(billing)


def test_a_header_alone_is_a_time_without_usage(billing: Billing, tmp_path: Path) -> None:
    result = land(billing, "bare", write(tmp_path / "usage.csv", [HEADER]))
    assert (result.batch, result.rows, result.periods) == (1, 0, ())
    assert not lake_files(billing)


def test_mixed_encodings_and_byte_order_marks(billing: Billing, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    region = "acme,gb,2026-01-05T10:00:00Z,1,Zürich\n"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\n{region}".encode() + region.encode("latin-1"))
    assert land(billing, "bare", path).reasons == {"not_utf8": 1}
    assert quarantined(billing, "row", "raw") == [(2, "acme,gb,2026-01-05T10:00:00Z,1,Z\\xfcrich")]
    path.write_text(f"{HEADER}\n{region}", encoding="utf-16")
    assert land(billing, "bare", path).accepted == 1
    assert events(billing, "dim_region") == [("Zürich",), ("Zürich",)]


def test_a_line_of_40_mb(billing: Billing, tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    line = '{"customer": "acme", "meter": "gb", "timestamp": "2026-01-05T10:00:00Z", "value": 1%s}\n'
    path.write_text(line % "" + line % f', "region": "{"x" * 40_000_000}"', encoding="utf-8")
    assert land(billing, "lines", path).reasons == {"line_too_long": 1}
    assert rows_of(billing, 'SELECT "row", length(raw) FROM quarantine') == [
        (2, path.stat().st_size - len(line % "") - 1)
    ]
    assert reconciles(billing)


def test_a_dimension_in_another_spelling(billing: Billing, tmp_path: Path) -> None:
    """Engines know columns without regard to case; an event key does not. So no two dimensions differ in case only."""
    land(billing, "bare", write(tmp_path / "a.csv", [HEADER, GOOD]))
    path = write(tmp_path / "b.csv", [HEADER.replace("region", "Region"), GOOD, "acme,gb,2026-01-05T11:00:00Z,1,"])
    assert land(billing, "bare", path).reasons == {"dimension_case": 1}
    assert rows_of(billing, "SELECT name FROM dimension") == [("region",)]


def test_an_unknown_source(billing: Billing, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No source 'bear'") as refused:
        land(billing, "bear", write(tmp_path / "usage.csv", [HEADER, GOOD]))
    assert "Did you mean 'bare'?" in refused.value.hint


@pytest.mark.parametrize("path", ["missing.csv", "."])
def test_a_file_that_is_not_there(billing: Billing, tmp_path: Path, path: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        land(billing, "bare", tmp_path / path)
    with pytest.raises(UsageError, match="cannot be read"):
        land(billing, "bare", f"file://{tmp_path}/{path}/x")


def test_text_that_postgresql_does_not_hold(billing: Billing, tmp_path: Path) -> None:
    """A NUL in a row must not stop the others; in quarantine it shows as what JSON writes for it."""
    path = write(tmp_path / "usage.csv", [HEADER, "ac\0me,gb,2026-01-05T10:00:00Z,1,eu", GOOD])
    assert land(billing, "bare", path).reasons == {"unknown_customer": 1}
    ((raw,),) = quarantined(billing, "raw")
    assert "ac\\u0000me" in str(raw)


def test_a_source_with_a_zone_needs_none_in_the_file(billing: Billing, tmp_path: Path) -> None:
    path = write(
        tmp_path / "usage.csv", [HEADER, "acme,gb,2026-01-01T00:30:00,1,eu", "acme,gb,2026-01-01T01:30:00,1,eu"]
    )
    assert [period.isoformat() for period in land(billing, "local", path).periods] == ["2025-12-01", "2026-01-01"]
