"""billing invoices: the list that machines read, one document, and what changed between versions."""

from pathlib import Path
from typing import Any

import pytest

from billing_pipeline_tests.cli.command_line import CATALOG, CommandLine, usage_file
from billing_pipeline_tests.sandbox import Sandbox

FIELDS = [
    "id", "number", "customer", "kind", "period", "issue_date", "lock_at", "currency", "status", "payment_status",
    "version", "subtotal", "credits_applied", "tax", "total", "customer_credit_applied", "amount_due", "as_of",
    "held_by", "lines",
]  # fmt: skip
LINE_FIELDS = ["kind", "price", "description", "service_period", "dimensions", "quantity", "amount"]


@pytest.fixture
def closed(sandbox: Sandbox, billing: CommandLine, tmp_path: Path) -> CommandLine:
    """Two drafts of January: acme 1.00, beta 0.50."""
    rows = ("acme,compute,2026-01-03T10:00Z,10,eu,,", "beta,compute,2026-01-03T10:00Z,5,eu,,")
    billing("usage", "land", usage_file(tmp_path, "a.csv", *rows))
    sandbox.close()
    return billing


def of(invoices: list[dict[str, Any]], customer: str) -> dict[str, Any]:
    (one,) = [invoice for invoice in invoices if invoice["customer"] == customer]
    return one


def test_the_list_has_the_form_that_other_programs_rely_on(closed: CommandLine) -> None:
    invoices = closed.json("invoices", "list")
    assert [list(one) for one in invoices] == [FIELDS, FIELDS]
    assert [(one["issue_date"], one["id"]) for one in invoices] == sorted(
        (one["issue_date"], one["id"]) for one in invoices
    )
    acme = of(invoices, "acme")
    (line,) = acme.pop("lines")
    assert list(line) == LINE_FIELDS
    assert line | {"description": ""} == {
        "kind": "usage",
        "price": "compute",
        "description": "",
        "service_period": {"start": "2026-01-01", "end": "2026-02-01"},
        "dimensions": {},
        "quantity": "10",
        "amount": "1.00",
    }
    assert acme | {"id": ""} == {
        "id": "",
        "number": None,
        "customer": "acme",
        "kind": "closing",
        "period": "2026-01-01",
        "issue_date": "2026-02-01",
        "lock_at": "2026-02-04T00:00:00Z",
        "currency": "USD",
        "status": "draft",
        "payment_status": "not_due",
        "version": 1,
        "subtotal": "1.00",
        "credits_applied": "0.00",
        "tax": "0.00",
        "total": "1.00",
        "customer_credit_applied": "0.00",
        "amount_due": "1.00",
        "as_of": {"batch": 1, "recorded_at": "2026-01-20T00:00:00Z"},
        "held_by": [],
    }


def test_filters(sandbox: Sandbox, closed: CommandLine) -> None:
    assert [one["customer"] for one in closed.json("invoices", "list", "--customer", "beta")] == ["beta"]
    assert len(closed.json("invoices", "list", "--period", "2026-01-01")) == 2
    assert closed.json("invoices", "list", "--period", "2025-12-01") == []
    assert closed.error("invoices", "list", "--customer", "beeta")["hint"] == "Did you mean 'beta'?"
    sandbox.at("2026-02-01").close("2026-02-01")
    assert len(closed.json("invoices", "list")) == 2
    assert len(closed.json("invoices", "list", "--all")) == 4  # February's documents have no lines yet


def test_an_empty_list_is_a_list(billing: CommandLine) -> None:
    assert billing.json("invoices", "list") == []
    assert billing("invoices", "list").stdout == "Invoices: none.\n"


def test_finalized_invoices_have_their_number_and_payment(sandbox: Sandbox, closed: CommandLine) -> None:
    sandbox.at("2026-02-04").lock()
    invoices = closed.json("invoices", "list")
    assert {one["number"] for one in invoices} == {"2026-000001", "2026-000002"}
    assert {(one["status"], one["payment_status"]) for one in invoices} == {("finalized", "queued")}
    shown = closed.json("invoices", "show", "2026-000001")
    assert (shown["finalized_at"], shown["cutoff"]) == ("2026-02-04T00:00:00Z", "2026-02-04T00:00:00Z")
    assert shown["fingerprint"]
    assert shown == closed.json("invoices", "show", shown["id"])
    assert "2026-000001" in closed("invoices", "list").stdout


