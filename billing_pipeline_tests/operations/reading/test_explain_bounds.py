"""Why a true-up line comes to its amount: computed when asked, and equal to what was billed."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.operations.reading.explain import explain_invoice
from billing_pipeline.operations.reading.invoices import list_invoices
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.sandbox import SOURCE, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

CATALOG = (
    SOURCE
    + """
account: {name: Example, currency: USD}
meters: [{id: api, aggregation: sum, dimensions: [region]}]
products: [{id: late, invoicing_delay: 5 days}]
plans:
  - id: bounded
    maximum: "40"
    prices:
      - {id: least, meter: api, minimum: "31", price: {model: per_unit, by: [region], default: {unit_amount: 1}}}
      - {id: most, meter: api, maximum: "3", price: {model: per_unit, by: [region], unit_amount: "0.50"}}
      - {id: slow, meter: api, product: late, price: {model: per_unit, unit_amount: 4}}
customers: [{id: acme}, {id: part}]
subscriptions:
  - {id: s, customer: acme, plan: bounded, start: 2026-01-01}
  - {id: t, customer: part, plan: bounded, start: 2026-01-11}
"""
)


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, CATALOG, now="2026-01-20") as made:
        used = (("eu", 4), ("us", 6))
        made.land(*(use(one, "api", "2026-01-12", value, region) for one in ("acme", "part") for region, value in used))
        tick(made.billing)
        yield made


def true_ups(sandbox: Sandbox, customer: str) -> dict[str, list[tuple[str, str]]]:
    """Details of each true-up line of a customer, by its description."""
    found = {}
    for document in list_invoices(sandbox.billing, customer=customer):
        for line in explain_invoice(sandbox.billing, str(document["id"])):
            details: list[dict[str, str]] = line["details"]  # type: ignore[assignment]
            assert sum(Decimal(one["amount"]) for one in details) == Decimal(str(line["amount"]))
            if line["kind"] == "true_up":
                found[str(line["description"])] = [(one["description"], one["amount"]) for one in details]
    return found


def test_bounds_are_explained_by_what_they_look_at(sandbox: Sandbox) -> None:
    """10 used: 10.00 by the first price, 5.00 by the second, 40.00 by the third, on a later document."""
    assert true_ups(sandbox, "acme") == {
        "Minimum spend: least": [("minimum spend", "31"), ("usage", "-10")],
        "Maximum spend: most": [("maximum spend", "3"), ("usage", "-5")],
        "Maximum spend: bounded": [("maximum spend", "40"), ("usage and arrears", "-74")],
    }


def test_a_part_of_a_period_is_said(sandbox: Sandbox) -> None:
    """From 11 January on: 21 of 31 days."""
    assert true_ups(sandbox, "part") == {
        "Minimum spend: least": [("minimum spend, its days' part of 31", "21"), ("usage", "-10")],
        "Maximum spend: most": [("maximum spend, its days' part of 3", "2.03"), ("usage", "-5")],
        "Maximum spend: bounded": [("maximum spend, its days' part of 40", "27.1"), ("usage and arrears", "-63.03")],
    }
