"""What the format has and this version cannot bill: refused by name, each line of the table once."""

from collections.abc import Callable

import pytest

from billing_pipeline.catalog.catalog import KINDS
from billing_pipeline.catalog.json_schema import json_schema
from billing_pipeline.catalog.problems import Problem
from billing_pipeline.catalog.support import NOT_YET, NotYet, unsupported

PRICE = "id: a, meter: compute, price: {model: per_unit, unit_amount: 1}"
OVER_ALL = "{model: per_unit, by: [region], default: {unit_amount: 1}, tiers_per: subscription}"
EXAMPLES = {
    NotYet("meter", "convert"): ("meters: [{id: x, aggregation: sum, convert: {divide_by: 10}}]", "convert"),
    NotYet("plan", "minimum"): ("plans: [{id: x, minimum: 50}]", "minimum"),
    NotYet("plan", "prices.*.minimum"): (f"plans: [{{id: x, prices: [{{minimum: 1, {PRICE}}}]}}]", "prices[0].minimum"),
    NotYet("plan", "prices.*.maximum"): (f"plans: [{{id: x, prices: [{{maximum: 1, {PRICE}}}]}}]", "prices[0].maximum"),
    NotYet("plan", "prices.*.convert"): (
        f"plans: [{{id: x, prices: [{{convert: {{divide_by: 2}}, {PRICE}}}]}}]",
        "prices[0].convert",
    ),
    NotYet("plan", "prices.*.price.tiers_per", "subscription"): (
        f"plans: [{{id: x, prices: [{{id: a, meter: compute, price: {OVER_ALL}}}]}}]",
        "prices[0].price.tiers_per",
    ),
    NotYet("customer", "credits"): ("customers: [{id: x, credits: {uncovered: overdrawn}}]", "credits"),
    NotYet("credit_grant", ""): ("credit_grants: [{id: x, customer: acme, amount: 5, effective: 2026-01-01}]", "id"),
}


@pytest.mark.parametrize("entry", NOT_YET, ids=str)
def test_what_is_not_supported_is_refused_by_name(entry: NotYet, only_problem: Callable[[str], Problem]) -> None:
    text, field = EXAMPLES[entry]
    problem = only_problem(f"{text}  # here")
    assert (problem.object, problem.field) == (f"{entry.kind} x", field)
    assert problem.message.endswith("not supported yet.")


@pytest.mark.parametrize(
    "content", [{}, {"invoice_every": None}, {"invoice_every": []}, {"billing": "period"}, {"prices": "none"}]
)
def test_what_is_not_given_is_not_refused(content: object) -> None:
    assert list(unsupported("plan", content)) == []


def test_each_entry_names_a_field_of_the_format() -> None:
    definitions = json_schema(price_models={}, aggregations=(), source_formats=(), gateways=())["$defs"]
    for entry in NOT_YET:
        first = entry.field.partition(".")[0]
        assert not first or first in definitions[KINDS[entry.kind].shape.__name__]["properties"]
