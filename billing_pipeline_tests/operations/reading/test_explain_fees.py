"""Why a fee line comes to its amount: computed when asked, and equal to what was billed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.operations.reading.explain import explain_invoice
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.sandbox import SOURCE, Sandbox, open_sandbox
from billing_pipeline_tests.servers import Server

CATALOG = (
    SOURCE
    + """
account: {name: Example, currency: USD}
plans:
  - id: team
    fees: [{id: seats, name: Seats, amount: "10"}, {id: once, name: Setup, amount: "99", every: once}]
customers: [{id: acme}]
subscriptions:
  - {id: s, customer: acme, plan: team, start: 2026-01-17, quantities: {seats: 3},
     quantity_changes: [{start: 2026-02-15, quantities: {seats: 4}}]}
"""
)


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, CATALOG, now="2026-01-17") as made:
        yield made


def details(sandbox: Sandbox, number: str) -> list[tuple[str, list[tuple[object, ...]]]]:
    """(amount, details) of each line."""
    return [
        (str(line["amount"]), [tuple(one.values()) for one in line["details"]])  # type: ignore[attr-defined]
        for line in explain_invoice(sandbox.billing, number)
    ]


def test_fees_are_explained_by_quantity_and_days(sandbox: Sandbox) -> None:
    tick(sandbox.at("2026-01-18").billing)
    amounts, reasons = zip(*sorted(details(sandbox, "2026-000001")), strict=True)
    assert amounts == ("14.52", "99.00")
    ((described, quantity, unit_amount, exact),), setup = reasons
    assert (described, quantity, unit_amount) == ("Seats, 15 of 31 days at 10 each month", "3", None)
    assert str(exact).startswith("14.516129032258")  # 3 x 10 x 15 / 31, unrounded
    assert setup == [("Setup, once", "1", "99", "99")]
    tick(sandbox.at("2026-02-01").billing)
    assert details(sandbox, "2026-000002") == [
        ("15.00", [("Seats, 14 of 28 days at 10 each month", "3", None, "15")]),
        ("20.00", [("Seats, 14 of 28 days at 10 each month", "4", None, "20")]),
    ]
