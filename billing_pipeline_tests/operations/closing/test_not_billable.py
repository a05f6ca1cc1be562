"""Volume-priced usage after the lock is not billed, and a check says so: a warning that holds nobody."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.operations.checks.check import check
from billing_pipeline.operations.checks.check_report import CheckRow
from billing_pipeline.operations.locking.holds import list_holds
from billing_pipeline_tests.sandbox import SOURCE, Sandbox, lines_of, open_sandbox, use
from billing_pipeline_tests.servers import Server

CATALOG = (
    SOURCE
    + """
account: {name: Example, currency: USD}
meters: [{id: api, aggregation: sum, dimensions: [region]}]
plans:
  - id: volume
    prices: [{id: api, meter: api, price: {model: volume, tiers: [{up_to: "100", unit_amount: "0.10"},
      {unit_amount: "0.08"}]}}]
  - {id: flat, prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: "0.10"}}]}
customers: [{id: acme}, {id: beta}]
subscriptions:
  - {id: acme, customer: acme, plan: volume, start: 2026-01-01}
  - {id: beta, customer: beta, plan: flat, start: 2026-01-01}
"""
)


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """January is locked: both used 35."""
    with open_sandbox(postgres, tmp_path, CATALOG) as made:
        made.land(use("acme", "api", "2026-01-05", 35), use("beta", "api", "2026-01-05", 35))
        made.at("2026-02-01").lock()
        yield made.at("2026-02-10")


def found(sandbox: Sandbox) -> CheckRow:
    sandbox.close()
    report = check(sandbox.billing, sandbox.period())
    assert report.passed
    return next(row for row in report.rows if row.name == "late_volume_usage")


def test_nothing_is_said_while_what_was_billed_is_what_is_known(sandbox: Sandbox) -> None:
    assert found(sandbox).outcome == "passed"
    sandbox.land(use("beta", "api", "2026-01-06", 100))  # another price model: an adjustment will bill it
    assert found(sandbox).outcome == "passed"


def test_late_usage_is_named_with_its_price_and_its_difference(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-06", 100), use("beta", "api", "2026-01-06", 100))
    row = found(sandbox)
    assert (row.severity, row.outcome, row.summary) == ("warning", "failed", "1 quantity of 1 customer")
    (one,) = row.worst
    assert (one["about"], one["customers"]) == ("price api, customer acme", ["acme"])
    assert one["note"] == "+100 beside what was billed"
    assert list_holds(sandbox.billing) == []
    (doc,) = sandbox.documents("acme", "2026-01-01")
    assert lines_of(doc) == [("api", "35", "3.50")]


def test_a_restatement_down_counts_too_and_its_reversal_ends_it(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 30))
    assert found(sandbox).worst[0]["note"] == "-5 beside what was billed"
    sandbox.at("2026-02-11").land(use("acme", "api", "2026-01-05", 35))
    assert found(sandbox).outcome == "passed"
