"""Quarantine: what waits can be listed, mended and replayed; nothing is lost and nothing counts twice."""

import csv
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.core.errors import UsageError
from billing_pipeline.ledger.usage.quarantine import RowSelection
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.land import land
from billing_pipeline.operations.landing.quarantine import count, replay, waiting
from billing_pipeline.usage.quarantine import QuarantinedRow, raw_of, read_corrections, to_csv, to_jsonl
from billing_pipeline_tests.operations.landing.landing_ledger import (
    add_catalog,
    events,
    quarantined,
    reconciles,
    rows_of,
    write,
)

HEADER = "customer,meter,timestamp,value,region"


@pytest.fixture
def waits(billing: Billing, tmp_path: Path) -> Billing:
    """Four rows of five wait: an unknown customer, a decimal comma, a missing column, no zone."""
    path = write(
        tmp_path / "usage.csv",
        [
            HEADER,
            "acme,gb,2026-01-05T10:00:00Z,1,eu",
            "gamma,gb,2026-01-05T10:00:00Z,2,eu",
            'acme,gb,2026-01-05T11:00:00Z,"1,5",eu',
            "acme,gb,2026-01-05T12:00:00Z",
            "acme,gb,2026-01-05T13:00:00,4,eu",
        ],
    )
    assert land(billing, "bare", path).accepted == 1
    return billing


def test_waiting_rows_say_what_is_wrong_and_where(waits: Billing) -> None:
    found = [(one.row.row, one.row.column, one.row.value, one.row.code) for one in waiting(waits)]
    assert found == [
        (2, "customer", "gamma", "unknown_customer"),
        (3, "value", "1,5", "bad_value"),
        (4, None, None, "wrong_columns"),
        (5, "timestamp", "2026-01-05T13:00:00", "timestamp_without_zone"),
    ]
    assert [one.row.raw for one in waiting(waits, RowSelection(code="wrong_columns"))] == [
        "acme,gb,2026-01-05T12:00:00Z"
    ]
    assert (waiting(waits, limit=1)[0].name, count(waits, RowSelection(source="lines"))) == ("usage.csv", 0)


def test_a_replay_takes_over_what_the_catalog_now_allows(waits: Billing, tmp_path: Path) -> None:
    add_catalog(waits, tmp_path, "customers: [{id: gamma, name: Gamma, currency: USD}]")
    result = replay(waits)
    assert (result.replayed, result.waiting, result.reasons["bad_value"]) == (1, 3, 1)
    assert events(waits, "customer", "value", "row", batch=2) == [("gamma", Decimal(2), 2)]
    assert rows_of(waits, "SELECT replay_of, rows, quarantined FROM batch WHERE number = 2") == [(1, 1, 0)]
    assert count(waits) == 3
    assert reconciles(waits)


def test_replaying_twice_changes_nothing(waits: Billing) -> None:
    assert replay(
        waits, RowSelection(code="timestamp_without_zone"), overrides={"timestamp": "2026-01-05T13:00Z"}
    ).replayed
    assert replay(waits).replayed == 0
    assert rows_of(waits, "SELECT count(*) FROM batch") == [(2,)]
    assert reconciles(waits)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_rows_can_be_mended_in_a_file(waits: Billing, tmp_path: Path, suffix: str) -> None:
    listed = [(one.id, one.row) for one in waiting(waits)]
    text = to_csv(listed) if suffix == ".csv" else "".join(to_jsonl(listed))
    path = tmp_path / f"mended{suffix}"
    path.write_text(text.replace("1,5", "1.5").replace("13:00:00", "13:00:00+01:00"), encoding="utf-8")
    assert replay(waits, corrected=read_corrections(path)).replayed == 2
    assert events(waits, "value", batch=2) == [(Decimal("1.5"),), (Decimal(4),)]
    assert {code for (code,) in quarantined(waits, "code")} >= {"bad_value"}, "what was wrong stays on record"
    assert reconciles(waits)


def test_a_line_that_is_no_row_can_be_mended_too(waits: Billing, tmp_path: Path) -> None:
    (row,) = waiting(waits, RowSelection(code="wrong_columns"))
    path = write(tmp_path / "mended.csv", [f"_id,{HEADER}", f"{row.id},acme,gb,2026-01-05T12:00:00Z,3,"])
    assert replay(waits, corrected=read_corrections(path)).replayed == 1
    assert events(waits, "row", "value", "dim_region", batch=2) == [(4, Decimal(3), None)]


def test_a_correction_that_is_no_better_stays_in_quarantine(waits: Billing) -> None:
    result = replay(waits, RowSelection(code="bad_value"), overrides={"value": "NaN"})
    assert (result.replayed, result.reasons) == (0, {"value_not_finite": 1})
    assert count(waits) == 4


def test_corrections_without_ids_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "mended.csv", [HEADER, "acme,gb,2026-01-05T12:00:00Z,3,"])
    with pytest.raises(UsageError, match="no _id"):
        read_corrections(path)


def test_a_snapshot_is_delivered_again_instead(billing: Billing, tmp_path: Path) -> None:
    header = "account,month,timestamp,value,sku"
    path = write(tmp_path / "costs.csv", [header, "acme,2026-01,2026-01-05T12:00:00Z,x,a"])
    land(billing, "costs", path)
    result = replay(billing, overrides={"value": "1"})
    assert (result.replayed, result.waiting, result.snapshots) == (0, 1, {"costs": 1})


CELLS = st.text(st.sampled_from(["=", "+", "-", "@", "'", "\t", "1", "a", ",", '"']), min_size=1, max_size=4)


@given(cells=st.dictionaries(CELLS, CELLS, min_size=1, max_size=3))
def test_no_cell_of_a_table_for_people_is_a_formula_and_each_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, cells: dict[str, str]
) -> None:
    row = QuarantinedRow(1, None, None, "code", '=HYPERLINK("http://example.com")', raw_of(cells), parsed=True)
    text = to_csv([(7, row)])
    for line in csv.reader(StringIO(text)):
        for cell in line:
            assert cell[:1] not in {"=", "@", "\t"}
            assert cell[:1] not in {"+", "-"} or cell[1:].replace(".", "", 1).isdecimal()
    path = tmp_path_factory.mktemp("table") / "mend.csv"
    path.write_text(text)
    assert read_corrections(path) == {7: cells}
