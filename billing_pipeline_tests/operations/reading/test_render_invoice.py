"""Invoices of a real ledger on paper: with the names in force at the cutoff, whatever is renamed later."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.core.errors import Refused
from billing_pipeline.operations.corrections.credit_note import credit
from billing_pipeline.operations.corrections.void import void
from billing_pipeline.operations.reading.render_invoice import Form, paper_document, render_invoice
from billing_pipeline_tests.sandbox import JANUARY, SOURCE, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

D = Decimal
CATALOG = (
    SOURCE
    + """
account: {name: Example Cloud GmbH, currency: USD, grace: 3 days, tax_id: DE123, address: "Street 1\\n10115 Berlin"}
meters:
  - {id: compute, aggregation: sum, unit: GB-s, dimensions: [region]}
  - {id: requests, aggregation: count}
products:
  - {id: functions, name: Serverless functions}
plans:
  - {id: payg, currency: USD, prices: [
      {id: compute, product: functions, meter: compute,
       price: {model: graduated, tiers: [{up_to: 100, unit_amount: "0.10"}, {unit_amount: "0.08"}]}},
      {id: requests, meter: requests, convert: {divide_by: "1000"}, price: {model: per_unit, unit_amount: "500"}}]}
customers:
  - {id: acme, name: Acme GmbH, currency: USD, locale: de_DE, tax: {exempt: Reverse Charge}}
subscriptions:
  - {id: acme-payg, customer: acme, plan: payg, start: 2026-01-01}
"""
)
RENAMED = (
    CATALOG.replace("Acme GmbH", "Acme Holding SE")
    .replace("Example Cloud GmbH", "Bigger Cloud AG")
    .replace("de_DE", "fr_FR")
    .replace("name: Serverless functions", "name: Lambdas")
)


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """January with a line of each price, closed on its end."""
    with open_sandbox(postgres, tmp_path, CATALOG) as made:
        made.at("2026-01-20").land(
            use("acme", "compute", "2026-01-03T10:00", 140, "eu"),
            use("acme", "requests", "2026-01-03T10:00", 1),
            use("acme", "requests", "2026-01-04T10:00", 1),
        )
        made.at("2026-02-01").close()
        yield made


def name(sandbox: Sandbox) -> str:
    (found,) = sandbox.query("SELECT id FROM document WHERE period = :period", period=JANUARY)
    return str(found.id)


def test_paper_says_what_the_ledger_knows(sandbox: Sandbox) -> None:
    made = paper_document(sandbox.billing, name(sandbox))
    assert (made.number, made.status, made.kind, made.corrects) == (None, "draft", "closing", None)
    assert (made.seller.name, made.seller.address) == ("Example Cloud GmbH", ("Street 1", "10115 Berlin"))
    assert (made.buyer.name, made.buyer.locale, made.buyer.exempt) == ("Acme GmbH", "de_DE", "Reverse Charge")
    assert [(one.description, one.product, one.quantity, one.unit, str(one.amount)) for one in made.lines] == [
        ("requests", None, D("0.002"), "× 1000", "1.00"),
        ("Serverless functions", "Serverless functions", D(140), "GB-s", "13.20"),
    ]


def test_details_come_to_the_lines(sandbox: Sandbox) -> None:
    made = paper_document(sandbox.billing, name(sandbox), details=True)
    assert [(one.quantity, one.unit_amount, one.amount) for one in made.lines[1].details] == [
        (D(100), D("0.10"), D(10)),
        (D(40), D("0.08"), D("3.20")),
    ]
    for line in made.lines:
        assert sum(one.amount for one in line.details) == line.amount.amount


def test_a_rename_after_the_cutoff_changes_no_paper(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-04").lock()
    final = name(sandbox)
    forms: list[tuple[Form, bool]] = [("pdf", False), ("pdf", True), ("html", False), ("html", True)]
    before = {
        (form, details): render_invoice(sandbox.billing, final, form=form, details=details) for form, details in forms
    }
    assert before["pdf", False].file_name == "2026-000001.pdf"
    sandbox.at("2026-02-05").apply(RENAMED)
    after = {
        (form, details): render_invoice(sandbox.billing, final, form=form, details=details) for form, details in forms
    }
    assert before == after
    assert b"Acme GmbH" in after["html", False].content


def test_a_rename_in_grace_is_on_the_paper(sandbox: Sandbox) -> None:
    """What is printed is what was in force at the cutoff, also where it changed no amount and made no new version."""
    sandbox.at("2026-02-02").apply(RENAMED.replace("name: Lambdas", "name: Serverless functions"))
    sandbox.at("2026-02-04").lock()
    made = paper_document(sandbox.billing, name(sandbox))
    assert (made.buyer.name, made.seller.name, made.buyer.locale) == ("Acme Holding SE", "Bigger Cloud AG", "fr_FR")


def test_an_earlier_version_can_be_printed(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-02").land(use("acme", "compute", "2026-01-03T11:00", 10, "eu"))
    sandbox.close()
    first, newest = (paper_document(sandbox.billing, name(sandbox), version=one) for one in (1, None))
    assert (str(first.total), str(newest.total)) == ("14.20", "15.00")
    assert (first.version, newest.version) == (1, 2)


def test_who_is_not_known_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(Refused, match="no invoice '2026-009999'"):
        render_invoice(sandbox.billing, "2026-009999")


def test_late_usage_is_grouped_under_the_period_that_it_adjusts(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-04").lock()
    sandbox.at("2026-02-10").land(use("acme", "compute", "2026-01-20T10:00", 10, "eu"))
    sandbox.close()
    sandbox.close("2026-02-01")
    (draft,) = sandbox.query("SELECT id FROM document WHERE period = '2026-02-01'")
    (line,) = paper_document(sandbox.billing, str(draft.id)).lines
    assert (line.kind, line.description, line.unit, str(line.amount)) == (
        "adjustment",
        "Serverless functions",
        "GB-s",
        "0.80",
    )
    assert [day.isoformat() for day in line.adjusts or ()] == ["2026-01-01", "2026-01-31"]


def test_a_void_invoice_names_the_one_in_its_place(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-04").lock()
    void(sandbox.billing, "2026-000001", reason="wrong address", reissue=True)
    made = paper_document(sandbox.billing, "2026-000001")
    assert (made.status, made.replaced_by) == ("void", "2026-000002")
    assert b"2026-000002 ersetzt es" in render_invoice(sandbox.billing, "2026-000001", form="html").content
    assert paper_document(sandbox.billing, "2026-000002").status == "finalized"


def test_a_credit_note_names_what_it_lowers_and_why(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-04").lock()
    note = credit(sandbox.billing, "2026-000001", D(3), reason="an outage")
    made = paper_document(sandbox.billing, str(note.number), details=True)
    assert (made.kind, made.corrects, made.reason, str(made.total)) == (
        "credit_note",
        "2026-000001",
        "an outage",
        "-3.00",
    )
    assert [(one.kind, one.description) for one in made.lines] == [
        ("adjustment", "requests"),
        ("adjustment", "Serverless functions"),
    ]
    assert render_invoice(sandbox.billing, str(note.number)).content.startswith(b"%PDF-")
