"""Three months of fees, discounts, tax, minimums and late usage through the real pipeline, and into the books."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

import pytest

from billing_pipeline.ledger.catalog import customer_codes
from billing_pipeline.ledger.documents import customer_credit
from billing_pipeline.operations.corrections.credit_note import credit
from billing_pipeline.operations.corrections.void import void
from billing_pipeline.operations.exports.export_focus import export_focus
from billing_pipeline.operations.exports.export_ledger import export_ledger
from billing_pipeline.operations.exports.selection import Selection
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.sandbox import SOURCE, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

CATALOG = (
    SOURCE
    + """
account: {name: Example, currency: USD}
meters: [{id: api, aggregation: sum, dimensions: [region]}]
products: [{id: functions, name: Functions, invoicing_delay: 5 days}]
plans:
  - id: pro
    fees:
      - {id: seats, amount: "30", every: month, timing: in_advance}
      - {id: support, amount: "7", every: month, timing: in_arrears}
      - {id: setup, amount: "99", every: once}
    prices:
      - {id: api, meter: api, minimum: "20", price: {model: per_unit, unit_amount: "0.10"}}
      - {id: fn, meter: api, product: functions, price: {model: per_unit, unit_amount: "0.01"}}
customers:
  - {id: acme, tax: [{name: VAT, percent: "19"}]}
  - {id: beta}
subscriptions:
  - {id: acme, customer: acme, plan: pro, start: 2026-01-01, quantities: {seats: 3}}
  - {id: beta, customer: beta, plan: pro, start: 2026-01-10}
discounts: [{id: launch, customer: acme, percent: "10", start: 2026-01-01}]
"""
)


@pytest.fixture(scope="module")
def sandbox(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """April: January to March are final, with usage of January that came and went late."""
    with open_sandbox(postgres, tmp_path_factory.mktemp("books"), CATALOG) as made:
        made.land(use("acme", "api", "2026-01-05", "1000", "eu"), use("beta", "api", "2026-01-15", "50", "us"))
        deliveries = {
            "2026-02-01": (),
            "2026-02-10": (use("acme", "api", "2026-01-20", "70"), use("beta", "api", "2026-02-02", "400")),
            "2026-03-01": (),
            "2026-03-07": (use("acme", "api", "2026-01-05", "1", "eu"),),  # 999 less than was billed
            "2026-04-01": (),
            "2026-04-10": (),
        }
        for day, rows in deliveries.items():
            made.at(day)
            if rows:
                made.land(*rows)
            report = tick(made.billing)
            assert not [step.problem for step in report.steps if step.problem]
        yield made


def rows_of(sandbox: Sandbox, name: str) -> list[dict[str, str]]:
    with (sandbox.folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_books_say_what_the_documents_say(sandbox: Sandbox) -> None:
    export_ledger(sandbox.billing, Selection(), str(sandbox.folder / "ledger.csv"))
    accounts = defaultdict[str, Decimal](Decimal)
    for row in rows_of(sandbox, "ledger.csv"):
        accounts[row["account"]] += Decimal(row["debit"] or 0) - Decimal(row["credit"] or 0)
    (sums,) = sandbox.query("""
        SELECT sum(subtotal_minor) AS subtotal, sum(tax_minor) AS tax, sum(amount_due_minor) AS due,
               sum(customer_credit_applied_minor) AS used, -sum(least(total_minor, 0)) AS made
        FROM current_document WHERE number IS NOT NULL
    """)
    assert accounts["assets:receivable"] == sums.due.scaleb(-2) > 0
    assert accounts["liabilities:tax"] == -sums.tax.scaleb(-2) < 0
    assert accounts["liabilities:customer-credit"] == (sums.used - sums.made).scaleb(-2)
    assert -sum(amount for name, amount in accounts.items() if name.startswith("income:")) == sums.subtotal.scaleb(-2)
    assert {"income:fee", "income:usage", "income:usage:functions", "income:true_up", "income:discount"} <= set(
        accounts
    )
    assert accounts["income:discount"] > 0


def test_what_is_undone_by_hand_leaves_the_books_with_the_credit_that_customers_have(sandbox: Sandbox) -> None:
    """An invoice is void and issued again, another is lowered: the liability is what the ledger says is left."""
    with sandbox.fork() as forked:
        forked.at("2026-05-01").lock("2026-04-01")  # and nothing is handed to a gateway yet
        numbers = dict(forked.query("SELECT customer_id, max(number) FROM current_document GROUP BY 1"))
        reissued = void(forked.billing, numbers["beta"], reason="wrong address", reissue=True)
        assert reissued.reissue is not None
        lowered = credit(forked.billing, numbers["acme"], Decimal(12), reason="goodwill")
        export_ledger(forked.billing, Selection(), str(forked.folder / "ledger.csv"))
        rows = rows_of(forked, "ledger.csv")
        entries = {row["entry"] for row in rows}
        assert {numbers["beta"], f"{numbers['beta']}-void", reissued.reissue, lowered.number} <= entries
        owed = sum(
            Decimal(row["credit"] or 0) - Decimal(row["debit"] or 0)
            for row in rows
            if row["account"] == "liabilities:customer-credit"
        )
        with forked.billing.ledger.begin() as connection:
            left = customer_credit.credit(connection, list(customer_codes(connection).values()))
    assert owed == Decimal(sum(left.values())).scaleb(-2) >= Decimal(lowered.total.removeprefix("-"))


def test_what_an_invoice_is_billed_in_focus_is_its_total(sandbox: Sandbox) -> None:
    export_focus(sandbox.billing, Selection(), str(sandbox.folder / "focus.csv"))
    rows = rows_of(sandbox, "focus.csv")
    billed = defaultdict[str, Decimal](Decimal)
    for row in rows:
        billed[row["InvoiceId"]] += Decimal(row["BilledCost"])
    totals = sandbox.query("SELECT number, total_minor FROM current_document WHERE number IS NOT NULL")
    assert billed == {row.number: row.total_minor.scaleb(-2) for row in totals}
    assert {row["ChargeCategory"] for row in rows} == {"Usage", "Purchase", "Credit", "Tax", "Adjustment"}
    fees = {row["SkuPriceId"]: row["ChargeFrequency"] for row in rows if row["ChargeCategory"] == "Purchase"}
    assert fees == {"pro/seats": "Recurring", "pro/support": "Recurring", "pro/setup": "One-Time"}
    corrections = [row for row in rows if row["ChargeClass"] == "Correction"]
    assert {row["ChargePeriodStart"] for row in corrections} == {"2026-01-01T00:00:00Z"}
    assert {row["x_LineKind"] for row in corrections} == {"adjustment"}