def test_show(closed: CommandLine) -> None:
    acme = of(closed.json("invoices", "list"), "acme")
    shown = closed.json("invoices", "show", acme["id"])
    assert {name: shown[name] for name in FIELDS[:-1]} == {name: acme[name] for name in FIELDS[:-1]}
    assert shown["lines"][0]["plan"] == "payg"
    people = closed("invoices", "show", acme["id"]).stdout
    assert "draft, version 1, payment not_due" in people
    assert "Total 1.00 USD" in people
    assert closed.error("invoices", "show", "2026-009999")["hint"].endswith("billing invoices list --all")
    assert closed.error("invoices", "show", acme["id"], "--version", "2")["hint"] == "Its newest version is 1."


RESTATED = "acme,compute,2026-01-03T10:00Z,12,eu,,"


def test_diff_says_what_changed_line_by_line_and_why(sandbox: Sandbox, closed: CommandLine, tmp_path: Path) -> None:
    sandbox.at("2026-02-01").close()
    sandbox.at("2026-02-02")
    closed("usage", "land", usage_file(tmp_path, "restated.csv", RESTATED))
    sandbox.close()
    acme = of(closed.json("invoices", "list"), "acme")
    assert (acme["version"], acme["total"]) == (2, "1.20")
    found = closed.json("invoices", "diff", acme["id"])
    (line,) = found["lines"]
    assert (line["change"], line["quantity"], line["amount"]) == (
        "changed",
        {"old": "10", "new": "12"},
        {"old": "1.00", "new": "1.20"},
    )
    assert found["total"] == {"old": "1.00", "new": "1.20", "difference": "0.20"}
    (batch,) = found["reasons"]["batches"]
    assert (batch["number"], batch["source"], batch["name"]) == (2, "usage", "restated.csv")
    assert batch["received_at"] == "2026-02-02T00:00:00Z"
    assert found["reasons"]["catalog_changes"] == []
    assert found["reasons"]["code"] is None
    people = closed("invoices", "diff", acme["id"], "--from", "1", "--to", "2").stdout
    assert "10 → 12" in people
    assert "Because of batch 2 of usage: restated.csv, received 2026-02-02T00:00:00Z." in people
    versions = closed.json("invoices", "show", acme["id"])["versions"]
    assert [(one["version"], one["reason"].get("batches", [])) for one in versions] == [(1, []), (2, [2])]
    assert "batches 2" in closed("invoices", "show", acme["id"]).stdout


def test_diff_names_the_catalog_change_and_who_made_it(sandbox: Sandbox, closed: CommandLine, tmp_path: Path) -> None:
    sandbox.at("2026-02-01").close()
    dearer = CATALOG.replace("id: payg, currency", "id: dear, currency").replace('"0.10"', '"0.20"')
    moved = dearer.replace(
        "acme-payg, customer: acme, plan: payg, start: 2026-01-01",
        "acme-payg, customer: acme, start: 2026-01-01, phases: [{plan: dear}]",
    ).replace("customer: beta, plan: payg", "customer: beta, plan: dear")
    (tmp_path / "dear.yaml").write_text(moved)
    sandbox.at("2026-02-02")
    closed("catalog", "apply", str(tmp_path / "dear.yaml"), "--actor", "alice")
    sandbox.close()
    found = closed.json("invoices", "diff", of(closed.json("invoices", "list"), "acme")["id"])
    assert {line["change"] for line in found["lines"]} == {"added", "removed"}
    assert found["total"]["new"] == "2.00"
    (change,) = found["reasons"]["catalog_changes"]
    assert (change["number"], change["actor"], change["action"]) == (2, "alice", "catalog apply")
    assert {"kind": "subscription", "id": "acme-payg"} in change["changed"]
    assert {"kind": "subscription", "id": "beta-payg"} not in change["changed"]


def test_two_invoices_can_be_compared(closed: CommandLine) -> None:
    invoices = closed.json("invoices", "list")
    found = closed.json("invoices", "diff", of(invoices, "acme")["id"], of(invoices, "beta")["id"])
    assert (found["old"]["customer"], found["new"]["customer"]) == ("acme", "beta")
    assert {line["change"] for line in found["lines"]} == {"added", "removed"}
    assert found["reasons"] == {}


