"""Fees of plans and quantities of subscriptions: what contradicts itself, what is kept, and what an export says."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from billing_pipeline.catalog import Catalog
from billing_pipeline.catalog.difference import difference
from billing_pipeline.catalog.export import export
from billing_pipeline.catalog.plan import FeeCadence
from billing_pipeline.catalog.problems import Problem
from billing_pipeline.catalog.subscription import QuantityChange
from billing_pipeline.core.period import BillingCalendar

Check = Callable[..., Catalog]
FindProblems = Callable[..., tuple[Problem, ...]]
OnlyProblem = Callable[..., Problem]

SEATS = """
plans:
  - {id: team, fees: [{id: seat, amount: 10}, {id: base, amount: 5}]}
  - {id: solo, fees: [{id: own, amount: 9}]}
"""
NEW_YEAR = datetime(2025, 12, 31, 23, tzinfo=UTC)  # in Berlin

PLANS = [
    (
        """
plans:
  - id: team
    fees:
      - {id: seat, amount: 10}
      - id: seat  # here
        amount: 5
""",
        ("plan team", "fees[1].id", "The plan has another fee 'seat'", "another id"),
    ),
    (
        """
plans:
  - id: team
    fees:
      - {id: base, amount: 10}
      - amount: 5
        id: compute  # here
    prices:
      - {id: compute, meter: compute, price: {model: per_unit, unit_amount: 1}}
""",
        ("plan team", "fees[1].id", "The plan has a price 'compute', too", "Give the fee another id"),
    ),
    (
        """
plans:
  - id: team
    fees:
      - id: seat
        amount: 0.0000000000001  # here
""",
        ("plan team", "fees[0].amount", "more than 18 digits or 12 decimals", "Shorten it"),
    ),
    (
        """
plans:
  - id: team
    fees:
      - id: seat
        amount: -1  # here
""",
        ("plan team", "fees[0].amount", "-1 is negative", "0 or more"),
    ),
    (
        """
plans:
  - id: team
    fees:
      - id: seat
        amount: 1
        every: fortnight  # here
""",
        ("plan team", "fees[0].every", "'fortnight' is not one of day, week, month, quarter, year, once", ""),
    ),
]

_SUBSCRIPTION = """
plans:
  - id: team
    fees: [{{id: seat, amount: 10}}, {{id: huge, amount: "100000000000000000"}}]
subscriptions:
  - id: s
    customer: acme
    plan: team
    start: 2026-01-10
    end: 2026-06-01
"""


def subscription(more: str) -> str:
    return _SUBSCRIPTION.format() + more


SUBSCRIPTIONS = [
    (
        "    quantities:\n      seats: 3  # here\n",
        ("quantities.seats", "None of its plans has a fee 'seats'", "Did you mean 'seat'?"),
    ),
    ("    quantities:\n      seat: -3  # here\n", ("quantities.seat", "-3 is negative", "0 or more")),
    ("    quantities:\n      seat: three  # here\n", ("quantities.seat", "'three' is not a decimal", "Write e.g.")),
    (
        "    quantities:\n      huge: 1001  # here\n",
        ("quantities.huge", "1001 times 100000000000000000 is larger than any bill (1E+20)", "Check the quantity"),
    ),
    (
        "    quantity_changes:\n      - start: 2026-02-01\n        quantities:\n          saet: 2  # here\n",
        ("quantity_changes[0].quantities.saet", "None of its plans has a fee 'saet'", "Did you mean 'seat'?"),
    ),
    (
        "    quantity_changes:\n      - start: 2026-01-09  # here\n        quantities: {seat: 2}\n",
        (
            "quantity_changes[0].start",
            "does not come after the subscription, which starts on 2026-01-10",
            "in the order",
        ),
    ),
    (
        """    quantity_changes:
      - {start: 2026-03-01, quantities: {seat: 2}}
      - start: 2026-03-01  # here
        quantities: {seat: 3}
