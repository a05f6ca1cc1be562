"""billing usage: landing, history, quarantine, watermarks."""

from pathlib import Path

from billing_pipeline_tests.cli.command_line import CommandLine, usage_file
from billing_pipeline_tests.sandbox import Sandbox

GOOD = "acme,compute,2026-01-03T10:00Z,10,eu,,"
BETTER = "acme,compute,2026-01-03T10:00Z,12,eu,,"
BAD = "nobody,compute,2026-01-03T10:00Z,10,eu,,"
MUST = """
sources: [{id: must, format: jsonl, required: true, deadline: 2 days,
  event: {customer: c, meter: m, timestamp: t, value: v}}]
"""


def test_landing_says_what_became_of_the_rows(billing: CommandLine, tmp_path: Path) -> None:
    (landed,) = billing.json("usage", "land", usage_file(tmp_path, "a.csv", GOOD, BAD), "--source", "usage")
    assert landed == {
        "batch": 1,
        "source": "usage",
        "name": "a.csv",
        "rows": 2,
        "accepted": 1,
        "quarantined": 1,
        "periods": ["2026-01-01"],
        "already": False,
        "reasons": {"unknown_customer": 1},
    }


def test_landing_again_changes_nothing_unless_it_is_meant(billing: CommandLine, tmp_path: Path) -> None:
    file = usage_file(tmp_path, "a.csv", GOOD)
    assert "batch 1 of usage: 1 of 1 rows accepted" in billing("usage", "land", file).stdout
    assert "landed before, as batch 1" in billing("usage", "land", file).stdout
    (again,) = billing.json("usage", "land", file, "--again")
    assert (again["batch"], again["already"]) == (2, False)


def test_several_files_are_landed_in_order(billing: CommandLine, tmp_path: Path) -> None:
    files = [usage_file(tmp_path, "a.csv", GOOD), usage_file(tmp_path, "b.csv", BETTER)]
    assert [(one["name"], one["batch"]) for one in billing.json("usage", "land", *files)] == [
        ("a.csv", 1),
        ("b.csv", 2),
    ]


def test_a_source_may_be_left_out_only_where_there_is_one(
    sandbox: Sandbox, billing: CommandLine, tmp_path: Path
) -> None:
    sandbox.apply(MUST)
    error = billing.error("usage", "land", usage_file(tmp_path, "a.csv", GOOD))
    assert "Known: must, usage" in error["message"]
    unknown = billing.error("usage", "land", usage_file(tmp_path, "a.csv", GOOD), "--source", "usages")
    assert (unknown["code"], "'usage'" in unknown["hint"]) == ("usage_error", True)


def test_a_missing_file_is_refused(billing: CommandLine, tmp_path: Path) -> None:
    assert "cannot be read" in billing.error("usage", "land", str(tmp_path / "none.csv"))["message"]


def test_history_shows_every_report_and_which_one_won(billing: CommandLine, tmp_path: Path) -> None:
    billing("usage", "land", usage_file(tmp_path, "a.csv", GOOD, GOOD.replace("eu", "us")))
    billing("clock", "set", "2026-01-21")
    billing("usage", "land", usage_file(tmp_path, "b.csv", BETTER))
    event = ("--timestamp", "2026-01-03T10:00Z", "--dimension", "region=eu")
    reports = billing.json("usage", "history", "acme", "compute", *event)
    assert [(one["value"], one["status"], one["won"]) for one in reports] == [
        ("10", "superseded", False),
        ("12", "accepted", True),
    ]
    assert (reports[1]["batch"], reports[1]["name"], reports[1]["received_at"]) == (2, "b.csv", "2026-01-21T00:00:00Z")
    assert len(billing.json("usage", "history", "acme", "compute")) == 3
    assert len(billing.json("usage", "history", "acme", "compute", "--period", "2026-01-01")) == 3
    assert billing.json("usage", "history", "beta", "compute") == []
    assert "region=us" in billing("usage", "history", "acme", "compute").stdout
    assert billing.error("usage", "history", "acme", "computer")["hint"] == "Did you mean 'compute'?"
    assert billing.error("usage", "history", "acmo", "compute")["hint"] == "Did you mean 'acme'?"


def test_quarantined_rows_are_listed_mended_and_replayed(billing: CommandLine, tmp_path: Path) -> None:
    billing("usage", "land", usage_file(tmp_path, "a.csv", GOOD, BAD, BAD.replace("T10", "T11")))
    rows = billing.json("usage", "quarantine", "list")
    assert [(row["row"], row["column"], row["value"], row["code"]) for row in rows] == [
        (2, "customer", "nobody", "unknown_customer"),
        (3, "customer", "nobody", "unknown_customer"),
    ]
    assert len(billing.json("usage", "quarantine", "list", "--limit", "1")) == 1
    assert billing.json("usage", "quarantine", "list", "--batch", "7") == []
    assert "1 more" in billing("usage", "quarantine", "list", "--limit", "1").stdout
    mended = tmp_path / "mended.csv"
    mended.write_text(billing("usage", "quarantine", "list", "--csv").stdout.replace("nobody", "beta"))
    result = billing.json("usage", "quarantine", "replay", str(mended))
    assert (result["replayed"], result["waiting"]) == (2, 0)
    assert billing.json("usage", "quarantine", "list") == []
    assert "Quarantined rows: none." in billing("usage", "quarantine", "list").stdout


def test_rows_can_be_mended_all_at_once(billing: CommandLine, tmp_path: Path) -> None:
    billing("usage", "land", usage_file(tmp_path, "a.csv", BAD))
    assert "1 still wait (unknown customer 1)" in billing("usage", "quarantine", "replay").stdout
    assert "1 rows replayed" in billing("usage", "quarantine", "replay", "--set", "customer=beta").stdout
    assert billing("usage", "quarantine", "list", "--jsonl").stdout == ""


def test_a_watermark_is_said_once(sandbox: Sandbox, billing: CommandLine) -> None:
    sandbox.apply(MUST)
    said = billing.json("usage", "watermark", "must", "2026-01-15")
    assert said == {"source": "must", "watermark": "2026-01-15T00:00:00Z", "changed": True}
    assert "it had said so before" in billing("usage", "watermark", "must", "2026-01-15T00:00Z").stdout
    assert "never goes back" in billing.error("usage", "watermark", "must", "2026-01-14")["message"]
    assert "future" in billing.error("usage", "watermark", "must", "2026-02-01")["message"]