def test_a_first_version_has_nothing_to_be_compared_with(sandbox: Sandbox, closed: CommandLine) -> None:
    acme = of(closed.json("invoices", "list"), "acme")
    assert closed.error("invoices", "diff", acme["id"])["hint"] == "Versions are kept from the period's end on."


def test_as_known_at_shows_what_stood_then(sandbox: Sandbox, closed: CommandLine, tmp_path: Path) -> None:
    """Each recorded state of the list can be asked for again, to the letter."""
    seen = {"2026-01-20": closed.json("invoices", "list")}
    sandbox.at("2026-02-01").close()
    seen["2026-02-01"] = closed.json("invoices", "list")
    sandbox.at("2026-02-02")
    closed("usage", "land", usage_file(tmp_path, "restated.csv", RESTATED))
    sandbox.close()
    seen["2026-02-02"] = closed.json("invoices", "list")
    sandbox.at("2026-02-04").lock()
    seen["2026-02-04"] = closed.json("invoices", "list")
    sandbox.at("2026-02-05")
    closed("payments", "deliver")
    seen["2026-02-05"] = closed.json("invoices", "list")
    for known_at, listed in seen.items():
        assert closed.json("invoices", "list", "--as-known-at", known_at) == listed, known_at
    assert [of(listed, "acme")["total"] for listed in seen.values()] == ["1.00", "1.00", "1.20", "1.20", "1.20"]
    assert closed.json("invoices", "list", "--as-known-at", "2026-01-19") == []


def test_a_draft_that_was_replaced_can_be_seen_as_it_was(sandbox: Sandbox, closed: CommandLine, tmp_path: Path) -> None:
    """Drafts of a running period are not kept; what they said is computed again, as of what was known."""
    then = closed.json("invoices", "list")
    sandbox.at("2026-01-25")
    closed("usage", "land", usage_file(tmp_path, "b.csv", RESTATED, "beta,compute,2026-01-04T10:00Z,1,eu,,"))
    (tmp_path / "third.yaml").write_text(
        "customers: [{id: third, name: T, currency: USD}]\n"
        "subscriptions: [{id: third, customer: third, plan: payg, start: 2026-01-21}]"
    )
    closed("catalog", "apply", str(tmp_path / "third.yaml"))
    sandbox.close()
    assert of(closed.json("invoices", "list"), "acme")["total"] == "1.20"
    for known_at in ("2026-01-20", "2026-01-24"):
        assert closed.json("invoices", "list", "--as-known-at", known_at) == then
    sandbox.at("2026-02-04").lock()
    assert closed.json("invoices", "list", "--as-known-at", "2026-01-20") == then


def test_a_due_document_says_what_it_waits_for(sandbox: Sandbox, closed: CommandLine) -> None:
    sandbox.apply(
        "sources: [{id: must, format: jsonl, required: true, deadline: 6 days, "
        "event: {customer: c, meter: m, timestamp: t, value: v}}]"
    )
    closed("hold", "place", "acme", "--period", "2026-01-01", "--reason", "disputed")
    assert of(closed.json("invoices", "list"), "acme")["held_by"] == []  # not due yet
    sandbox.at("2026-02-04").lock()
    invoices = closed.json("invoices", "list")
    source = {
        "kind": "source",
        "cause": "must",
        "reason": "waits for the watermark of must to reach 2026-02-01T00:00:00Z or until 2026-02-07T00:00:00Z",
    }
    assert of(invoices, "beta")["held_by"] == [source]
    assert of(invoices, "acme")["held_by"] == [{"kind": "hold", "cause": "manual", "reason": "disputed"}, source]
    assert "manual, must" in closed("invoices", "list").stdout
    closed("usage", "watermark", "must", "2026-02-01")
    sandbox.lock()
    after = closed.json("invoices", "list")
    assert (of(after, "beta")["status"], of(after, "acme")["held_by"][0]["cause"]) == ("finalized", "manual")
    assert len(of(after, "acme")["held_by"]) == 1
    assert closed.json("invoices", "list", "--as-known-at", "2026-02-03") != after
