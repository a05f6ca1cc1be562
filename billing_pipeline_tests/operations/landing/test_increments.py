"""Rows that are events of their own: a file that landed once must not count twice without anybody saying so."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.core.errors import Refused
from billing_pipeline.operations.landing.land import land
from billing_pipeline.operations.tick import tick
from billing_pipeline.usage.batch import LandingResult
from billing_pipeline_tests.cli.command_line import CommandLine
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, Sandbox, open_sandbox
from billing_pipeline_tests.servers import Server

CATALOG = """
account: {name: Example, currency: USD}
sources:
  - {id: logs, format: csv}
  - {id: other, format: csv}
  - {id: cur, format: csv, mode: snapshot, scope: [month],
     event: {customer: customer, meter: {value: gb}, timestamp: timestamp, value: value}}
meters:
  - {id: calls, aggregation: sum, deduplicate_by: none}
  - {id: gb, aggregation: sum}
plans:
  - id: payg
    prices:
      - {id: calls, meter: calls, price: {model: per_unit, unit_amount: 1}}
      - {id: gb, meter: gb, price: {model: per_unit, unit_amount: 1}}
customers: [{id: acme}]
subscriptions: [{id: acme, customer: acme, plan: payg, start: 2026-01-01}]
"""


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, CATALOG) as made:
        yield made.at("2026-01-20")


def deliver(
    sandbox: Sandbox, *values: object, source: str = "logs", meter: str = "calls", **said: int
) -> LandingResult:
    """Land ``hour.csv`` with these values of one instant."""
    return land(sandbox.billing, source, file(sandbox, *values, meter=meter), **said)  # type: ignore[arg-type]


def file(sandbox: Sandbox, *values: object, meter: str = "calls") -> Path:
    path = sandbox.folder / "hour.csv"
    rows = (f"acme,{meter},2026-01-10T00:00:00Z,{value}" for value in values)
    path.write_text("\n".join(["customer,meter,timestamp,value", *rows, ""]))
    return path


def total(sandbox: Sandbox, key: str = JANUARY) -> Decimal:
    return sum((one.total for one in sandbox.documents("acme", key) if one.kind == "closing"), Decimal(0))


def test_rows_of_one_instant_all_count_and_a_delivery_only_once(sandbox: Sandbox) -> None:
    first = deliver(sandbox, 30, 20, 20)
    assert deliver(sandbox, 30, 20, 20).already
    sandbox.close()
    assert first.batch == 1
    assert total(sandbox) == 70


def test_the_same_name_with_other_content_is_refused_until_somebody_says_what_it_is(sandbox: Sandbox) -> None:
    deliver(sandbox, 30, 20)
    with pytest.raises(Refused, match="as batch 1") as refused:
        deliver(sandbox, 30, 25)
    assert "--replaces 1" in str(refused.value.hint)
    assert deliver(sandbox, 30, 25, again=True).batch == 2
    sandbox.close()
    assert total(sandbox) == 105


def test_a_delivery_stands_in_the_place_of_another(sandbox: Sandbox) -> None:
    deliver(sandbox, 30, 20)
    sandbox.close()
    assert total(sandbox) == 50
    assert deliver(sandbox, 30, 25, replaces=1).periods == deliver(sandbox, 30, 25).periods
    sandbox.close()
    assert total(sandbox) == 55
    with pytest.raises(Refused, match="as batch 2"):
        deliver(sandbox, 1)
    with pytest.raises(Refused, match="was replaced by batch 2"):
        deliver(sandbox, 1, replaces=1)
    deliver(sandbox, 1, replaces=2)
    sandbox.close()
    assert total(sandbox) == 1


def test_what_is_final_is_adjusted_by_the_difference(sandbox: Sandbox) -> None:
    deliver(sandbox, 30, 20)
    tick(sandbox.at("2026-02-01").billing)
    deliver(sandbox.at("2026-02-10"), 30, 12, replaces=1)
    tick(sandbox.at("2026-03-01").billing)
    assert [f"{total(sandbox, key)}" for key in (JANUARY, FEBRUARY)] == ["50.00", "-8.00"]


def test_rows_that_were_mended_go_with_their_delivery(sandbox: Sandbox) -> None:
    """A row of the file waited in quarantine and was mended: what replaces the file replaces it, too."""
    from billing_pipeline.operations.landing.quarantine import replay

    deliver(sandbox, 30, "x")
    replay(sandbox.billing, overrides={"value": "20"})
    sandbox.close()
    assert total(sandbox) == 50
    deliver(sandbox, 9, replaces=1)
    sandbox.close()
    assert total(sandbox) == 9


@pytest.mark.parametrize(
    ("source", "batch", "why"),
    [
        ("logs", 7, "Source 'logs' has no batch 7"),
        ("logs", 2, "Source 'logs' has no batch 2"),  # of another source
        ("cur", 1, "the snapshot source 'cur' replaces"),
    ],
)
def test_what_cannot_be_replaced(sandbox: Sandbox, source: str, batch: int, why: str) -> None:
    deliver(sandbox, 30)
    deliver(sandbox, 5, source="other")
    with pytest.raises(Refused, match=why):
        deliver(sandbox, 1, source=source, replaces=batch)
    sandbox.close()
    assert total(sandbox) == 35


def test_where_a_row_replaces_another_a_name_may_come_again(sandbox: Sandbox) -> None:
    deliver(sandbox, 30, meter="gb")
    deliver(sandbox, 31, meter="gb")
    sandbox.close()
    assert total(sandbox) == 31


def test_what_is_taken_back_goes_to_quarantine(sandbox: Sandbox) -> None:
    path = sandbox.folder / "back.csv"
    path.write_text("customer,meter,timestamp,value,retract\nacme,calls,2026-01-10T00:00:00Z,5,true\n")
    assert land(sandbox.billing, "logs", path).reasons == {"nothing_to_retract": 1}


def test_the_command_line_says_what_to_do(sandbox: Sandbox) -> None:
    run = CommandLine(sandbox.environment)
    run("usage", "land", str(file(sandbox, 30)), "--source", "logs")
    assert "--replaces 1" in run.error("usage", "land", str(file(sandbox, 25)), "--source", "logs")["hint"]
    run("usage", "land", str(file(sandbox, 25)), "--source", "logs", "--replaces", "1")
    sandbox.close()
    assert total(sandbox) == 25
