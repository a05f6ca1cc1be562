"""Increments that one identity would swallow hold their customer, until the meter says how to tell them apart."""

from pathlib import Path

import pytest

from billing_pipeline.operations.locking.holds import list_holds, release
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, SOURCE, Sandbox, instant, open_sandbox, use
from billing_pipeline_tests.servers import Server

SOURCE_THAT_REPEATS = SOURCE.replace("retract: retract}", "retract: retract}, repeats: latest")
CATALOG = (
    SOURCE
    + """
account: {name: Example, currency: USD}
meters: [{id: calls, aggregation: sum}]
plans: [{id: payg, prices: [{id: calls, meter: calls, price: {model: per_unit, unit_amount: 1}}]}]
customers: [{id: acme}, {id: beta}]
subscriptions:
  - {id: acme, customer: acme, plan: payg, start: 2026-01-01}
  - {id: beta, customer: beta, plan: payg, start: 2026-01-01}
"""
)
AT = "2026-01-10"
HELD = [("acme", JANUARY, "duplicate_keys")]


def catalog(deduplicate_by: str) -> str:
    return CATALOG.replace("aggregation: sum", f"aggregation: sum, deduplicate_by: {deduplicate_by}")


def billed(sandbox: Sandbox, customer: str, key: str) -> list[str]:
    """Totals of what is final."""
    return [f"{one.total}" for one in sandbox.documents(customer, key) if one.status == "finalized" and one.lines]


def held(sandbox: Sandbox) -> list[tuple[str, str, str]]:
    return [(hold.customer, hold.period.isoformat(), hold.cause) for hold in list_holds(sandbox.billing)]


def test_one_identity_twice_in_a_delivery_holds_its_customer_and_names_the_remedy(
    postgres: Server, tmp_path: Path
) -> None:
    with open_sandbox(postgres, tmp_path, CATALOG) as sandbox:
        sandbox.at("2026-01-20").land(use("acme", "calls", AT, 30), use("acme", "calls", AT, 20))
        sandbox.land(use("beta", "calls", AT, 7))
        tick(sandbox.at("2026-02-01").billing)
        assert (billed(sandbox, "acme", JANUARY), billed(sandbox, "beta", JANUARY)) == ([], ["7.00"])
        assert held(sandbox) == HELD
        assert "deduplicate_by: none" in list_holds(sandbox.billing)[0].reason


def test_a_negative_value_in_the_place_of_a_positive_one_holds_the_document_that_carries_it(
    postgres: Server, tmp_path: Path
) -> None:
    """January is final: what the −50 would take back is on the document of February."""
    with open_sandbox(postgres, tmp_path, CATALOG) as sandbox:
        sandbox.at("2026-01-20").land(use("acme", "calls", AT, 200))
        tick(sandbox.at("2026-02-01").billing)
        sandbox.at("2026-02-10").land(use("acme", "calls", AT, -50))
        tick(sandbox.billing)
        tick(sandbox.at("2026-03-01").billing)
        assert (billed(sandbox, "acme", JANUARY), billed(sandbox, "acme", FEBRUARY)) == (["200.00"], [])
        assert held(sandbox) == HELD


@pytest.mark.parametrize("deduplicate_by", ["event_id", "none"])
def test_increments_that_are_told_apart_all_count(deduplicate_by: str, postgres: Server, tmp_path: Path) -> None:
    """30 + 20; then 200 − 50, the −50 after the lock."""
    with open_sandbox(postgres, tmp_path, catalog(deduplicate_by)) as sandbox:
        sandbox.at("2026-01-20").land(use("acme", "calls", AT, 30, id="a"), use("acme", "calls", AT, 20, id="b"))
        sandbox.land(use("beta", "calls", AT, 200, id="a"))
        tick(sandbox.at("2026-02-01").billing)
        assert (billed(sandbox, "acme", JANUARY), billed(sandbox, "beta", JANUARY)) == (["50.00"], ["200.00"])
        sandbox.at("2026-02-10").land(use("beta", "calls", AT, -50, id="b"))
        tick(sandbox.at("2026-03-01").billing)
        assert billed(sandbox, "beta", FEBRUARY) == ["-50.00"]
        assert held(sandbox) == []


@pytest.mark.parametrize(
    ("mended", "total"),
    [
        (catalog("none"), "50.00"),
        (catalog("event_id"), "50.00"),
        (CATALOG.replace(SOURCE, SOURCE_THAT_REPEATS), "20.00"),
    ],
    ids=["each row counts", "event ids", "the source means it"],
)
def test_each_remedy_lets_the_customer_go(mended: str, total: str, postgres: Server, tmp_path: Path) -> None:
    with open_sandbox(postgres, tmp_path, CATALOG) as sandbox:
        sandbox.at("2026-01-20").land(use("acme", "calls", AT, 30, id="a"), use("acme", "calls", AT, 20, id="b"))
        tick(sandbox.at("2026-02-01").billing)
        assert (billed(sandbox, "acme", JANUARY), held(sandbox)) == ([], HELD)
        sandbox.at("2026-02-02").apply(mended)
        tick(sandbox.billing)
        tick(sandbox.at("2026-02-02T00:01").billing)
        assert (billed(sandbox, "acme", JANUARY), held(sandbox)) == ([total], [])


def test_what_a_person_lets_go_is_carried_from_that_instant_on(postgres: Server, tmp_path: Path) -> None:
    """January's quantity is −50 then, which is rated as zero: its 200.00 are given back; beta never waited."""
    with open_sandbox(postgres, tmp_path, CATALOG) as sandbox:
        sandbox.at("2026-01-20").land(use("acme", "calls", AT, 200))
        tick(sandbox.at("2026-02-01").billing)
        sandbox.at("2026-02-10").land(use("acme", "calls", AT, -50), use("beta", "calls", AT, 7))
        tick(sandbox.at("2026-03-01").billing)
        assert (billed(sandbox, "acme", FEBRUARY), billed(sandbox, "beta", FEBRUARY)) == ([], ["7.00"])
        (hold,) = list_holds(sandbox.billing)
        release(sandbox.at("2026-03-02").billing, [hold.id], "the source means it")
        tick(sandbox.billing)
        (february,) = [one for one in sandbox.documents("acme", FEBRUARY) if one.status == "finalized"]
        assert (f"{february.total}", february.cutoff) == ("-200.00", instant("2026-03-02"))
        assert held(sandbox) == []
