"""On-demand windows: what each invoices, which arrivals are in it, and that each is done once."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.operations.changes.assign_plan import AssignPlan
from billing_pipeline.operations.changes.customer_change import change_customer
from billing_pipeline.operations.on_demand.windows import invoice_windows
from billing_pipeline_tests.sandbox import SOURCE, Sandbox, note_checked, open_sandbox, use
from billing_pipeline_tests.servers import Server

TIERS = '[{up_to: "100", unit_amount: "1.00"}, {unit_amount: "0.80"}]'
CATALOG = (
    SOURCE
    + f"""
account: {{name: Example, currency: USD}}
meters:
  - {{id: api, aggregation: sum, dimensions: [region]}}
  - {{id: calls, aggregation: count, dimensions: [region]}}
  - {{id: peak, aggregation: max, dimensions: [region]}}
  - {{id: users, aggregation: unique_count, unique_by: region, dimensions: [region]}}
plans:
  - id: graduated
    billing: on_demand
    invoice_every: hour
    prices: [{{id: api, meter: api, price: {{model: graduated, tiers: {TIERS}}}}}]
  - id: volume
    billing: on_demand
    invoice_every: hour
    prices: [{{id: api, meter: api, price: {{model: volume, tiers: {TIERS}}}}}]
  - id: daily
    billing: on_demand
    prices: [{{id: api, meter: api, price: {{model: per_unit, unit_amount: "1"}}}}]
  - id: others
    billing: on_demand
    invoice_every: hour
    prices:
      - {{id: calls, meter: calls, price: {{model: package, size: "1000", amount: "5"}}}}
      - {{id: peak, meter: peak, price: {{model: per_unit, unit_amount: "2"}}}}
      - {{id: users, meter: users, price: {{model: per_unit, unit_amount: "3"}}}}
  - id: shares
    billing: on_demand
    invoice_every: hour
    prices:
      - id: api
        meter: api
        price: {{model: percentage, by: [region], rate: "1", fixed_amount: "0.30", free_events: 1}}
customers: [{{id: acme}}, {{id: beta, tax: [{{name: VAT, percent: "20"}}]}}]
"""
)
DAY = "2026-01-10"


def subscribed(plan: str, customer: str = "acme", start: str = "2026-01-01") -> str:
    return f"subscriptions: [{{id: {customer}, customer: {customer}, plan: {plan}, start: {start}}}]"


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, CATALOG, buckets=1) as made:
        yield made


def at(sandbox: Sandbox, time: str, *rows: tuple[str, str, object], day: str = DAY) -> None:
    """Land rows (meter, timestamp of the day, value) of acme at a time of the day."""
    sandbox.at(f"{day}T{time}")
    sandbox.land(*(use("acme", meter, f"{day}T{stamp}", value) for meter, stamp, value in rows))


def run(sandbox: Sandbox, time: str, day: str = DAY) -> list[str]:
    """Process windows at a time; the totals of all documents on demand so far, with their windows' ends."""
    sandbox.at(f"{day}T{time}")
    note_checked(sandbox.billing)
    invoice_windows(sandbox.billing)
    return billed(sandbox)


def billed(sandbox: Sandbox) -> list[str]:
    rows = sandbox.query("""
        SELECT to_char(window_end, 'DD HH24:MI') AS ended, total_minor, number FROM current_document
        WHERE kind = 'on_demand' AND status = 'finalized' ORDER BY window_end, customer
    """)
    assert [row.number for row in rows] == [f"2026-{number:06}" for number in range(1, len(rows) + 1)]
    return [f"{row.ended} {Decimal(row.total_minor).scaleb(-2)}" for row in rows]


@pytest.mark.parametrize(("plan", "second"), [("graduated", "36.00"), ("volume", "32.00")])
def test_the_worked_example(sandbox: Sandbox, plan: str, second: str) -> None:
    sandbox.apply(subscribed(plan))
    at(sandbox, "13:30", ("api", "13:20", 80))
    assert run(sandbox, "13:59:59") == []
    assert run(sandbox, "14:00") == ["10 14:00 80.00"]
    at(sandbox, "15:10", ("api", "15:00", 40))
    assert run(sandbox, "15:30") == ["10 14:00 80.00"]
    assert run(sandbox, "16:00") == ["10 14:00 80.00", f"10 16:00 {second}"]
    (first, _) = sandbox.documents("acme")[:2]
    assert first.kinds == ("usage",)
    assert first.lines[0][2:] == (Decimal(80), Decimal("80.00"))


