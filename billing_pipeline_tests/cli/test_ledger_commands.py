"""init, clock and status."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.engine import make_url

from billing_pipeline_tests.cli.command_line import CommandLine, usage_file
from billing_pipeline_tests.sandbox import Sandbox, administer
from billing_pipeline_tests.servers import Server


@pytest.fixture
def empty_database(postgres: Server) -> Iterator[str]:
    name = f"made_by_init_{uuid4().hex}"
    administer(postgres.owner_url(), f"CREATE DATABASE {name}")
    yield name
    administer(postgres.owner_url(), f"DROP DATABASE {name} WITH (FORCE)")


def test_init_makes_a_ledger_once(postgres: Server, empty_database: str, tmp_path: Path) -> None:
    urls = {
        name: make_url(url).set(database=empty_database).render_as_string(hide_password=False)
        for name, url in (
            ("BILLING_DATABASE_URL", postgres.app_url()),
            ("BILLING_DATABASE_OWNER_URL", postgres.owner_url()),
        )
    }
    billing = CommandLine(urls | {"BILLING_HOME": str(tmp_path), "BILLING_NOW": "2026-01-01T00:00:00Z"})
    first, second = billing.json("init", "--sandbox"), billing.json("init", "--sandbox")
    assert (first["created"], second["created"]) == (True, False)
    assert (first["sandbox"], first["period"], first["time_zone"]) == (True, "month", "UTC")
    assert "already a sandbox ledger" in billing("init", "--sandbox").stdout
    assert billing.error("init")["code"] == "settings_error"
    assert (tmp_path / "landing").is_dir()
    assert billing.json("clock")["now"] == "2026-01-01T00:00:00Z"


def test_the_clock_moves_forward_only(billing: CommandLine) -> None:
    assert billing.json("clock") == {"now": "2026-01-20T00:00:00Z", "sandbox": True}
    assert billing.json("clock", "set", "2026-02-01T12:30+01:00")["now"] == "2026-02-01T11:30:00Z"
    assert billing.json("clock", "show")["now"] == "2026-02-01T11:30:00Z"
    assert billing("clock").stdout == "2026-02-01T11:30:00Z (sandbox)\n"
    assert billing.error("clock", "set", "2026-01-31")["code"] == "refused"
    assert billing.error("clock", "set", "2026-03-01T00:00")["code"] == "catalog_error"  # no zone


def test_status_shows_what_is_dirty_held_and_quarantined(
    sandbox: Sandbox, billing: CommandLine, tmp_path: Path
) -> None:
    rows = ("acme,compute,2026-01-03T10:00Z,10,eu,,", "nobody,compute,2026-01-03T10:00Z,10,eu,,")
    billing("usage", "land", usage_file(tmp_path, "a.csv", *rows))
    billing("hold", "place", "beta", "--period", "2026-01-01", "--reason", "disputed")
    status = billing.json("status")
    (period,) = status["periods"]
    assert (period["period"], period["state"], period["next_lock_at"]) == ("2026-01-01", "open", None)
    assert period["dirty"] == {"dirty": True, "batches": 1, "changes": 1, "customers": 0, "unclosed": False}
    assert [(hold["customer"], hold["reason"]) for hold in period["held"]] == [("beta", "disputed")]
    assert status["quarantined"] == [{"source": "usage", "code": "unknown_customer", "rows": 1}]
    sandbox.close()
    (period,) = billing.json("status")["periods"]
    assert period["documents"] == {"draft": 2, "finalized": 0, "void": 0}
    assert period["next_lock_at"] == "2026-02-04T00:00:00Z"
    assert not period["dirty"]["dirty"]
    assert {run["stage"] for run in period["runs"]} == {"meter", "rate", "invoice"}
    shown = billing("status").stdout
    assert "2026-02-04 00:00" in shown
    assert "beta: held by manual: disputed" in shown
    assert "unknown_customer" in shown


def test_status_says_what_due_documents_wait_for(sandbox: Sandbox, billing: CommandLine) -> None:
    billing("hold", "place", "beta", "--period", "2026-01-01", "--reason", "disputed")
    sandbox.at("2026-02-05").close()
    assert billing.json("status")["periods"][0]["in_the_way"] == {
        "due": 2,
        "waiting": 1,
        "causes": [
            {"kind": "hold", "cause": "manual", "documents": 1, "customers": 1, "first_customers": ["beta"],
             "until": None}
        ],
    }  # fmt: skip
    line = "2026-01-01: Due documents that wait: 1: 1 for hold manual (beta). That lock with the next run: 1."
    assert line in billing("status").stdout.splitlines()
    sandbox.lock()
    (hold,) = billing.json("hold", "list", "--period", "2026-01-01")
    billing("hold", "release", str(hold["id"]), "--reason", "settled")
    assert billing.json("status")["periods"][0]["in_the_way"] == {"due": 1, "waiting": 0, "causes": []}
    assert "that wait" not in billing("status").stdout


def test_status_of_a_period_goes_from_open_to_locked(sandbox: Sandbox, billing: CommandLine) -> None:
    states = []
    for now in ("2026-01-31", "2026-02-01", "2026-02-04"):
        sandbox.at(now).lock()
        states.append({one["period"]: one["state"] for one in billing.json("status")["periods"]}["2026-01-01"])
    assert states == ["open", "in grace", "locked"]


def test_all_periods_are_shown_when_asked(billing: CommandLine) -> None:
    assert len(billing.json("status")["periods"]) == 1
    assert len(billing.json("status", "--all")["periods"]) == 25
