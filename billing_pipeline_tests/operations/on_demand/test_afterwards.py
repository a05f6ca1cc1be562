"""What people do with documents on demand once they are final: void, reissue, credit, explain, print, export."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from billing_pipeline.cli import app
from billing_pipeline.operations.corrections.credit_note import credit
from billing_pipeline.operations.corrections.void import void
from billing_pipeline.operations.on_demand.windows import invoice_windows
from billing_pipeline.operations.reading.explain import explain_invoice
from billing_pipeline.operations.reading.invoices import list_invoices
from billing_pipeline_tests.operations.on_demand.test_windows import CATALOG, at, run, subscribed
from billing_pipeline_tests.sandbox import Sandbox, note_checked, open_sandbox
from billing_pipeline_tests.servers import Server

FIRST, SECOND = "2026-000001", "2026-000002"


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """80 and 40 calls are invoiced, 80.00 and 36.00."""
    with open_sandbox(postgres, tmp_path, CATALOG, subscribed("graduated"), buckets=1) as made:
        at(made, "13:30", ("api", "13:20", 80))
        run(made, "14:00")
        at(made, "15:10", ("api", "15:00", 40))
        assert run(made, "16:00") == ["10 14:00 80.00", "10 16:00 36.00"]
        yield made


def test_a_reissue_has_the_same_usage_and_replaces(sandbox: Sandbox) -> None:
    done = void(sandbox.billing, FIRST, reason="wrong address", reissue=True)
    assert (done.total, done.reissue, done.reissue_total) == ("80.00", "2026-000003", "80.00")
    stated = [(one["number"], one["status"], one["total"]) for one in list_invoices(sandbox.billing)]
    assert sorted(stated, key=lambda one: str(one[0])) == [
        (FIRST, "void", "80.00"),
        (SECOND, "finalized", "36.00"),
        ("2026-000003", "finalized", "80.00"),
    ]
    at(sandbox, "16:30", ("api", "16:20", 10))
    sandbox.at("2026-01-10T17:00")
    assert _totals(sandbox)["10 17:00"] == Decimal("8.00")


def test_void_alone_is_waived_and_a_correction_is_billed_again(sandbox: Sandbox) -> None:
    void(sandbox.billing, SECOND, reason="a gift")
    noted = credit(sandbox.billing, FIRST, Decimal(30), reason="counted twice", correction=True)
    assert (noted.total, noted.correction) == ("-30.00", True)
    at(sandbox, "16:30", ("api", "16:20", 10))
    sandbox.at("2026-01-10T17:00")
    assert _totals(sandbox)["10 17:00"] == Decimal("38.00")  # 8.00 for 10 more, and the 30.00 again


def _totals(sandbox: Sandbox) -> dict[str, Decimal]:
    """Of what stands, by the window's end; a credit note took a number between them."""
    note_checked(sandbox.billing)
    invoice_windows(sandbox.billing)
    rows = sandbox.query("""
        SELECT to_char(window_end, 'DD HH24:MI') AS ended, total_minor FROM current_document
        WHERE kind = 'on_demand' AND status = 'finalized'
    """)
    return {row.ended: Decimal(row.total_minor).scaleb(-2) for row in rows}


def test_its_reasons_add_up(sandbox: Sandbox) -> None:
    (line,) = explain_invoice(sandbox.billing, SECOND)
    details = [(one["description"], one["quantity"], one["unit_amount"], one["amount"]) for one in line["details"]]  # type: ignore[attr-defined]
    assert details == [
        ("up to 100", "100", "1", "100"),
        ("over 100", "20", "0.8", "16"),
        ("invoiced before", "1", None, "-80"),
    ]
    assert line["amount"] == "36.00"


@pytest.mark.parametrize("words", [("invoices", "show", FIRST), ("invoices", "list"), ("status",)])
def test_people_see_them(sandbox: Sandbox, words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words], env=sandbox.environment)
    assert shown.exit_code == 0, shown.output
    assert ("80.00" in shown.stdout) == (words[0] == "invoices")


def test_they_are_printed_exported_and_known_as_they_were(sandbox: Sandbox, tmp_path: Path) -> None:
    def billing(*words: str) -> str:
        result = CliRunner().invoke(app, [*words], env=sandbox.environment)
        assert result.exit_code == 0, result.output
        return result.stdout

    page = tmp_path / "invoice.html"
    billing("invoices", "render", FIRST, "--format", "html", "--output", str(page))
    assert "Usage on demand" in page.read_text()
    journal = tmp_path / "journal.csv"
    billing("export", "ledger", "--output", str(journal))
    assert journal.read_text().count(SECOND) > 0
    focus = tmp_path / "focus.csv"
    billing("export", "focus", "--output", str(focus))
    assert focus.read_text().count(SECOND) > 0
    known = json.loads(billing("invoices", "list", "--as-known-at", "2026-01-10T14:30:00Z", "--json"))
    assert [(one["number"], one["kind"], one["total"]) for one in known if one["lines"]] == [
        (FIRST, "on_demand", "80.00")
    ]


def test_what_waits_is_shown(sandbox: Sandbox) -> None:
    at(sandbox, "16:30", ("api", "16:20", 10))
    sandbox.at("2026-01-10T17:00")
    invoice_windows(sandbox.billing)  # no check has looked at it
    shown = CliRunner().invoke(app, ["status"], env=sandbox.environment).stdout
    assert "On demand: acme, window to 2026-01-10 17:00 UTC waits for checks of 2026-01-01." in " ".join(shown.split())
    note_checked(sandbox.billing)
    invoice_windows(sandbox.billing)
    assert "On demand" not in CliRunner().invoke(app, ["status"], env=sandbox.environment).stdout
