"""Discounts and tax through the pipeline: on drafts in grace, explained, and not inside what is locked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.core.errors import Refused
from billing_pipeline.operations.reading.explain import explain_invoice
from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.sandbox import MONTH, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

TIERS = """
plans:
  - id: tiers
    prices: [{id: api, meter: api, price: {model: graduated, tiers: [
      {up_to: "100", unit_amount: "0.105", flat_amount: "5"}, {unit_amount: "0.0433"}]}}]
  - id: events
    prices: [{id: paid, meter: gb, price: {model: per_unit, unit_amount: "1"}},
             {id: share, meter: api, price: {model: percentage, rate: "1.5", fixed_amount: "0.30", free_events: 1}}]
customers: [{id: gamma, tax: [{name: VAT, percent: "19"}]}, {id: delta, tax: {exempt: reverse charge}}]
subscriptions:
  - {id: gamma, customer: gamma, plan: tiers, start: 2026-01-01}
  - {id: delta, customer: delta, plan: events, start: 2026-01-01}
"""
OFF = "discounts: [{{id: launch, customer: {}, percent: 10, start: {}{}}}]"


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, MONTH, TIERS) as made:
        yield made


@pytest.fixture
def measured(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """With the engine itself, which knows single events."""
    with open_sandbox(postgres, tmp_path, MONTH, TIERS) as made:
        yield made


def explained(sandbox: Sandbox, customer: str) -> list[dict[str, Any]]:
    (document,) = sandbox.query("SELECT id FROM current_document WHERE customer_id = :one", one=customer)
    return [dict(line) for line in explain_invoice(sandbox.billing, str(document.id))]


def lines(sandbox: Sandbox, customer: str) -> list[tuple[str, str | None, str]]:
    return [(line["kind"], line["quantity"], line["amount"]) for line in explained(sandbox, customer)]


def version(sandbox: Sandbox, customer: str) -> int:
    (row,) = sandbox.query("SELECT version FROM current_document WHERE customer_id = :one", one=customer)
    return int(row.version)


def test_one_added_in_grace_replaces_the_draft_and_its_tax(sandbox: Sandbox) -> None:
    sandbox.land(use("gamma", "api", "2026-01-03", 80), use("gamma", "api", "2026-01-20", 80))
    sandbox.at("2026-02-01").close()
    assert lines(sandbox, "gamma") == [("usage", "160", "18.10"), ("tax", None, "3.44")]
    sandbox.at("2026-02-02").apply(OFF.format("gamma", "2026-01-15", ""))
    sandbox.close()
    assert version(sandbox, "gamma") == 2
    assert lines(sandbox, "gamma") == [
        ("usage", "80", "13.40"),
        ("usage", "80", "4.70"),
        ("discount", None, "-0.47"),
        ("tax", None, "3.35"),  # 19 % of 17.63
    ]
    assert sandbox.apply(OFF.format("gamma", "2026-01-15", "")).number is None


def test_the_parts_of_a_cut_price_are_explained_each(sandbox: Sandbox) -> None:
    """The second part pays for the rest of the first tier and begins the next, and pays no flat amount again."""
    sandbox.land(use("gamma", "api", "2026-01-03", 80), use("gamma", "api", "2026-01-20", 80))
    sandbox.apply(OFF.format("gamma", "2026-01-15", ""))
    sandbox.at("2026-02-01").close()
    first, second, *_ = explained(sandbox, "gamma")
    assert [(one["quantity"], one["amount"]) for one in first["details"]] == [("80", "8.4"), ("1", "5")]
    assert [(one["quantity"], one["amount"]) for one in second["details"]] == [("20", "2.1"), ("60", "2.598")]
    assert all(line["service_period"] for line in (first, second))


def test_the_parts_of_a_price_of_single_events_are_explained_each(measured: Sandbox) -> None:
    """Only the first event of the period is free; who is exempt has no tax line."""
    measured.land(use("delta", "api", "2026-01-03", 100), use("delta", "api", "2026-01-20", 20))
    measured.apply(OFF.format("delta", "2026-01-15", ", prices: [share]"))
    measured.at("2026-02-01").close()
    first, second, discount = explained(measured, "delta")
    assert [first["amount"], second["amount"], discount["amount"]] == ["0.00", "0.60", "-0.06"]
    assert [one["description"] for one in second["details"]] == ["1.5%", "fixed amount per event"]


def test_documents_share_one_allowance_also_when_the_first_is_final(sandbox: Sandbox) -> None:
    """The closing document uses 10 of 25; usage that arrives for the delayed one afterwards finds the other 15."""

    def amounts() -> list[tuple[str, str, str, int]]:
        found = sandbox.query(
            """
            SELECT d.kind, d.status, l.kind AS line, l.amount_minor FROM current_document AS d JOIN (
                SELECT document, version, line, kind, amount_minor FROM document_line
                UNION ALL SELECT document, -1, line, kind, amount_minor FROM draft_line) AS l
            ON l.document = d.id AND l.version = CASE WHEN d.replaceable THEN -1 ELSE d.version END
            WHERE customer_id = 'beta' ORDER BY d.kind, l.line
            """
        )
        return [(row.kind, row.status, row.line, int(row.amount_minor)) for row in found]

    sandbox.land(use("beta", "api", "2026-01-03", 100), use("beta", "gb", "2026-01-03", 12))
    sandbox.apply("discounts: [{id: welcome, customer: beta, amount: 25, start: 2026-01-31, periods: 1}]")
    sandbox.at("2026-02-04").lock()
    sandbox.land(use("beta", "gb", "2026-01-09", 40))
    sandbox.close()
    sandbox.at("2026-02-06").lock()
    assert amounts() == [
        ("closing", "finalized", "usage", 1000),
        ("closing", "finalized", "discount", -1000),
        ("delayed", "finalized", "usage", 4000),
        ("delayed", "finalized", "discount", -1500),
    ]


@pytest.mark.parametrize(
    "change",
    [
        OFF.format("acme", "2026-01-20", "").replace("launch", "other"),  # a new one
        OFF.format("acme", "2025-12-20", "").replace("launch", "other").replace("percent", "amount"),
        OFF.format("acme", "2026-01-05", ""),  # moved
        OFF.format("acme", "2026-01-10", ", end: 2026-01-20"),  # ended
        OFF.format("acme", "2026-01-10", ", end: 2026-01-10"),  # taken back
        OFF.format("acme", "2026-01-10", ", periods: 1").replace("percent: 10", "percent: 11"),  # another percentage
        OFF.format("acme", "2026-01-10", ", prices: [api]"),
    ],
)
def test_none_changes_inside_what_is_locked(sandbox: Sandbox, change: str) -> None:
    sandbox.land(use("acme", "api", "2026-01-12", 1000))
    sandbox.apply(OFF.format("acme", "2026-01-10", ""))
    sandbox.at("2026-02-04").lock()
    with pytest.raises(Refused, match="locked for customer acme") as raised:
        sandbox.apply(change)
    assert "The earliest start is 2026-02-01T00:00:00+00:00." in raised.value.hint
    assert lines(sandbox, "acme") == [("usage", "1000", "100.00"), ("discount", None, "-10.00")]


@pytest.mark.parametrize(
    "change",
    [
        OFF.format("acme", "2026-02-01", "").replace("launch", "other"),
        OFF.format("acme", "2026-01-10", ", end: 2026-02-01"),
        OFF.format("acme", "2026-01-10", ", periods: 1"),
        OFF.format("acme", "2026-01-10", ", periods: 3, end: 2026-03-15"),
        OFF.format("acme", "2026-01-20", ", end: 2026-01-20").replace("launch", "never"),
    ],
)
def test_it_may_change_from_the_end_of_what_is_locked_on(sandbox: Sandbox, change: str) -> None:
    sandbox.apply(OFF.format("acme", "2026-01-10", ""))
    sandbox.at("2026-02-04").lock()
    assert sandbox.apply(change).number == 3