""",
        ("quantity_changes[1].start", "does not come after the one before it", "in the order of their starts"),
    ),
    (
        "    quantity_changes:\n      - start: 2026-06-01  # here\n        quantities: {seat: 2}\n",
        ("quantity_changes[0].start", "when the subscription has ended", "end the subscription later"),
    ),
    (
        "    quantity_changes:\n      - start: 2026-02-01  # here\n",
        ("quantity_changes[0].quantities", "'quantities' is missing", ""),
    ),
    (
        "    billing_time: yearly  # here\n",
        ("billing_time", "'yearly' is not one of calendar, anniversary", ""),
    ),
    (
        "    recorded_at: 2026-01-01  # here\n",
        ("recorded_at", "given when the catalog is applied", "Remove it"),
    ),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [*PLANS, *((subscription(text), ("subscription s", *expected)) for text, expected in SUBSCRIPTIONS)],
)
def test_a_contradiction_is_refused_where_it_stands(
    text: str, expected: tuple[str, str, str, str], only_problem: OnlyProblem
) -> None:
    subject, field, message, hint = expected
    problem = only_problem(text)
    assert (problem.object, problem.field) == (subject, field)
    assert message in problem.message
    assert hint in problem.hint
    assert hint or not problem.hint


def test_on_demand_only_usage_is_billed(problems_of: FindProblems, base: str) -> None:
    text = """
plans:
  - id: now
    billing: on_demand
    fees: [{id: seat, amount: 1}]
    minimum: 5
    maximum: 9
    prices: [{id: compute, meter: compute, minimum: 5, maximum: 9, price: {model: per_unit, unit_amount: 1}}]
"""
    found = {(one.field, one.message) for one in problems_of(base, text)}
    assert found >= {
        ("fees", "On demand, only usage is billed; there are no fees."),
        ("minimum", "On demand, there is no minimum spend."),
        ("prices[0].minimum", "On demand, there is no minimum spend."),
        ("maximum", "On demand, there is no maximum spend."),
        ("prices[0].maximum", "On demand, there is no maximum spend."),
    }


def test_bounds_of_a_plan_and_of_its_prices_do_not_cross(problems_of: FindProblems, base: str) -> None:
    text = """
plans:
  - id: crossed
    minimum: 9
    maximum: 5
    prices: [{id: compute, meter: compute, minimum: 4, maximum: 3, price: {model: per_unit, unit_amount: 1}}]
"""
    found = {(one.field, one.message) for one in problems_of(base, text)}
    assert found == {
        ("minimum", "The minimum 9 exceeds the maximum 5."),
        ("prices[0].minimum", "The minimum 4 exceeds the maximum 3."),
    }


def test_fees_and_quantities_are_read(checked: Check, base: str) -> None:
    text = """
plans: [{id: team, fees: [{id: seat, amount: "0.005", every: once, timing: in_arrears, prorate: false}]}]
subscriptions:
  - id: s
    customer: acme
    plan: team
    start: 2026-01-01
    quantities: {seat: 3}
    quantity_changes: [{start: 2026-02-01, quantities: {seat: "4.5"}}, {start: "2026-03-01T12:00:00Z", quantities: {}}]
    billing_time: anniversary
