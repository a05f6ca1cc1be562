"""The edges of each model: bounds, zero, fractions, and what stands on the line."""

from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.core.plain_text import plain
from billing_pipeline.rating.cost import cost_of
from billing_pipeline.rating.price import parse_price
from billing_pipeline.rating.price_models import PRICE_MODELS

D = Decimal

Terms = dict[str, Any]
PACKAGE = {"model": "package", "size": "10", "amount": "3"}
GRADUATED = {
    "model": "graduated",
    "tiers": [{"up_to": "10", "unit_amount": "1", "flat_amount": "7"}, {"unit_amount": "0.5", "flat_amount": "20"}],
}
VOLUME = {**GRADUATED, "model": "volume"}
STAIRS = {"model": "stairstep", "tiers": [{"up_to": "10", "flat_amount": "7"}, {"flat_amount": "20"}]}
PERCENT_TIERS = {
    "model": "graduated_percentage",
    "tiers": [{"up_to": "10", "rate": "10", "flat_amount": "7"}, {"rate": "1"}],
}


@pytest.mark.parametrize(
    ("terms", "quantity", "amount"),
    [
        ({"model": "per_unit", "unit_amount": "0.5"}, "0", "0"),
        ({"model": "per_unit", "unit_amount": "0.5"}, "0.000000000001", "0.0000000000005"),
        ({"model": "per_unit", "unit_amount": "0"}, "5", "0"),
        (PACKAGE, "0", "0"),
        (PACKAGE, "0.000000000001", "3"),  # a started package is a package
        (PACKAGE, "10", "3"),
        (PACKAGE, "10.000000000001", "6"),
        ({**PACKAGE, "round": "down"}, "9.999999999999", "0"),
        ({**PACKAGE, "round": "down"}, "19", "3"),
        ({**PACKAGE, "round": "none"}, "15", "4.5"),
        ({**PACKAGE, "size": "0.3"}, "0.9", "9"),  # 0.9 / 0.3 is 3 exactly, which no binary float knows
        ({**PACKAGE, "size": "0.3"}, "0.91", "12"),
        (GRADUATED, "0", "0"),
        ({**GRADUATED, "zero_usage": "first_tier_flat"}, "0", "7"),
        (GRADUATED, "0.5", "7.5"),
        (GRADUATED, "10", "17"),  # the bound belongs to the lower tier
        (GRADUATED, "10.000000000001", "37.0000000000005"),
        (GRADUATED, "12", "38"),
        ({**GRADUATED, "zero_usage": "first_tier_flat"}, "12", "38"),
        (VOLUME, "0", "0"),
        ({**VOLUME, "zero_usage": "first_tier_flat"}, "0", "7"),
        (VOLUME, "10", "17"),
        (VOLUME, "10.5", "25.25"),
        (STAIRS, "0", "0"),
        (STAIRS, "0.1", "7"),
        (STAIRS, "10", "7"),
        (STAIRS, "10.1", "20"),
        (STAIRS, "1000000", "20"),
        (PERCENT_TIERS, "0", "0"),
        (PERCENT_TIERS, "10", "8"),
        (PERCENT_TIERS, "110", "9"),
    ],
)
def test_amount(terms: Terms, quantity: str, amount: str) -> None:
    assert cost_of(parse_price(terms), D(quantity)).amount == D(amount)


