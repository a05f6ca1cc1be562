"""Whether a document is held has one answer: in the status, in the list, and where it is locked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from billing_pipeline.operations.locking.check_and_lock import lock_checked
from billing_pipeline.operations.locking.holds import list_holds, place, release
from billing_pipeline.operations.reading.invoices import list_invoices
from billing_pipeline.operations.reading.status import status
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.sandbox import JANUARY, SOURCE, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

CATALOG = (
    SOURCE
    + """
account: {name: Example, currency: USD}
meters: [{id: calls, aggregation: sum, dimensions: [region]}]
plans:
  - id: payg
    prices:
      - id: calls
        meter: calls
        price: {model: per_unit, by: [region], rates: [{match: {region: eu}, unit_amount: 1}]}
customers: [{id: acme}, {id: beta}]
subscriptions:
  - {id: acme, customer: acme, plan: payg, start: 2026-01-01}
  - {id: beta, customer: beta, plan: payg, start: 2026-01-01}
"""
)


def in_the_status(sandbox: Sandbox) -> int:
    """How many due documents of January something keeps."""
    (january,) = (one for one in status(sandbox.billing).periods if one.standing.period.key == JANUARY)
    return january.obstacles.waiting


def in_the_list(sandbox: Sandbox) -> int:
    every = list_invoices(sandbox.billing, period=JANUARY, empty=True)
    return sum(bool(one["held_by"]) for one in every)


def nothing(_: Sandbox) -> None:
    """Nothing happens between the release and the lock."""


def a_catalog_change(sandbox: Sandbox) -> None:
    sandbox.apply(CATALOG.replace("Example", "Example AG"))


def late_usage(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-05").land(*(use(one, "calls", "2026-01-11", 1, "eu") for one in ("acme", "beta")))


@pytest.mark.parametrize("released", ["2026-01-31T23:59:59", "2026-02-03T09:00:00"], ids=["before", "after"])
@pytest.mark.parametrize(
    ("region", "meanwhile"),
    [
        pytest.param("eu", nothing, id="by a person"),
        pytest.param("eu", a_catalog_change, id="by a person, and a catalog change"),
        pytest.param("eu", late_usage, id="by a person, and late usage"),
        pytest.param("us", nothing, id="for want of a rate"),
        pytest.param("us", a_catalog_change, id="for want of a rate, and a catalog change"),
        pytest.param("us", late_usage, id="for want of a rate, and late usage"),
    ],
)
def test_a_hold_that_is_released_at_the_last_second_holds_nowhere_or_everywhere(
    region: str, released: str, meanwhile: Callable[[Sandbox], None], postgres: Server, tmp_path: Path
) -> None:
    with open_sandbox(postgres, tmp_path, CATALOG) as sandbox:
        sandbox.at("2026-01-20").land(*(use(one, "calls", "2026-01-10", 5, region) for one in ("acme", "beta")))
        tick(sandbox.billing)
        if region == "eu":
            place(sandbox.billing, ["acme", "beta"], JANUARY, "disputed")
        release(sandbox.at(released).billing, [hold.id for hold in list_holds(sandbox.billing)], "confirmed")
        meanwhile(sandbox)
        sandbox.at("2026-02-06")
        before = in_the_status(sandbox), in_the_list(sandbox)
        held = lock_checked(sandbox.billing, sandbox.period()).counts["held"]
        assert (*before, in_the_status(sandbox), in_the_list(sandbox)) == (held,) * 4
