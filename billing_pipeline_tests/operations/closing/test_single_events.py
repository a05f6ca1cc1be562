"""Prices of single events through close and lock: percentages with free events, and amounts that events carry."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from billing_pipeline.ledger.documents import holds
from billing_pipeline.operations.landing.land import land
from billing_pipeline.operations.reading.explain import explain_invoice
from billing_pipeline_tests.sandbox import JANUARY, Sandbox, instant, lines_of, open_sandbox
from billing_pipeline_tests.servers import Server

D = Decimal
CATALOG = """
account: {name: Example, currency: USD, grace: 3 days}
sources:
  - {id: usage, format: csv, event: {customer: customer, meter: meter, timestamp: timestamp, value: value,
     dimensions: [region, cost]}}
meters:
  - {id: paid, aggregation: sum, dimensions: [region]}
  - {id: cents, aggregation: sum, convert: {divide_by: 100}}
  - {id: turnover, aggregation: sum}
  - {id: resold, aggregation: count, dimensions: [region]}
plans:
  - id: payg
    prices:
      - {id: paid, meter: paid, price: {model: percentage, by: [region], default: {
         rate: "1.5", fixed_amount: "0.30", free_events: 1, maximum_per_event: "5"}, rates: [{match: {region: eu}, rate: "1"}]}}
      - {id: cents, meter: cents, convert: {divide_by: 10}, price: {model: percentage, rate: "10", minimum_per_event: "0.50"}}
      - {id: turnover, meter: turnover, price: {model: graduated_percentage, tiers: [{up_to: 1000, rate: 2}, {rate: "1.5"}]}}
      - {id: resold, meter: resold, price: {model: dynamic, by: [region], amount_field: cost, multiplier: "1.2"}}
customers: [{id: acme}, {id: beta}]
subscriptions:
  - {id: acme, customer: acme, plan: payg, start: 2026-01-01}
  - {id: beta, customer: beta, plan: payg, start: 2026-01-01}
"""  # noqa: E501 - a price a line


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, CATALOG, first_period=date(2026, 1, 1)) as made:
        yield made


def send(sandbox: Sandbox, *rows: tuple[str, str, str, str | None, str | None], customer: str = "acme") -> None:
    """Rows of meter, timestamp, value, region and cost."""
    names = ("meter", "timestamp", "value", "region", "cost")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    columns["timestamp"] = tuple(instant(str(at)).isoformat() for at in columns["timestamp"])
    columns |= {"customer": (customer,) * len(rows), "delivery": (str(next(sandbox._deliveries)),) * len(rows)}
    land(sandbox.billing, "usage", pa.table({name: pa.array(each, pa.string()) for name, each in columns.items()}))


def lines(sandbox: Sandbox) -> list[tuple[str, str, str]]:
    (doc,) = sandbox.documents("acme", JANUARY)
    return list(lines_of(doc))


def test_the_first_event_is_free_whenever_it_is_received(sandbox: Sandbox) -> None:
    """500 is free; 1.5% of 20 + 0.30 = 0.60; 1,000 would cost 15.30 and costs at most 5. Europe has its own rate."""
    send(sandbox, ("paid", "2026-01-07", "20", None, None), ("paid", "2026-01-08", "1000", "us", None))
    send(sandbox, ("paid", "2026-01-05", "500", "us", None), ("paid", "2026-01-01", "70", "eu", None))
    sandbox.at("2026-02-01").close()
    assert lines(sandbox) == [("paid", "1520", "5.60"), ("paid", "70", "0.70")]
    send(sandbox, ("paid", "2026-01-02", "30", None, None))  # in grace, and now the first: 500 costs 5
    sandbox.close()
    assert lines(sandbox) == [("paid", "1550", "10.60"), ("paid", "70", "0.70")]
    sandbox.at("2026-02-04").lock()
    (doc,) = sandbox.documents("acme", JANUARY)
    assert (doc.status, doc.version, doc.total) == ("finalized", 2, D("11.30"))


def test_single_values_are_converted(sandbox: Sandbox) -> None:
    """Cents into tens of dollars: 1,500 and 20,000 cents are 1.5 and 20; 10% of them, but at least 0.50."""
    send(sandbox, ("cents", "2026-01-07", "1500", None, None), ("cents", "2026-01-08", "20000", None, None))
    sandbox.at("2026-02-01").close()
    assert lines(sandbox) == [("cents", "21.5", "2.50")]


def test_a_percentage_may_climb_in_tiers(sandbox: Sandbox) -> None:
    send(sandbox, ("turnover", "2026-01-07", "800", None, None), ("turnover", "2026-01-08", "2200", None, None))
    sandbox.at("2026-02-01").close()
    assert lines(sandbox) == [("turnover", "3000", "50.00")]


def test_events_bring_their_amounts(sandbox: Sandbox) -> None:
    send(sandbox, ("resold", "2026-01-07", "1", "us", "3.50"), ("resold", "2026-01-08", "1", "us", "0.125"))
    send(sandbox, ("resold", "2026-01-08", "1", "eu", "-1"))
    sandbox.at("2026-02-01").close()
    assert lines(sandbox) == [("resold", "1", "-1.20"), ("resold", "2", "4.35")]


def test_an_amount_that_cannot_be_read_holds_its_customer_only(sandbox: Sandbox) -> None:
    send(sandbox, ("resold", "2026-01-07", "1", "us", "3.50"), ("resold", "2026-01-08", "1", "us", "three"))
    send(sandbox, ("resold", "2026-01-07", "1", "us", "3.50"), customer="beta")
    sandbox.at("2026-02-04").lock()
    with sandbox.billing.ledger.begin() as connection:
        (held,) = holds.placed(connection, period=date(2026, 1, 1))
    assert held.customer == "acme"
    assert "payg/resold: The price needs the amounts" in held.reason
    assert "in 'cost', in major units" in held.reason
    assert [doc.status for doc in sandbox.documents(key=JANUARY)] == ["draft", "finalized"]


def test_a_line_of_single_events_can_be_explained(sandbox: Sandbox) -> None:
    send(sandbox, ("paid", "2026-01-05", "500", None, None), ("paid", "2026-01-07", "20", None, None))
    send(sandbox, ("resold", "2026-01-07", "1", "us", "3.50"))
    sandbox.at("2026-02-04").lock()
    (doc,) = sandbox.documents("acme", JANUARY)
    assert doc.number is not None
    send(sandbox, ("paid", "2026-01-01", "1", None, None))  # late: the invoice is explained as it was
    details: list[Any] = [line["details"] for line in explain_invoice(sandbox.billing, doc.number)]
    assert [[one["description"] for one in each] for each in details] == [
        ["free (events wholly free: 1)", "1.5%", "fixed amount per event"],
        ["amounts of the events"],
    ]
