"""Sources that restate whole hours or days: what is of one hour, or one UTC day, is one event."""

import json
from pathlib import Path

import pytest

from billing_pipeline.core.errors import UsageError
from billing_pipeline.operations.checks.check import check
from billing_pipeline.operations.landing.land import land
from billing_pipeline.operations.locking.holds import list_holds
from billing_pipeline.operations.reading.event_history import event_history
from billing_pipeline_tests.cli.command_line import CommandLine
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, SOURCE, Sandbox, instant, open_sandbox, use
from billing_pipeline_tests.servers import Server

CATALOG = (
    SOURCE
    + """
  - {id: report, format: csv, mode: snapshot, scope: [month],
     event: {customer: customer, meter: {value: gb}, timestamp: timestamp, value: value}}
account: {name: Example, currency: USD}
meters: [{id: gb, aggregation: sum, dimensions: [region], identity_grain: GRAIN}]
plans: [{id: payg, prices: [{id: gb, meter: gb, price: {model: per_unit, unit_amount: 1}}]}]
customers: [{id: acme}]
subscriptions: [{id: acme, customer: acme, plan: payg, start: 2026-01-01}]
"""
)


def total(sandbox: Sandbox, key: str = JANUARY) -> str:
    sandbox.close(key)
    (found,) = sandbox.documents("acme", key)
    return f"{found.total}"


def restate(sandbox: Sandbox) -> None:
    """An hour is reported at 10:05 and again at 10:55; another hour, and another day, once each."""
    sandbox.at("2026-01-20").land(use("acme", "gb", "2026-01-10T10:05", 10), use("acme", "gb", "2026-01-10T11:00", 1))
    sandbox.land(use("acme", "gb", "2026-01-10T10:55", 12), use("acme", "gb", "2026-01-11T00:00", 100))


@pytest.mark.parametrize(("grain", "january"), [("hour", "113.00"), ("day", "112.00"), ("null", "123.00")])
def test_a_restatement_replaces_what_is_of_its_grain(
    grain: str, january: str, postgres: Server, tmp_path: Path
) -> None:
    with open_sandbox(postgres, tmp_path, CATALOG.replace("GRAIN", grain)) as sandbox:
        restate(sandbox)
        assert total(sandbox) == january


def test_a_grain_ends_with_its_period(postgres: Server, tmp_path: Path) -> None:
    """New York's January ends at 05:00 UTC of 1 February, in the middle of a UTC day."""
    with open_sandbox(postgres, tmp_path, CATALOG.replace("GRAIN", "day"), time_zone="America/New_York") as sandbox:
        sandbox.at("2026-02-01T04:30").land(use("acme", "gb", "2026-02-01T04:00", 10))
        assert total(sandbox) == "10.00"
        sandbox.at("2026-02-01T23:30").land(use("acme", "gb", "2026-02-01T06:00", 1))
        sandbox.land(use("acme", "gb", "2026-02-01T23:00", 2))
        assert (total(sandbox), total(sandbox, FEBRUARY)) == ("10.00", "2.00")


def test_two_rows_of_one_grain_in_one_delivery_hold_their_customer(postgres: Server, tmp_path: Path) -> None:
    with open_sandbox(postgres, tmp_path, CATALOG.replace("GRAIN", "hour")) as sandbox:
        sandbox.at("2026-01-20").land(
            use("acme", "gb", "2026-01-10T10:05", 10), use("acme", "gb", "2026-01-10T10:35", 10)
        )
        sandbox.close()
        check(sandbox.billing, sandbox.period())
        assert [hold.cause for hold in list_holds(sandbox.billing)] == ["duplicate_keys"]


def test_a_snapshot_states_each_hour_once(postgres: Server, tmp_path: Path) -> None:
    with open_sandbox(postgres, tmp_path, CATALOG.replace("GRAIN", "hour")) as sandbox:
        path = tmp_path / "report.csv"
        rows = [f"acme,2026-01-10T10:{minute}:00Z,1,2026-01" for minute in ("05", "35")]
        path.write_text("\n".join(["customer,timestamp,value,month", *rows, ""]))
        with pytest.raises(UsageError, match="are the same event"):
            land(sandbox.at("2026-01-20").billing, "report", path)


def test_the_history_of_an_event_names_all_reports_of_its_hour(postgres: Server, tmp_path: Path) -> None:
    with open_sandbox(postgres, tmp_path, CATALOG.replace("GRAIN", "hour")) as sandbox:
        restate(sandbox)
        known = event_history(sandbox.billing, "acme", "gb", timestamp=instant("2026-01-10T10:55"))
        assert [(one.report.timestamp.minute, one.report.status) for one in known] == [
            (5, "superseded"),
            (55, "accepted"),
        ]


def test_a_quote_counts_one_report_of_each_hour(tmp_path: Path) -> None:
    events = [
        {"timestamp": f"2026-01-10T{time}:00Z", "value": value} for time, value in (("10:05", "5"), ("10:55", "7"))
    ]
    meter = {"aggregation": "sum", "identity_grain": "hour"}
    path = tmp_path / "cases.jsonl"
    price = {"model": "per_unit", "unit_amount": "1"}
    path.write_text(json.dumps({"id": "a", "currency": "USD", "meter": meter, "price": price, "events": events}))
    assert json.loads(CommandLine()("quote", "--jsonl", str(path)).stdout)["rounded"] == "7.00"
