"""The worked examples of the billing rules, through the real pipeline, to the cent and to the day: what is usage."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from billing_pipeline.core.errors import Refused
from billing_pipeline_tests.sandbox import JANUARY, SOURCE, Row, Sandbox, instant, lines_of, open_sandbox, use
from billing_pipeline_tests.servers import Server

CATALOG = (
    SOURCE
    + """
account: {name: Example, currency: USD}
meters: [{id: units, aggregation: sum, dimensions: [region]}]
products: [{id: delayed, invoicing_delay: 5 days}]
plans:
  - id: at-once
    prices: [{id: units, meter: units, price: {model: per_unit, unit_amount: "1"}}]
  - id: later
    prices: [{id: units, meter: units, product: delayed, price: {model: per_unit, unit_amount: "1"}}]
  - id: volume
    prices:
      - id: units
        meter: units
        product: delayed
        price: {model: volume, tiers: [{up_to: "100", unit_amount: "0.10"}, {unit_amount: "0.08"}]}
customers: [{id: acme}, {id: patient, grace: 3 days}]
"""
)


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, CATALOG) as made:
        yield made


def subscribe(sandbox: Sandbox, customer: str, plan: str) -> None:
    sandbox.apply(f"subscriptions: [{{id: {customer}, customer: {customer}, plan: {plan}, start: 2026-01-01}}]")


def live(sandbox: Sandbox, until: str, submitted: dict[str, list[Row]]) -> list[tuple[str, str]]:
    """Days go by, each with what is submitted on it and runs; returns (issue date, total) of the invoices."""
    day = sandbox.billing.now()
    while day <= instant(until):
        sandbox.at(day)
        if rows := submitted.get(day.date().isoformat()):
            sandbox.land(*rows)
        for period in sandbox.billing.periods():
            if period.first_day >= date(2026, 1, 1) and (rows or day >= period.end):
                sandbox.lock(period.key)
        day += timedelta(days=1)
    issued = [doc for doc in sandbox.documents("acme") if doc.lines and doc.status == "finalized"]
    assert all(doc.number for doc in issued)
    return [(doc.issue_date, str(doc.total)) for doc in issued]


def test_2_usage_with_a_delay_of_5_days(sandbox: Sandbox) -> None:
    subscribe(sandbox, "acme", "later")
    sandbox.at("2026-01-20")
    submitted = {
        "2026-01-20": [use("acme", "units", "2026-01-15", 50)],
        "2026-02-03": [use("acme", "units", "2026-01-16", 25)],
        "2026-02-20": [use("acme", "units", "2026-02-10", 20)],
    }
    assert live(sandbox, "2026-03-06", submitted) == [("2026-02-06", "75.00"), ("2026-03-06", "20.00")]


@pytest.mark.parametrize(
    ("january", "quantity", "amount"), [((10, 15, 4, 1), "35", "3.50"), ((25, 40, 65, 5), "140", "11.20")]
)
def test_3_volume_with_a_delay_of_5_days(
    sandbox: Sandbox, january: tuple[int, ...], quantity: str, amount: str
) -> None:
    subscribe(sandbox, "acme", "volume")
    sandbox.at("2026-01-25").land(
        *(use("acme", "units", f"2026-01-{10 + i}", value) for i, value in enumerate(january))
    )
    submitted = {"2026-02-03": [use("acme", "units", "2026-01-05", 5)]}
    assert live(sandbox, "2026-02-06", submitted) == [("2026-02-06", amount)]
    assert lines_of(sandbox.documents("acme")[0]) == [("units", quantity, amount)]


def test_4_a_restatement_in_grace(sandbox: Sandbox) -> None:
    subscribe(sandbox, "patient", "at-once")
    hour = ("patient", "units", "2026-01-31T10:00")
    sandbox.at("2026-01-31T12:00").land(use(*hour, 10, "eu"))
    sandbox.at("2026-02-01").close()
    batch = sandbox.at("2026-02-03").land(use(*hour, 12, "eu"))
    sandbox.close()
    (doc,) = sandbox.documents("patient")
    assert (doc.version, str(doc.total)) == (2, "12.00")
    assert doc.reason == {"batches": [batch], "changes": [], "code": False}
    sandbox.at("2026-02-04").land(use(*hour, 99, "eu"))  # too late
    sandbox.lock()
    (doc,) = sandbox.documents("patient")
    assert (doc.status, doc.version, str(doc.total), doc.cutoff) == ("finalized", 2, "12.00", instant("2026-02-04"))


def test_5_backdating(sandbox: Sandbox) -> None:
    subscribe(sandbox, "patient", "at-once")
    sandbox.land(use("patient", "units", "2026-01-05", 50))
    sandbox.at("2026-02-01").close()
    sandbox.at("2026-02-02T09:00")
    subscribe(sandbox, "patient", "later")  # from the start of the previous period
    sandbox.close()
    closing, delayed = sandbox.documents("patient", JANUARY)
    assert (closing.lines, str(delayed.total), delayed.issue_date) == ((), "50.00", "2026-02-06")
    sandbox.at("2026-02-06T09:00")
    with pytest.raises(Refused, match="earliest start is 2026-02-01T00:00:00"):
        subscribe(sandbox, "patient", "at-once")
