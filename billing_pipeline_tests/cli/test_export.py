"""billing export: files, standard output, summaries and refusals."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from billing_pipeline_tests.cli.command_line import CommandLine
from billing_pipeline_tests.sandbox import Sandbox, use


@pytest.fixture
def locked(sandbox: Sandbox) -> Sandbox:
    """January is locked: acme owes 1.00, beta 2.00."""
    sandbox.land(use("acme", "compute", "2026-01-03", 10, "eu"), use("beta", "compute", "2026-01-04", 20))
    sandbox.at("2026-02-05").lock()
    return sandbox


def test_the_journal_comes_on_standard_output(locked: Sandbox, billing: CommandLine) -> None:
    rows = list(csv.DictReader(io.StringIO(billing("export", "ledger").stdout)))
    assert [(row["entry"], row["account"], row["debit"], row["credit"]) for row in rows] == [
        ("2026-000001", "assets:receivable", "1.00", ""),
        ("2026-000001", "income:usage", "", "1.00"),
        ("2026-000002", "assets:receivable", "2.00", ""),
        ("2026-000002", "income:usage", "", "2.00"),
    ]
    assert {row["date"] for row in rows} == {"2026-02-05"}
    assert locked.query("SELECT count(*) FROM finalization") == [(2,)]


@pytest.mark.usefixtures("locked")
def test_a_file_comes_with_a_summary(billing: CommandLine, tmp_path: Path) -> None:
    path = str(tmp_path / "february.csv")
    words = ("export", "ledger", "--from", "2026-02-01", "--to", "2026-02-28", "--output", path)
    assert billing.json(*words) == {
        "file": path,
        "format": "csv",
        "period": None,
        "from": "2026-02-01",
        "to": "2026-02-28",
        "entries": 2,
        "lines": 4,
        "totals": [{"currency": "USD", "debit": "3.00", "credit": "3.00"}],
        "accounts": [
            {"account": "assets:receivable", "currency": "USD", "debit": "3.00", "credit": "0.00"},
            {"account": "income:usage", "currency": "USD", "debit": "0.00", "credit": "3.00"},
        ],
    }
    shown = billing(*words).stdout
    assert "february.csv: 4 lines, 2 entries; debits and credits balance." in shown
    assert "assets:receivable" in shown


@pytest.mark.usefixtures("locked")
def test_focus_by_period_into_parquet(billing: CommandLine, tmp_path: Path) -> None:
    path = str(tmp_path / "january.parquet")
    made = billing.json("export", "focus", "--period", "2026-01-01", "--output", path)
    assert (made["format"], made["invoices"], made["rows"], made["billed"]) == ("parquet", 2, 2, {"USD": "3.00"})
    assert [row["BillingAccountId"] for row in pq.read_table(path).to_pylist()] == ["acme", "beta"]
    assert "2 rows of 2 invoices" in billing("export", "focus", "--output", str(tmp_path / "all.csv")).stdout
    assert billing("export", "focus", "--period", "2026-01-01").stdout.startswith("BilledCost,BillingAccountId,")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--format", "xml"), "usage_error"),
        ((), "usage_error"),  # JSON and the export on one standard output
        (("--from", "yesterday", "--output", "x"), "usage_error"),
        (("--period", "2026-01-05", "--output", "x"), "refused"),
        (("--from", "2026-02-02", "--to", "2026-02-01", "--output", "x"), "refused"),
        (("--output", "/nowhere/at/all.csv"), "refused"),
    ],
)
def test_what_makes_no_sense_is_refused(billing: CommandLine, words: tuple[str, ...], code: str) -> None:
    for kind in ("ledger", "focus"):
        assert billing.error("export", kind, *words)["code"] == code


def test_an_empty_ledger_has_an_empty_journal(billing: CommandLine) -> None:
    (header,) = billing("export", "ledger").stdout.splitlines()
    assert header.startswith("date,entry,line,account,debit,credit,currency,document")


def test_parquet_comes_through_a_pipe(locked: Sandbox, billing: CommandLine) -> None:
    locked.billing.ledger.close()
    words = ["export", "ledger", "--format", "parquet"]
    command = [sys.executable, "-c", "from billing_pipeline.cli import app; app()", *words]
    ended = subprocess.run(
        command,
        env=os.environ | dict(billing.environment),
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    table = pq.read_table(io.BytesIO(ended.stdout))
    assert table.num_rows == 4
    assert table.column("account").to_pylist()[0] == "assets:receivable"
