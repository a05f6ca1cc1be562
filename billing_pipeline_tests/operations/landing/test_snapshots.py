"""Snapshot sources: the newest delivery of a scope stands in place of the earlier ones."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.core.errors import UsageError
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.land import land
from billing_pipeline.usage.batch import LandingResult
from billing_pipeline_tests.operations.landing.landing_ledger import events, lake_files, reconciles, rows_of, write

JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)
HEADER = "account,month,timestamp,value,sku"


def deliver(billing: Billing, folder: Path, *rows: str, scope: dict[str, str] | None = None) -> LandingResult:
    return land(billing, "costs", write(folder / "costs.csv", [HEADER, *rows]), scope=scope)


def deliveries(billing: Billing) -> list[tuple[Any, ...]]:
    query = "SELECT key, batch, periods FROM snapshot_delivery JOIN snapshot_scope ON code = scope ORDER BY batch, key"
    return rows_of(billing, query)


def test_each_scope_of_a_delivery_is_restated(billing: Billing, tmp_path: Path) -> None:
    deliver(billing, tmp_path, "acme,2026-01,2026-01-05T00:00Z,1,a", "beta,2026-01,2026-01-05T00:00Z,2,a")
    deliver(billing, tmp_path, "acme,2026-01,2026-01-05T00:00Z,3,a")
    acme, beta = '{"account":"acme","month":"2026-01"}', '{"account":"beta","month":"2026-01"}'
    assert deliveries(billing) == [(acme, 1, [JANUARY]), (beta, 1, [JANUARY]), (acme, 2, [JANUARY])]
    codes = dict(rows_of(billing, "SELECT key, code FROM snapshot_scope"))
    assert events(billing, "value", "scope") == [
        (Decimal(1), codes[acme]),
        (Decimal(2), codes[beta]),
        (Decimal(3), codes[acme]),
    ]
    assert reconciles(billing)


def test_a_delivery_affects_the_periods_of_the_one_it_replaces(billing: Billing, tmp_path: Path) -> None:
    deliver(billing, tmp_path, "acme,2026-01,2026-01-05T00:00Z,1,a", "acme,2026-01,2026-02-01T00:00Z,2,a")
    result = deliver(billing, tmp_path, "acme,2026-01,2026-01-06T00:00Z,3,a")
    assert result.periods == (JANUARY, FEBRUARY)
    assert rows_of(billing, "SELECT period, rows FROM batch_period WHERE batch = 2 ORDER BY period") == [
        (JANUARY, 1),
        (FEBRUARY, 0),
    ]


def test_one_event_twice_in_a_delivery_refuses_it(billing: Billing, tmp_path: Path) -> None:
    rows = ["acme,2026-01,2026-01-05T00:00Z,1,a", "acme,2026-01,2026-01-05T00:00Z,1,b"]
    with pytest.raises(UsageError, match=r"Rows 2 and 4 .* are the same event"):
        deliver(
            billing, tmp_path, *rows, "beta,2026-01,2026-01-05T00:00Z,1,b", "acme,2026-01,2026-01-05T01:00+01:00,7,b"
        )
    assert not rows_of(billing, "SELECT FROM batch")
    assert not lake_files(billing)
    assert deliver(billing, tmp_path, *rows).accepted == 2


def test_an_empty_delivery_must_name_its_scope(billing: Billing, tmp_path: Path) -> None:
    deliver(billing, tmp_path, "acme,2026-01,2026-01-05T00:00Z,1,a")
    with pytest.raises(UsageError, match="says nothing about what it restates"):
        deliver(billing, tmp_path)
    result = deliver(billing, tmp_path, scope={"account": "acme", "month": "2026-01"})
    assert (result.rows, result.periods) == (0, (JANUARY,))
    assert deliveries(billing)[-1] == ('{"account":"acme","month":"2026-01"}', 2, [])


def test_a_file_of_no_bytes_will_do_when_its_scope_is_named(billing: Billing, tmp_path: Path) -> None:
    deliver(billing, tmp_path, "acme,2026-01,2026-01-05T00:00Z,1,a")
    path = tmp_path / "empty.csv"
    path.write_bytes(b"")
    assert land(billing, "costs", path, scope={"month": "2026-01", "account": "acme"}).periods == (JANUARY,)


@pytest.mark.parametrize("scope", [{"account": "acme"}, {"account": "acme", "month": "2026-01", "day": "5"}, {}])
def test_a_scope_names_all_columns_and_no_other(billing: Billing, tmp_path: Path, scope: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="The scope names"):
        deliver(billing, tmp_path, scope=scope)


def test_rows_outside_the_scope_named_are_refused(billing: Billing, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="outside the scope"):
        deliver(billing, tmp_path, "beta,2026-01,2026-01-05T00:00Z,1,a", scope={"account": "acme", "month": "2026-01"})


def test_an_event_source_has_no_scope(billing: Billing, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="The scope names"):
        land(billing, "bare", tmp_path / "usage.csv", scope={"account": "acme"})


def test_a_row_without_scope_waits_in_quarantine(billing: Billing, tmp_path: Path) -> None:
    result = deliver(billing, tmp_path, "acme,,2026-01-05T00:00Z,1,a", "acme,2026-01,2026-01-05T00:00Z,1,a")
    assert (result.accepted, result.reasons) == (1, {"missing_scope": 1})


def test_a_scope_of_which_no_row_can_be_billed_is_left_as_it_was(billing: Billing, tmp_path: Path) -> None:
    """A slip in a mapping must not take back everything that was delivered before."""
    deliver(billing, tmp_path, "acme,2026-01,2026-01-05T00:00Z,1,a")
    assert deliver(billing, tmp_path, "acme,2026-01,2026-01-05T00:00Z,x,a").quarantined == 1
    assert [batch for _, batch, _ in deliveries(billing)] == [1]