"""
    catalog = checked(base, text)
    (fee,) = catalog.plans["team"].fees
    assert (fee.name, fee.amount, fee.every, fee.timing, fee.prorate) == (
        "seat",
        Decimal("0.005"),
        FeeCadence.ONCE,
        "in_arrears",
        False,
    )
    one = catalog.subscriptions["s"]
    assert one.quantity_changes == (
        QuantityChange(datetime(2026, 1, 31, 23, tzinfo=UTC), {"seat": Decimal("4.5")}),
        QuantityChange(datetime(2026, 3, 1, 12, tzinfo=UTC), {}),
    )
    assert one.billing_time == "anniversary"


def test_an_export_writes_local_days_and_not_what_the_ledger_gives(
    checked: Check, base: str, berlin: BillingCalendar
) -> None:
    text = (
        "subscriptions: [{id: s, customer: acme, plan: team, start: 2026-01-01, billing_time: anniversary, "
        "quantity_changes: [{start: 2026-02-01, quantities: {seat: 4}}]}]"
    )
    catalog = checked(base, SEATS, text, at=NEW_YEAR)
    assert catalog.subscriptions["s"].recorded_at == NEW_YEAR
    written = export(catalog, berlin)
    assert "recorded_at" not in written
    assert "2026-02-01" in written
    assert checked(written, existing=catalog) == catalog
    assert checked(written, at=NEW_YEAR) == catalog


def test_when_it_was_first_recorded_is_kept(checked: Check, base: str) -> None:
    text = "subscriptions: [{{id: s, customer: acme, plan: team, start: 2026-01-01, quantities: {{seat: {}}}}}]"
    first = checked(base, SEATS, text.format(1), at=NEW_YEAR)
    later = datetime(2026, 1, 20, tzinfo=UTC)
    assert difference(first, checked(base, SEATS, text.format(1), existing=first, at=later)) == []
    second = checked(
        text.format(2),
        "subscriptions: [{id: t, customer: beta, plan: solo, start: 2026-02-01}]",
        existing=first,
        at=later,
    )
    assert {one.id: one.recorded_at for one in second.subscriptions.values()} == {"s": NEW_YEAR, "t": later}
    (changed, _) = difference(first, second)
    assert [(one.field, one.old, one.new) for one in changed.fields] == [("quantities.seat", "1", "2")]


def test_a_quantity_may_be_of_any_phases_plan(checked: Check, base: str) -> None:
    text = (
        "subscriptions: [{id: s, customer: acme, start: 2026-01-01, phases: [{plan: team}, "
        "{plan: solo, start: 2026-05-01}], quantities: {seat: 3, own: 2}}]"
    )
    assert checked(base, SEATS, text).subscriptions["s"].quantities == {"seat": Decimal(3), "own": Decimal(2)}


TEAM = "subscriptions: [{{id: s, customer: acme, plan: team, start: 2026-01-01, quantities: {{{}}}}}]"
WITHOUT_SEATS = "plans: [{id: team, fees: [{id: base, amount: 5}]}]"


def test_a_plan_may_drop_a_fee_that_running_subscriptions_still_have(
    checked: Check, problems_of: FindProblems, base: str
) -> None:
    """Their phases stay on the version that has it."""
    first = checked(base, SEATS, TEAM.format("seat: 3"))
    second = checked(WITHOUT_SEATS, existing=first)
    versions = {(plan.id, plan.version): plan for one in (first, second) for plan in one.plans.values()}
    assert checked(TEAM.format("seat: 4"), existing=second).subscriptions["s"].quantities == {"seat": Decimal(4)}
    new = "subscriptions: [{id: t, customer: beta, plan: team, start: 2026-01-01, quantities: {seat: 1}}]"
    (problem,) = problems_of(new, existing=second)
    assert problem.message == "None of its plans has a fee 'seat'."
    # A fee whose quantity was never given is known by the version that the phase is on.
    plain = checked(base, SEATS, TEAM.format(""))
    dropped = checked(WITHOUT_SEATS, existing=plain)
    made = checked(TEAM.format("seat: 2"), existing=dropped, plan_versions=versions)
    assert made.subscriptions["s"].phases[0].plan_version == 1


def test_quantities_at_an_instant_are_those_changed_until_then(checked: Check, base: str) -> None:
    text = (
        "subscriptions: [{id: s, customer: acme, plan: team, start: 2026-01-01, quantities: {seat: 3, base: 1}, "
        "quantity_changes: [{start: 2026-02-01, quantities: {base: 2}}, {start: 2026-03-01, quantities: {seat: 1}}]}]"
    )
    one = checked(base, SEATS, text).subscriptions["s"]
    instants = [NEW_YEAR, *(change.start for change in one.quantity_changes)]
    assert [one.quantities_at(instant) for instant in instants] == [
        {"seat": 3},  # one of a fee is what there is unless said otherwise
        {"seat": 3, "base": 2},
        {"base": 2},
    ]
