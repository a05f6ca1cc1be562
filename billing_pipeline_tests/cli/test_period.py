"""billing close, check, lock and hold."""

from pathlib import Path

from billing_pipeline_tests.cli.command_line import CommandLine, usage_file
from billing_pipeline_tests.sandbox import Sandbox

USAGE = ("acme,compute,2026-01-03T10:00Z,10,eu,,", "beta,compute,2026-01-03T10:00Z,5,eu,,")


def test_close_tells_what_each_stage_did(billing: CommandLine, tmp_path: Path) -> None:
    billing("usage", "land", usage_file(tmp_path, "a.csv", *USAGE))
    stages = billing.json("close", "2026-01-01")
    assert [stage["stage"] for stage in stages] == ["meter", "rate", "invoice"]
    assert (stages[0]["counts"]["events"], stages[2]["counts"]["drafts"]) == (2, 2)
    assert "invoice: customers 0, documents 0" in billing("close", "2026-01-01").stdout


def test_lock_does_nothing_before_its_time(sandbox: Sandbox, billing: CommandLine, tmp_path: Path) -> None:
    billing("usage", "land", usage_file(tmp_path, "a.csv", *USAGE))
    assert billing.json("lock", "2026-01-01")["counts"]["finalized"] == 0
    sandbox.at("2026-02-04")
    assert billing.json("lock", "2026-01-01")["counts"]["finalized"] == 2
    assert "finalized 0" in billing("lock", "2026-01-01").stdout


def test_a_check_shows_what_it_found(billing: CommandLine, tmp_path: Path) -> None:
    billing("usage", "land", usage_file(tmp_path, "a.csv", *USAGE, "acme,compute,2026-01-04T10:00Z,-1,eu,,"))
    billing("close", "2026-01-01")
    report = billing.json("check", "2026-01-01")
    outcomes = {one["name"]: one["outcome"] for one in report["checks"]}
    assert (report["period"], report["events"], outcomes["negative_values"]) == ("2026-01-01", 3, "failed")
    shown = billing("check", "2026-01-01", "--strict", exit_code=0 if report["passed"] else 2).stdout
    assert "negative_values" in shown
    assert "Held: " in shown


def test_strict_makes_an_error_an_exit_code(sandbox: Sandbox, billing: CommandLine, tmp_path: Path) -> None:
    rows = [f"acme,compute,2026-01-03T10:{minute:02}Z,10,eu,," for minute in range(30)]
    billing("usage", "land", usage_file(tmp_path, "a.csv", *rows))
    billing("close", "2026-01-01")
    sandbox.query(
        "UPDATE usage_count SET accepted = accepted + 1 RETURNING period"
    )  # the reconciliation no longer holds
    assert not billing.json("check", "2026-01-01")["passed"]
    billing("check", "2026-01-01", "--strict", exit_code=2)


def test_a_held_customer_does_not_lock_until_released(sandbox: Sandbox, billing: CommandLine, tmp_path: Path) -> None:
    billing("usage", "land", usage_file(tmp_path, "a.csv", *USAGE))
    place = ("hold", "place", "acme", "--period", "2026-01-01", "--reason", "disputed", "--actor", "alice")
    assert billing.json(*place) == {"held": 1}
    assert billing.json(*place) == {"held": 0}
    (hold,) = billing.json("hold", "list", "--period", "2026-01-01")
    assert (hold["customer"], hold["cause"], hold["actor"], hold["released_at"]) == ("acme", "manual", "alice", None)
    sandbox.at("2026-02-04")
    assert billing.json("lock", "2026-01-01")["counts"]["finalized"] == 1
    assert "disputed" in billing("hold", "list").stdout
    assert billing.json("hold", "release", str(hold["id"]), "--reason", "settled") == {"released": 1}
    assert billing.json("hold", "list") == []
    (released,) = billing.json("hold", "list", "--released")
    assert released["release_reason"] == "settled"
    assert billing.json("lock", "2026-01-01")["counts"]["finalized"] == 1
    assert "Newly held: 0 of 1" not in billing("hold", "release", str(hold["id"]), "--reason", "again").stdout


def test_holds_of_nobody_are_refused(billing: CommandLine) -> None:
    error = billing.error("hold", "place", "acmee", "--period", "2026-01-01", "--reason", "x")
    assert error["hint"] == "Did you mean 'acme'?"
    assert billing.error("hold", "release", "99", "--reason", "x")["hint"] == "List them with: billing hold list"
