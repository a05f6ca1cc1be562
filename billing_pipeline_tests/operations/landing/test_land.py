"""Landing, end to end: a delivery becomes a batch, once."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

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


def test_a_file_becomes_a_batch_of_sorted_files_by_period(billing: Billing, tmp_path: Path) -> None:
    path = write(
        tmp_path / "usage.csv",
        [
            HEADER,
            "beta,gb,2026-01-31T23:59:59.999999Z,2.5,eu",
            "acme,gb,2026-02-01T00:00:00Z,3,eu",
            "acme,gb,2026-01-05 10:00:00+02:00,0.000000000001,",
        ],
    )
    result = land(billing, "bare", path)
    assert (result.batch, result.rows, result.accepted, result.quarantined) == (1, 3, 3, 0)
    assert result.periods == (date(2026, 1, 1), date(2026, 2, 1))
    assert events(billing, "customer", "timestamp", "value", "dim_region") == [
        ("beta", datetime(2026, 1, 31, 23, 59, 59, 999999, UTC), Decimal("2.5"), "eu"),
        ("acme", datetime(2026, 2, 1, tzinfo=UTC), Decimal(3), "eu"),
        ("acme", datetime(2026, 1, 5, 8, tzinfo=UTC), Decimal("1E-12"), None),
    ]
    assert {path for (path,) in rows_of(billing, "SELECT path FROM lake_file")} == lake_files(billing)
    assert reconciles(billing)


def test_landing_a_file_twice_changes_nothing_and_says_so(billing: Billing, tmp_path: Path) -> None:
    path = write(tmp_path / "usage.csv", [HEADER, "acme,gb,2026-01-05T10:00:00Z,1,eu", "nobody,gb,x,1,eu"])
    first = land(billing, "bare", path)
    before = lake_files(billing)
    second = land(billing, "bare", path)
    assert (second.batch, second.already, second.rows, second.accepted) == (first.batch, True, 2, 1)
    assert lake_files(billing) == before
    assert quarantined(billing, "row", "column", "value", "code") == [(2, "customer", "nobody", "unknown_customer")]
    assert land(billing, "bare", path, again=True).batch == 2
    assert reconciles(billing)
