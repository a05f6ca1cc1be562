"""billing invoices render and billing period report: files for people."""

from hashlib import sha256
from pathlib import Path

import pytest

from billing_pipeline_tests.cli.command_line import CommandLine, usage_file
from billing_pipeline_tests.sandbox import Sandbox


@pytest.fixture
def locked(sandbox: Sandbox, billing: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """One final invoice; commands write into a folder of the test's own."""
    billing("usage", "land", usage_file(tmp_path, "a.csv", "acme,compute,2026-01-03T10:00Z,10,eu,,"))
    sandbox.at("2026-02-01").close()
    sandbox.at("2026-02-04").lock()
    monkeypatch.chdir(tmp_path)
    return billing


def test_an_invoice_becomes_a_file_named_by_its_number(locked: CommandLine) -> None:
    assert locked("invoices", "render", "2026-000001").stdout == "Invoice 2026-000001 is in 2026-000001.pdf.\n"
    content = Path("2026-000001.pdf").read_bytes()
    found = locked.json("invoices", "render", "2026-000001")
    assert found == {
        "invoice": "2026-000001",
        "format": "pdf",
        "file": "2026-000001.pdf",
        "bytes": len(content),
        "sha256": sha256(content).hexdigest(),
    }


def test_an_invoice_as_html_where_one_likes(locked: CommandLine) -> None:
    locked("invoices", "render", "2026-000001", "--format", "html", "--details", "--output", "acme.html")
    assert "Unit price" in Path("acme.html").read_text()
    printed = locked("invoices", "render", "2026-000001", "--format", "html", "--details", "--output", "-")
    assert printed.stdout == Path("acme.html").read_text()


def test_a_file_that_cannot_be_written_is_refused(locked: CommandLine) -> None:
    words = ("invoices", "render", "2026-000001", "--output", "no/such/folder.pdf")
    assert locked.error(*words)["message"].startswith("no/such/folder.pdf cannot be written")
    assert locked.error("invoices", "render", "2026-000009")["code"] == "refused"


def test_a_period_becomes_a_report(locked: CommandLine) -> None:
    found = locked.json("period", "report", "2026-01-01")
    content = Path("period-2026-01-01.html").read_bytes()
    assert (found["file"], found["sha256"]) == ("period-2026-01-01.html", sha256(content).hexdigest())
    said = locked("period", "report", "2026-01-01", "--output", "january.html").stdout
    assert said == "The report of 2026-01-01 is in january.html.\n"
    assert Path("january.html").read_bytes() == content
    assert locked.error("period", "report", "2026-01-02")["code"] == "refused"