def test_volume_of_one_window_is_the_same_as_of_two(sandbox: Sandbox) -> None:
    """O2 of the field's cases: 80 and 40 in one hour are 112.00."""
    sandbox.apply(subscribed("volume"))
    at(sandbox, "13:30", ("api", "13:20", 80))
    at(sandbox, "13:40", ("api", "13:35", 40))
    assert run(sandbox, "14:00") == ["10 14:00 112.00"]


def test_received_at_the_end_is_in_the_next_window(sandbox: Sandbox) -> None:
    """O3."""
    sandbox.apply(subscribed("graduated"))
    at(sandbox, "13:59:59.999999", ("api", "13:20", 1))
    at(sandbox, "14:00", ("api", "13:21", 2))
    assert run(sandbox, "15:00") == ["10 14:00 1.00", "10 15:00 2.00"]


def test_corrections_bill_the_difference(sandbox: Sandbox) -> None:
    """A restatement, a retraction, and one below zero, which becomes customer credit."""
    sandbox.apply(subscribed("volume"))
    at(sandbox, "13:30", ("api", "13:20", 80), ("api", "13:21", 40))
    assert run(sandbox, "14:00") == ["10 14:00 112.00"]
    at(sandbox, "14:30", ("api", "13:20", 70))  # −10, of the higher tier
    sandbox.at(f"{DAY}T15:10")
    sandbox.land(use("acme", "api", f"{DAY}T13:21", "", retract="true"))
    at(sandbox, "16:30", ("api", "16:20", 20))
    assert run(sandbox, "17:00") == ["10 14:00 112.00", "10 15:00 -8.00", "10 16:00 -34.00", "10 17:00 20.00"]
    last = sandbox.query("SELECT amount_due_minor FROM current_document ORDER BY window_end DESC LIMIT 1")[0]
    assert last.amount_due_minor == 0  # 42.00 of credit pay it


def test_other_aggregations(sandbox: Sandbox) -> None:
    sandbox.apply(subscribed("others"))
    sandbox.at(f"{DAY}T13:30")
    sandbox.land(
        use("acme", "peak", f"{DAY}T13:00", 7, "eu"),
        use("acme", "peak", f"{DAY}T13:01", 5, "eu"),
        use("acme", "users", f"{DAY}T13:02", 0, "eu"),
        use("acme", "calls", f"{DAY}T13:03", 0, "eu"),
    )
    assert run(sandbox, "14:00") == ["10 14:00 22.00"]  # 14 + 3 + 5
    sandbox.land(
        use("acme", "peak", f"{DAY}T13:00", 6, "eu"),  # the greatest is 6 now
        use("acme", "users", f"{DAY}T13:04", 0, "us"),
        use("acme", "users", f"{DAY}T13:05", 0, "us"),
        use("acme", "calls", f"{DAY}T13:06", 0, "eu"),  # of the same package
    )
    assert run(sandbox, "15:00") == ["10 14:00 22.00", "10 15:00 1.00"]  # −2 + 3
    sandbox.at("2026-02-03T10:30")
    sandbox.land(use("acme", "users", "2026-02-03T10:00", 0, "eu"), use("acme", "peak", "2026-02-03T10:00", 5, "eu"))
    found = run(sandbox, "11:00", day="2026-02-03")
    assert found[2:] == ["03 11:00 3.00"]  # users count anew each period, the greatest is of the phase


def test_where_all_is_zero_nothing_is_issued(sandbox: Sandbox) -> None:
    """O10: a package begun before."""
    sandbox.apply(subscribed("others"))
    for number, hour in enumerate((13, 14)):
        at(sandbox, f"{hour}:30", *(("calls", f"{hour}:20:{number}{second}", 0) for second in range(3)))
    assert run(sandbox, "15:00") == ["10 14:00 5.00"]
    assert sandbox.query("SELECT count(*) AS n FROM on_demand_window")[0].n == 2


