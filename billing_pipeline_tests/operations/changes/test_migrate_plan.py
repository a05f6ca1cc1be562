"""A new version of a plan reaches its subscribers, all at once, and a hold for want of a rate ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.core.errors import Refused
from billing_pipeline.operations.changes.migrate_plan import migrate_plan
from billing_pipeline.operations.locking.holds import list_holds
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.cli.command_line import CommandLine
from billing_pipeline_tests.sandbox import SOURCE, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

RATES = "[{match: {region: eu}, unit_amount: 1}]"
CATALOG = (
    SOURCE
    + """
account: {name: Example, currency: USD, grace: 3 days}
meters: [{id: calls, aggregation: sum, dimensions: [region]}]
plans:
  - {id: payg, prices: [{id: calls, meter: calls, price: {model: per_unit, by: [region], rates: RATES}}]}
  - {id: free}
customers: [{id: acme}, {id: beta}, {id: gamma}]
subscriptions:
  - {id: acme, customer: acme, plan: payg, start: 2026-01-01}
  - {id: beta, customer: beta, start: 2026-01-01, phases: [{plan: payg}, {plan: free, start: 2026-03-01}]}
  - {id: gamma, customer: gamma, plan: free, start: 2026-01-01}
"""
)
NEW = CATALOG.replace("RATES", "[{match: {region: eu}, unit_amount: 1}, {match: {region: us}, unit_amount: 2}]")


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """January's usage of acme has no rate, and plan payg a version that has one."""
    with open_sandbox(postgres, tmp_path, CATALOG.replace("RATES", RATES)) as made:
        made.at("2026-02-02").land(
            use("acme", "calls", "2026-01-05", 5, "us"), use("beta", "calls", "2026-01-05", 3, "eu")
        )
        tick(made.billing)
        made.apply(NEW)
        yield made


def totals(sandbox: Sandbox) -> dict[str, str]:
    return {one.customer: f"{one.total}" for one in sandbox.documents(key="2026-01-01") if one.lines}


def test_subscribers_move_in_one_change_and_what_is_scheduled_stays(sandbox: Sandbox) -> None:
    assert [hold.customer for hold in list_holds(sandbox.billing)] == ["acme"]
    shown = migrate_plan(sandbox.billing, "payg", start="previous-period", dry_run=True)
    moved = migrate_plan(sandbox.billing, "payg", start="previous-period")
    assert (shown.number, shown.customers, shown.changes) == (None, ["acme", "beta"], moved.changes)
    differing = [
        (of.plan.identity.customer, str(of.old_total), str(of.new_total))
        for of in shown.documents
        if of.difference.minor
    ]
    assert differing == [("acme", "0.00", "10.00")]
    tick(sandbox.billing)
    assert list_holds(sandbox.billing) == []
    assert totals(sandbox) == {"acme": "10.00", "beta": "3.00"}
    catalog = sandbox.billing.catalog()
    assert catalog is not None
    phases = {
        name: [(phase.plan, phase.plan_version) for phase in subscription.phases]
        for name, subscription in catalog.subscriptions.items()
    }
    assert phases == {"acme": [("payg", 2)], "beta": [("payg", 2), ("free", 1)], "gamma": [("free", 1)]}
    again = migrate_plan(sandbox.billing, "payg", start="previous-period")
    assert (again.number, again.changes) == (None, ())


def test_only_who_is_on_the_version_that_is_named(sandbox: Sandbox) -> None:
    assert migrate_plan(sandbox.billing, "payg", from_version=7).changes == ()
    assert len(migrate_plan(sandbox.billing, "payg", from_version=1).changes) == 2


def test_nobody_moves_where_one_is_locked(sandbox: Sandbox) -> None:
    tick(sandbox.at("2026-02-05").billing)  # beta's January is final
    with pytest.raises(Refused, match="locked for customer beta"):
        migrate_plan(sandbox.billing, "payg", start="previous-period")
    with pytest.raises(Refused, match="no plan 'pay'"):
        migrate_plan(sandbox.billing, "pay")


def test_the_command_shows_and_moves(sandbox: Sandbox) -> None:
    billing = CommandLine(sandbox.environment)
    said = billing.json("plan", "migrate", "payg", "--start", "previous-period", "--dry-run")
    assert (said["dry_run"], said["change"], said["customers"], said["version"]) == (True, None, ["acme", "beta"], 2)
    assert billing.json("plan", "migrate", "payg", "--start", "previous-period")["change"] == 3