@pytest.mark.parametrize(
    ("terms", "values", "amount"),
    [
        ({}, "", "0"),
        ({}, "100", "1.50"),
        ({"fixed_amount": "0.30"}, "100 0", "2.10"),  # an event of value 0 is an event
        ({"free_events": 2}, "100 100 100", "1.50"),
        ({"free_events": 0}, "100", "1.50"),
        ({"free_amount": "0"}, "100", "1.50"),
        ({"free_amount": "150", "fixed_amount": "1"}, "100 100", "1.75"),  # the crossing event pays for its 50
        ({"free_amount": "200", "fixed_amount": "1"}, "100 100", "0"),  # nothing crosses
        ({"free_amount": "200", "fixed_amount": "1"}, "100 100 0", "1"),  # no free amount lasts any more
        ({"free_events": 3, "free_amount": "150"}, "100 100 100", "2.25"),  # both must last
        ({"free_events": 1, "free_amount": "1000"}, "100 100", "1.50"),
        ({"minimum_per_event": "2"}, "100 200", "5.00"),
        ({"maximum_per_event": "2"}, "100 200", "3.50"),
        ({"fixed_amount": "1", "minimum_per_event": "2"}, "100", "2.50"),  # bounds look at rate and fixed together
        ({"fixed_amount": "1", "maximum_per_event": "2"}, "100", "2"),
        ({"minimum_per_event": "2", "free_events": 1}, "100 100", "2"),  # a free event has no minimum
        ({"minimum_per_event": "2", "free_amount": "150"}, "100 100", "2"),  # the crossing one has
        ({}, "100 -40", "0.90"),
        ({"free_amount": "50"}, "40 -20 40", "0.15"),  # a correction gives back what it had used
        ({"fixed_amount": "1"}, "100 -200", "0"),  # less than nothing is rated as zero
    ],
)
def test_percentage_of_events(terms: Terms, values: str, amount: str) -> None:
    price = parse_price({"model": "percentage", "rate": "1.5", **terms})
    measures = [D(value) for value in values.split()]
    assert cost_of(price, sum(measures, D(0)), measures=measures).amount == D(amount)


def test_percentage_details_stay_few_however_many_events_there_are() -> None:
    terms = {"rate": "1", "fixed_amount": "0.1", "free_events": 5, "minimum_per_event": "1", "maximum_per_event": "5"}
    cost = cost_of(parse_price({"model": "percentage", **terms}), D(0), measures=[D(n) for n in range(1000)])
    assert [detail.description for detail in cost.details] == [
        "free (events wholly free: 5)",
        "1%",
        "fixed amount per event",
        "minimum per event",
        "maximum per event",
    ]
    assert [detail.quantity for detail in cost.details] == [10, 499490, 995, 85, 509]


def test_the_order_of_events_decides_what_is_free() -> None:
    price = parse_price({"model": "percentage", "rate": "10", "free_events": 1})
    assert cost_of(price, D(30), measures=[D(10), D(20)]).amount == 2
    assert cost_of(price, D(30), measures=[D(20), D(10)]).amount == 1


@pytest.mark.parametrize(
    ("multiplier", "amounts", "amount"),
    [("1", "", "0"), ("1", "0.10 0.20", "0.30"), ("1.2", "10", "12"), ("0", "10", "0"), ("1", "10 -4", "6")],
)
def test_dynamic_adds_what_events_carry(multiplier: str, amounts: str, amount: str) -> None:
    price = parse_price({"model": "dynamic", "multiplier": multiplier})
    assert cost_of(price, D(0), measures=map(D, amounts.split())).amount == D(amount)


@pytest.mark.parametrize(
    ("tiers", "descriptions"),
    [
        ([{"unit_amount": "1"}], ["all units"]),
        (
            [{"up_to": "1e3", "unit_amount": "1"}, {"up_to": "2000.50", "unit_amount": "1"}, {"unit_amount": "1"}],
            ["up to 1000", "over 1000 up to 2000.5", "over 2000.5"],
        ),
    ],
)
def test_lines_name_their_tier(tiers: list[Terms], descriptions: list[str]) -> None:
    cost = cost_of(parse_price({"model": "graduated", "tiers": tiers}), D(5000))
    assert [detail.description for detail in cost.details] == descriptions


def test_a_free_tier_stands_on_the_line() -> None:
    tiers = [{"up_to": "5", "unit_amount": "0"}, {"unit_amount": "1"}]
    (free, paid) = cost_of(parse_price({"model": "graduated", "tiers": tiers}), D(6)).details
    assert (free.quantity, free.amount) == (D(5), D(0))
    assert (paid.quantity, paid.amount) == (D(1), D(1))


@pytest.mark.parametrize(("number", "text"), [("1E+3", "1000"), ("0.500", "0.5"), ("0", "0"), ("12", "12")])
def test_numbers_in_words_have_no_exponent(number: str, text: str) -> None:
    assert plain(D(number)) == text


@pytest.mark.parametrize("model", PRICE_MODELS.values(), ids=PRICE_MODELS.keys())
def test_models_are_values(model: type[Any]) -> None:
    """The same terms are the same model, which is how one table of rates is recognised."""
    terms = model.example.case["price"]
    first, second = parse_price(terms), parse_price(terms)
    assert first == second
    assert hash(first.rate_for()) == hash(second.rate_for())
    assert "ladder" not in repr(first)