def test_percentages_count_events_in_the_order_of_arrival(sandbox: Sandbox) -> None:
    sandbox.apply(subscribed("shares"))
    sandbox.at(f"{DAY}T13:30")
    sandbox.land(use("acme", "api", f"{DAY}T13:20", 500, "eu"), use("acme", "api", f"{DAY}T13:10", 100, "eu"))
    assert run(sandbox, "14:00") == ["10 14:00 1.30"]  # 500 came first, and is free
    sandbox.land(use("acme", "api", f"{DAY}T14:20", 100, "us"), use("acme", "api", f"{DAY}T13:10", 200, "eu"))
    assert run(sandbox, "15:00") == ["10 14:00 1.30", "10 15:00 1.00"]  # 200 for 100: 1.00 more; the one in us is free


def test_missed_windows_come_in_order(sandbox: Sandbox) -> None:
    """O9: after 30 hours without a run, one document a window."""
    sandbox.apply(subscribed("graduated"))
    for hour in range(24):
        at(sandbox, f"{hour:02}:30", ("api", f"{hour:02}:20", 1))
    for hour in range(6):
        at(sandbox, f"{hour:02}:30", ("api", f"{hour:02}:20", 1), day="2026-01-11")
    found = run(sandbox, "06:30", day="2026-01-11")
    assert found == [f"{10 + n // 24} {n % 24:02}:00 1.00" for n in range(1, 31)]
    assert run(sandbox, "06:45", day="2026-01-11") == found


def test_a_day_is_one_window(sandbox: Sandbox) -> None:
    sandbox.apply(subscribed("daily"))
    at(sandbox, "01:30", ("api", "01:20", 3))
    at(sandbox, "23:30", ("api", "23:20", 4))
    assert run(sandbox, "23:45") == []
    assert run(sandbox, "00:00", day="2026-01-11") == ["11 00:00 7.00"]
    assert sandbox.documents("acme")[-1].issue_date == "2026-01-11"


def test_what_came_before_the_subscription_is_in_the_first_window_after_it(sandbox: Sandbox) -> None:
    at(sandbox, "10:30", ("api", "10:20", 3))
    assert run(sandbox, "11:00") == []
    sandbox.at(f"{DAY}T11:20")
    sandbox.apply(subscribed("graduated"))
    at(sandbox, "11:30", ("api", "11:20", 4))
    assert run(sandbox, "13:00") == ["10 12:00 7.00"]


def test_what_came_before_the_subscription_needs_nothing_further(sandbox: Sandbox) -> None:
    at(sandbox, "10:30", ("api", "10:20", 3))
    sandbox.at(f"{DAY}T11:20")
    sandbox.apply(subscribed("graduated"))
    assert run(sandbox, "13:00") == ["10 12:00 3.00"]


def test_usage_without_a_rate_waits_until_it_has_one(sandbox: Sandbox) -> None:
    """What mends it is recorded later than the window's end: then the newest catalog counts."""
    eu, us = (f'{{match: {{region: {region}}}, unit_amount: "2"}}' for region in ("eu", "us"))

    def plan(rates: str) -> str:
        price = f"{{id: api, meter: api, price: {{model: per_unit, by: [region], rates: [{rates}]}}}}"
        return f"plans: [{{id: rated, billing: on_demand, invoice_every: hour, prices: [{price}]}}]"

    sandbox.apply(plan(eu), subscribed("rated"))
    sandbox.at(f"{DAY}T10:30")
    sandbox.land(use("acme", "api", f"{DAY}T10:20", 3, "eu"), use("acme", "api", f"{DAY}T10:20", 4, "us"))
    sandbox.at(f"{DAY}T11:30")
    sandbox.land(use("acme", "api", f"{DAY}T10:20", "", "us", retract="true"))
    assert run(sandbox, "12:00") == []
    first, second = sandbox.query("SELECT waits_for FROM on_demand_due ORDER BY window_end")
    assert first.waits_for.startswith("usage without an amount: No rate matches region=us.")
    assert second.waits_for is None  # it comes after that one
    sandbox.apply(plan(f"{eu}, {us}"))
    change_customer(sandbox.billing, AssignPlan("acme", "rated", start=f"{DAY}T10:00Z"))
    assert run(sandbox, "13:00") == ["10 11:00 14.00", "10 12:00 -8.00"]
