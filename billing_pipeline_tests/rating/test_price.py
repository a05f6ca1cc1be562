"""Charging a price: rates by dimension, included units, and what is refused."""

from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.core.errors import RatingError
from billing_pipeline.rating.cost import Cost, cost_of
from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price import parse_price
from billing_pipeline.rating.price_models.per_unit import PerUnit

D = Decimal

MATRIX = parse_price(
    {
        "model": "per_unit",
        "by": ["provider", "region", "tier"],
        "rates": [
            {"match": {"provider": "aws"}, "unit_amount": "1"},
            {"match": {"provider": "aws", "region": "eu"}, "unit_amount": "2"},
            {"match": {"provider": "aws", "region": "eu", "tier": "gold"}, "unit_amount": "3"},
            {"match": {"provider": "gcp", "tier": "gold"}, "unit_amount": "4"},
        ],
    }
)
TIERS = [{"up_to": "100", "unit_amount": "0.10"}, {"unit_amount": "0.08"}]


@pytest.mark.parametrize(
    ("dimensions", "unit_amount"),
    [
        ({"provider": "aws"}, "1"),
        ({"provider": "aws", "region": ""}, "1"),  # absent and empty are the same
        ({"provider": "aws", "region": "us", "tier": "gold"}, "1"),
        ({"provider": "aws", "region": "eu"}, "2"),
        ({"provider": "aws", "region": "eu", "tier": "gold"}, "3"),
        ({"provider": "aws", "region": "eu", "tier": "gold", "function": "f"}, "3"),  # others do not matter
        ({"provider": "gcp", "region": "eu", "tier": "gold"}, "4"),
    ],
)
def test_the_most_specific_rate_wins(dimensions: dict[str, str], unit_amount: str) -> None:
    assert MATRIX.rate_for(dimensions) == PerUnit(D(unit_amount))
    assert cost_of(MATRIX, D(10), dimensions).amount == 10 * D(unit_amount)


@pytest.mark.parametrize("dimensions", [{}, {"provider": "azure"}, {"provider": "gcp"}, {"region": "eu"}])
def test_usage_without_a_rate_is_an_error_and_never_a_silent_zero(dimensions: dict[str, str]) -> None:
    with pytest.raises(RatingError, match="No rate matches"):
        cost_of(MATRIX, D(1), dimensions)
    with pytest.raises(RatingError, match="No rate matches"):
        MATRIX.combination(dimensions)


def test_usage_without_a_rate_takes_the_default() -> None:
    terms = {"model": "per_unit", "by": ["region"], "rates": [{"match": {"region": "eu"}, "unit_amount": "1"}]}
    price = parse_price({**terms, "default": {"unit_amount": "5"}})
    assert cost_of(price, D(2), {"region": "us"}).amount == 10
    assert cost_of(price, D(2)).amount == 10
    assert cost_of(price, D(2), {"region": "eu"}).amount == 2


def test_usage_is_measured_by_the_values_that_are_priced() -> None:
    terms: dict[str, Any] = {"model": "per_unit", "by": ["provider", "region"]}
    terms |= {"rates": [{"match": {"provider": "aws"}, "unit_amount": "1"}], "default": {"unit_amount": "2"}}
    price = parse_price(terms)
    assert price.combination({"provider": "aws", "region": "eu", "job": "7"}) == {"provider": "aws", "region": "eu"}
    assert price.combination({"provider": "aws"}) == {"provider": "aws"}
    assert price.combination({"provider": "gcp", "region": "eu"}) == {}  # all others share the default
    assert price.matches == ({"provider": "aws"},)


def test_one_table_for_all_values_counts_each_on_its_own() -> None:
    price = parse_price({"model": "graduated", "by": ["region"], "tiers": TIERS})
    assert price.combination({"region": "eu"}) == {"region": "eu"}
    assert price.combination({}) == {}
    assert cost_of(price, D(140), {"region": "eu"}).amount == D("13.20")


def test_a_price_without_dimensions_measures_all_together() -> None:
    assert parse_price({"model": "per_unit", "unit_amount": "1"}).combination({"region": "eu"}) == {}


@pytest.mark.parametrize(
    ("quantity", "included", "amount", "free"),
    [
        ("50", "100", "0", "50"),
        ("100", "100", "0", "100"),
        ("101", "100", "0.10", "100"),
        ("240", "100", "13.20", "100"),  # tiers see what remains: 140
        ("0", "100", "0", None),
        ("0.5", "0.25", "0.0250", "0.25"),
    ],
)
def test_included_units_come_off_before_the_model(quantity: str, included: str, amount: str, free: str | None) -> None:
    price = parse_price({"model": "graduated", "tiers": TIERS, "included": included})
    cost = cost_of(price, D(quantity))
    assert cost.amount == D(amount)
    first = cost.details[0] if cost.details else None
    assert (first and first.description == "included" and first.quantity) == (D(free) if free else None)


def test_included_units_of_a_part_of_a_period_replace_the_whole() -> None:
    price = parse_price({"model": "per_unit", "unit_amount": "1", "included": "100"})
    assert cost_of(price, D(100), included=D(40)).amount == 60
    assert cost_of(price, D(100), included=D(0)).amount == 100


def test_a_negative_quantity_is_rated_as_zero() -> None:
    for terms in ({"model": "per_unit", "unit_amount": "1"}, {"model": "volume", "tiers": TIERS}):
        assert cost_of(parse_price(terms), D(-5)) == Cost(D(0), ())


def test_a_price_of_events_needs_them() -> None:
    for terms in ({"model": "percentage", "rate": "1"}, {"model": "dynamic"}):
        with pytest.raises(RatingError, match="needs the"):
            cost_of(parse_price(terms), D(1))


def test_a_charge_says_why() -> None:
    price = parse_price({"model": "graduated", "tiers": [*TIERS[:1], {"unit_amount": "0.08", "flat_amount": "5"}]})
    assert cost_of(price, D(140)) == Cost(
        D("18.20"),
        (
            LineDetail("up to 100", D(100), D("0.10"), D("10.00")),
            LineDetail("over 100", D(40), D("0.08"), D("3.20")),
            LineDetail("over 100: flat amount", D(1), D(5), D(5)),
        ),
    )
