"""Whatever is wrong with one customer's usage holds that customer, by name, and nobody else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.operations.reading.status import status
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.sandbox import JANUARY, SOURCE, Row, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

CUSTOMERS = [f"c{number}" for number in range(5)]
ABSURD = "9" * 18


def catalog(*, meter: str = "", plan: str = "", price: str = "", customer: str = "") -> str:
    """Five customers on one plan: calls at 1.00, and traffic, which has a multiplier, at 1.00."""
    lines = [f"{{id: {name}{customer}}}" for name in CUSTOMERS]
    subscriptions = [f"{{id: s-{name}, customer: {name}, plan: p, start: 2026-01-01}}" for name in CUSTOMERS]
    return f"""{SOURCE}
account: {{name: X, currency: USD}}
meters:
  - {{id: calls, aggregation: sum, dimensions: [region]}}
  - {{id: traffic, aggregation: sum, dimensions: [region]{meter}}}
plans:
  - id: p
    {plan}
    prices:
      - {{id: calls, meter: calls, price: {{model: per_unit, unit_amount: "1"}}{price}}}
      - {{id: traffic, meter: traffic, price: {{model: per_unit, unit_amount: "1"}}}}
customers: [{", ".join(lines)}]
subscriptions: [{", ".join(subscriptions)}]
"""


TIMES = ", multiplier: region"
TAXED = ", tax: [{name: VAT, percent: 99}]"
CASES = {
    "a product beyond the engine's digits": (
        catalog(meter=TIMES),
        [use("c2", "traffic", "2026-01-05", ABSURD, "1000")],
    ),
    "an amount beyond any bill": (
        catalog(),
        [use("c2", "calls", f"2026-01-05T{hour:02}:{minute:02}", ABSURD) for hour in range(20) for minute in range(60)],
    ),
    "a tax on more than any bill": (
        catalog(customer=TAXED, meter=TIMES),
        [use("c2", "traffic", "2026-01-05", ABSURD, "90"), use("c2", "traffic", "2026-01-06", ABSURD, "9")]
        + [use("c2", "calls", f"2026-01-05T00:{minute:02}", ABSURD) for minute in range(60)]
        + [use("c2", "calls", f"2026-01-05T01:{minute:02}", ABSURD) for minute in range(30)],
    ),
    "a cap of more than any bill": (
        catalog(plan="maximum: 100", price=", maximum: 50"),
        [use("c2", "calls", f"2026-01-05T{hour:02}:{minute:02}", ABSURD) for hour in range(3) for minute in range(60)],
    ),
}


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, now="2026-01-01") as made:
        yield made


@pytest.mark.parametrize(("texts", "rows"), CASES.values(), ids=CASES.keys())
def test_usage_that_nobody_can_mean_holds_its_customer_alone(sandbox: Sandbox, texts: str, rows: list[Row]) -> None:
    sandbox.apply(texts)
    sandbox.land(*(use(name, "calls", "2026-01-10", 1) for name in CUSTOMERS))
    sandbox.land(*rows)
    sandbox.at("2026-02-01T10:00")
    assert_only_one_is_held(sandbox)


def test_usage_without_the_number_that_its_meter_multiplies_by_since_holds_its_customer_alone(sandbox: Sandbox) -> None:
    sandbox.apply(catalog())
    sandbox.land(
        *(use(name, "calls", "2026-01-10", 1) for name in CUSTOMERS), use("c1", "traffic", "2026-01-09", 5, "2")
    )
    sandbox.land(use("c2", "traffic", "2026-01-10", 1, "eu"))
    sandbox.apply(catalog(meter=TIMES))
    sandbox.at("2026-02-01T10:00")
    assert_only_one_is_held(sandbox)
    assert [document.total for document in sandbox.documents("c1", JANUARY)] == [11]


def assert_only_one_is_held(sandbox: Sandbox) -> None:
    report = tick(sandbox.billing)
    assert not report.problems, [str(step.problem) for step in report.problems]
    statuses = {document.customer: document.status for document in sandbox.documents(key=JANUARY)}
    assert statuses == {**dict.fromkeys(CUSTOMERS, "finalized"), "c2": "draft"}
    assert "c2" in str(status(sandbox.billing).to_json())
