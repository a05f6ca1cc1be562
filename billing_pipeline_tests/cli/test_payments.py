"""billing payments: list, deliver, mark-paid, history."""

import json
from pathlib import Path

import pytest

from billing_pipeline_tests.cli.command_line import CommandLine, usage_file
from billing_pipeline_tests.sandbox import Sandbox


@pytest.fixture
def locked(sandbox: Sandbox, billing: CommandLine, tmp_path: Path) -> CommandLine:
    """Acme (by file) owes 1.00, beta (by hand) 0.50."""
    rows = ("acme,compute,2026-01-03T10:00Z,10,eu,,", "beta,compute,2026-01-03T10:00Z,5,eu,,")
    billing("usage", "land", usage_file(tmp_path, "a.csv", *rows))
    sandbox.at("2026-02-04").lock()
    return billing


def test_delivery_hands_each_payment_to_its_gateway_once(sandbox: Sandbox, locked: CommandLine) -> None:
    queued = locked.json("payments", "list", "--status", "queued")
    assert [(one["customer"], one["amount"], one["gateway"]) for one in queued] == [
        ("acme", "1.00", "file"),
        ("beta", "0.50", "manual"),
    ]
    assert locked.json("payments", "deliver")["submitted"] == 2
    assert "submitted 0" in locked("payments", "deliver").stdout
    (file,) = sandbox.billing.settings.outbox.glob("*.json")
    assert json.loads(file.read_text())["amount_due"] == "1.00"
    assert [one["status"] for one in locked.json("payments", "list")] == ["submitted", "submitted"]
    assert "submitted" in locked("payments", "list", "--customer", "acme").stdout


def test_a_payment_is_marked_paid_once(locked: CommandLine) -> None:
    paid = locked.json("payments", "mark-paid", "2026-000002", "--reference", "wire 1", "--at", "2026-02-03")
    assert (paid["status"], paid["reference"], paid["changed"]) == ("paid", "wire 1", True)
    assert not locked.json("payments", "mark-paid", "2026-000002", "--reference", "wire 1")["changed"]
    assert "it was so before" in locked("payments", "mark-paid", "2026-000002").stdout
    assert locked.error("payments", "mark-paid", "2026-000002", "--reference", "wire 2")["code"] == "payment_error"
    assert [one["status"] for one in locked.json("payments", "history", "2026-000002")] == ["queued", "paid"]
    assert "queued" in locked("payments", "history", "2026-000002").stdout


def test_what_is_not_there_is_refused(locked: CommandLine) -> None:
    assert "billing payments list" in locked.error("payments", "mark-paid", "2026-000009")["hint"]
    assert locked.error("payments", "list", "--status", "payed")["hint"] == "Did you mean 'paid'?"
