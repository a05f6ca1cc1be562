"""Plans on demand: what windows of receipt cannot bill is refused by name, in the plan and where it is assigned."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from billing_pipeline.catalog import Catalog
from billing_pipeline.catalog.problems import CatalogProblems, Problem

FindProblems = Callable[..., tuple[Problem, ...]]

PER_UNIT = "{model: per_unit, unit_amount: 1}"
VOLUME = "{model: volume, tiers: [{up_to: 10, unit_amount: 1}, {unit_amount: 0.5}]}"


def on_demand(aggregation: str, price: str = PER_UNIT) -> str:
    """A plan on demand with one price, whose meter aggregates so."""
    more = {"duration": ", session_by: job", "unique_count": ", unique_by: job"}.get(aggregation, "")
    return f"""
meters: [{{id: m, aggregation: {aggregation}, dimensions: [job, region]{more}}}]
plans: [{{id: now, billing: on_demand, invoice_every: hour, prices: [{{id: p, meter: m, price: {price}}}]}}]
"""


@pytest.mark.parametrize(
    ("aggregation", "because"),
    [
        ("duration", "adds up as time passes"),
        ("weighted_sum", "adds up as time passes"),
        ("average", "can fall with each further event"),
        ("min", "can fall with each further event"),
        ("latest", "can fall with each further event"),
    ],
)
def test_a_meter_that_changes_by_itself_is_refused_by_name(
    aggregation: str, because: str, problems_of: FindProblems, base: str
) -> None:
    (problem,) = [one for one in problems_of(base, on_demand(aggregation)) if one.field == "prices[0].meter"]
    assert problem.message == f"Meter 'm' cannot be billed on demand: a {aggregation} {because}" + (
        ", whether or not something is received." if "time" in because else "."
    )
    assert "sum, count, max or unique_count" in problem.hint


@pytest.mark.parametrize("aggregation", ["sum", "count", "max", "unique_count"])
def test_what_each_arrival_changes_is_billed(aggregation: str, checked: Callable[..., Catalog], base: str) -> None:
    assert checked(base, on_demand(aggregation)).plans["now"].window == "hour"


@pytest.mark.parametrize(("aggregation", "refused"), [("sum", 0), ("count", 0), ("max", 1)])
def test_volume_goes_with_what_events_add_to(aggregation: str, refused: int, find: FindProblems, base: str) -> None:
    found = [one for one in find(base, on_demand(aggregation, VOLUME)) if one.field == "prices[0].price.model"]
    assert len(found) == refused
    assert all("volume prices each event's units, and 'm' (max) gives none" in one.message for one in found)


def test_a_recorded_plan_that_cannot_be_billed_any_more_is_assigned_to_nobody(
    problems_of: FindProblems, checked: Callable[..., Catalog], base: str
) -> None:
    """Its meter was changed, or an earlier version of the product recorded it."""
    recorded = checked(base)
    plan = replace(recorded.plans["payg"], billing="on_demand")
    meter = replace(recorded.meters["compute"], aggregation="average")
    existing = replace(recorded, plans={"payg": plan}, meters={"compute": meter})
    text = "subscriptions: [{id: s, customer: acme, plan: payg, start: 2026-01-01}]"
    found = {one.object: one.message for one in problems_of(text, existing=existing)}
    assert "Plan 'payg' cannot be billed: Meter 'compute' cannot be billed on demand" in found["subscription s"]


def test_amounts_for_no_usage_are_refused_where_they_stand(problems_of: FindProblems, base: str) -> None:
    text = "{model: graduated, zero_usage: first_tier_flat, tiers: [{unit_amount: 1, flat_amount: 5}]}"
    found = {one.field: one.hint for one in problems_of(base, on_demand("sum", text))}
    assert found["prices[0].price.zero_usage"] == "Remove zero_usage."


def test_an_interval_without_on_demand_says_nothing(problems_of: FindProblems, base: str) -> None:
    found = {one.message: one.hint for one in problems_of(base, "plans: [{id: now, invoice_every: hour}]")}
    assert found["invoice_every belongs to billing: on_demand."] == "Write billing: on_demand, or remove it."


BOTH = """
plans:
  - {id: now, billing: on_demand, prices: [{id: api, meter: requests, price: {model: per_unit, unit_amount: 1}}]}
subscriptions:
  - {id: a, customer: acme, plan: now, start: 2026-01-01, end: END}
  - {id: b, customer: acme, plan: payg, start: 2026-02-01}
"""


@pytest.mark.parametrize(
    ("discount", "end", "refused"),
    [
        ("amount: 25", "2026-03-01", 1),
        ("amount: 25", "2026-02-01", 0),  # one after the other
        ("percent: 25", "2026-03-01", 0),
        ("amount: 25, prices: [api]", "2026-03-01", 0),
        ("amount: 25, prices: [compute]", "2026-03-01", 0),
        ("amount: 25, prices: [api, compute]", "2026-03-01", 1),
    ],
)
def test_one_allowance_is_not_for_windows_and_periods_at_once(
    discount: str, end: str, refused: int, find: FindProblems, base: str
) -> None:
    text = f"discounts: [{{id: gift, customer: acme, start: 2026-01-01, {discount}}}]"
    found = find(base, BOTH.replace("END", end), text)
    assert [(one.object, one.field) for one in found] == refused * [("discount gift", "amount")]


@pytest.fixture
def find(checked: Callable[..., Catalog]) -> FindProblems:
    """What is wrong with texts, if anything."""

    def problems(*texts: str) -> tuple[Problem, ...]:
        try:
            checked(*texts)
        except CatalogProblems as error:
            return tuple(error.problems)
        return ()

    return problems
