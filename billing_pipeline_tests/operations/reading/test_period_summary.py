"""What a person reads of a period: counts that add up, money by currency, reasons in words."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.core.money import Money
from billing_pipeline.operations.reading.period_summary import (
    invoice_summary,
    payment_summary,
    price_summary,
    quantity_summary,
    usage_summary,
)
from billing_pipeline_tests.sandbox import SOURCE, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

CATALOG = (
    SOURCE
    + """
account: {name: Example Cloud, currency: USD, grace: 3 days}
meters:
  - {id: compute, aggregation: sum, unit: GB-s, dimensions: [region]}
plans:
  - {id: payg, currency: USD, prices: [{id: compute, meter: compute, price: {model: per_unit, unit_amount: "0.10"}}]}
  - {id: yen, currency: JPY, prices: [{id: compute, meter: compute, price: {model: per_unit, unit_amount: "15"}}]}
customers:
  - {id: acme, name: Acme GmbH, currency: USD, payment: {gateway: file, collection: automatic}}
  - {id: beta, name: Beta Inc, currency: USD}
  - {id: umi, name: Umi KK, currency: JPY, payment: {gateway: file, collection: automatic}}
subscriptions:
  - {id: acme, customer: acme, plan: payg, start: 2026-01-01}
  - {id: beta, customer: beta, plan: payg, start: 2026-01-01}
  - {id: umi, customer: umi, plan: yen, start: 2026-01-01}
"""
)


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """January in its grace: acme for $10.00, umi for ¥300, beta for nothing."""
    with open_sandbox(postgres, tmp_path, CATALOG) as made:
        made.at("2026-01-20").land(
            use("acme", "compute", "2026-01-05", 100), use("umi", "compute", "2026-01-05", 20),
            use("nobody", "compute", "2026-01-05", 1),
        )  # fmt: skip
        made.at("2026-02-02").close()
        yield made


def test_money_is_added_up_by_currency_and_never_across(sandbox: Sandbox) -> None:
    totals = [Money(300, "JPY"), Money(1000, "USD")]
    assert price_summary(sandbox.billing, sandbox.period()).totals == totals
    summary = invoice_summary(sandbox.billing, sandbox.period())
    assert summary.totals == totals
    assert summary.by_status == [
        {"kind": "closing", "status": "draft", "documents": 1, "total": Money(300, "JPY")},
        {"kind": "closing", "status": "draft", "documents": 1, "total": Money(1000, "USD")},
    ]


def test_a_document_without_lines_is_nobodys_invoice(sandbox: Sandbox) -> None:
    """Beta used nothing: its document waits for usage that may still come, and is not counted."""
    assert [doc.customer for doc in sandbox.documents()] == ["acme", "beta", "umi"]
    summary = invoice_summary(sandbox.billing, sandbox.period())
    assert (summary.documents, summary.final) == (2, 0)
    assert {row["customer"] for row in summary.largest} == {"acme", "umi"}


def test_every_row_ends_somewhere_and_what_has_just_landed_is_not_deduped_yet(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "compute", "2026-01-05", 110), use("acme", "compute", "2026-01-06", 1))
    before = usage_summary(sandbox.billing, sandbox.period())
    assert before.ended == {
        "landed": 5, "accepted": 2, "superseded": 0, "retracted": 0, "quarantined": 1, "not deduped yet": 2,
    }  # fmt: skip
    assert (before.rows, before.landed) == (4, 5)
    sandbox.close()
    after = usage_summary(sandbox.billing, sandbox.period()).ended
    assert after == {
        "landed": 5, "accepted": 3, "superseded": 1, "retracted": 0, "quarantined": 1, "not deduped yet": 0,
    }  # fmt: skip
    assert [(row["batch"], row["rows"]) for row in usage_summary(sandbox.billing, sandbox.period()).batches] == [
        (2, 2),
        (1, 2),
    ]


def test_quantities_by_price(sandbox: Sandbox) -> None:
    count, rows = quantity_summary(sandbox.billing, sandbox.period())
    assert (count, rows) == (2, [{"price": "compute", "customers": 2, "quantities": 2, "events": 2}])


def test_a_change_says_because_of_what(sandbox: Sandbox) -> None:
    """Two deliveries and a new price, each a version of acme's invoice."""
    sandbox.land(use("acme", "compute", "2026-01-06", 10))
    sandbox.land(use("acme", "compute", "2026-01-07", 10))
    sandbox.close()
    (row,) = invoice_summary(sandbox.billing, sandbox.period()).changed
    assert row["because"] == "batch 2 (frame), batch 3 (frame)"
    assert (row["before"], row["after"], row["difference"]) == (
        Money(1000, "USD"),
        Money(1200, "USD"),
        Money(200, "USD"),
    )
    sandbox.apply("subscriptions: [{id: acme, customer: acme, start: 2026-01-01, phases: [{plan: payg}, "
                  "{plan: payg, start: 2026-01-10}]}]")  # fmt: skip
    sandbox.land(use("acme", "compute", "2026-01-08", 10))
    sandbox.close()
    (row,) = invoice_summary(sandbox.billing, sandbox.period()).changed
    assert row["because"] == "batch 4 (frame), catalog change 2"
    assert row["version"] == 3


def test_payments_by_status(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-05").lock()
    assert payment_summary(sandbox.billing, sandbox.period()) == [
        {"gateway": "file", "status": "queued", "payments": 1, "amount": Money(300, "JPY")},
        {"gateway": "file", "status": "queued", "payments": 1, "amount": Money(1000, "USD")},
    ]
    assert invoice_summary(sandbox.billing, sandbox.period()).final == 2
