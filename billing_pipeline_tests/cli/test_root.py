"""How commands end: exit codes and errors that scripts can use."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from billing_pipeline.cli import app
from billing_pipeline.operations import clock as clock_operation
from billing_pipeline_tests.cli.command_line import CommandLine
from billing_pipeline_tests.sandbox import Sandbox
from billing_pipeline_tests.servers import Server


def test_a_refusal_exits_with_2_and_says_the_next_step(billing: CommandLine) -> None:
    error = billing.error("close", "2026-07-01")
    assert error == {
        "code": "refused",
        "message": "The period 2026-07-01 has not started.",
        "hint": "It starts at 2026-07-01T00:00:00+00:00.",
    }


def test_a_refusal_is_for_people_on_stderr(billing: CommandLine) -> None:
    result = billing("close", "2026-01-05", exit_code=2)
    assert result.stdout == ""
    assert "No billing period starts on 2026-01-05" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["close"], "PERIOD"),
        (["close", "2026-01-01", "--loudly"], "--loudly"),
        (["hold", "place", "acme"], "--period"),
        (["nothing"], "nothing"),
        (["usage", "history", "acme", "compute", "--dimension", "eu"], "NAME=VALUE"),
    ],
    ids=str,
)
def test_misuse_exits_with_2_in_json_too(billing: CommandLine, words: list[str], said: str) -> None:
    error = billing.error(*words)
    assert (error["code"], error["hint"][:12]) == ("usage_error", "See: billing")
    assert said in error["message"]
    assert said in billing(*words, exit_code=2).stderr


def test_the_unexpected_exits_with_1_and_its_traceback(billing: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("by chance")

    monkeypatch.setattr(clock_operation, "read_clock", broken)
    result = billing("clock", "--json", exit_code=1)
    assert json.loads(result.stdout)["error"]["code"] == "unexpected_error"
    assert "ZeroDivisionError: by chance" in result.stderr


def test_an_interrupted_command_exits_with_130(billing: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(clock_operation, "read_clock", interrupted)
    billing("clock", exit_code=130)


def test_where_there_is_no_ledger_it_says_how_to_make_one(postgres: Server, tmp_path: Path) -> None:
    billing = CommandLine({"BILLING_DATABASE_URL": postgres.app_url(), "BILLING_HOME": str(tmp_path)})
    assert billing.error("status")["hint"] == "Run: billing init"


def test_a_setting_at_fault_is_named(tmp_path: Path) -> None:
    billing = CommandLine({"BILLING_HOME": str(tmp_path), "BILLING_TIME_ZONE": "Mars/Olympus"})
    assert billing.error("status")["code"] == "settings_error"


def test_the_actor_is_recorded(sandbox: Sandbox, billing: CommandLine) -> None:
    billing("hold", "place", "acme", "--period", "2026-01-01", "--reason", "why not", "--actor", "alice")
    billing("hold", "place", "beta", "--period", "2026-01-01", "--reason", "why not")
    rows = sandbox.query("SELECT actor FROM hold ORDER BY id")
    assert [row.actor for row in rows] == ["alice", os.environ.get("BILLING_ACTOR") or rows[1].actor]
    assert rows[1].actor


def test_without_words_it_shows_its_commands() -> None:
    assert "invoices" in CliRunner().invoke(app, []).output
