"""Prices are read strictly: what is refused, where it stands, and what to write instead."""

from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.core.errors import CatalogError
from billing_pipeline.rating.price import Price, parse_price
from billing_pipeline.rating.price_models import PRICE_MODELS
from billing_pipeline.rating.price_models.graduated import Graduated
from billing_pipeline.rating.price_models.package import Package
from billing_pipeline.rating.price_models.per_unit import PerUnit
from billing_pipeline.rating.price_models.percentage import Percentage
from billing_pipeline.rating.tiers import Tier

D = Decimal

Terms = dict[str, Any]
UNIT = {"model": "per_unit", "unit_amount": "1"}
BY_REGION = {"model": "per_unit", "by": ["region"]}


def refusal(terms: Any) -> CatalogError:
    with pytest.raises(CatalogError) as raised:
        parse_price(terms)
    return raised.value


@pytest.mark.parametrize(
    ("terms", "path", "hint"),
    [
        ({"model": "gradauted", "tiers": []}, ("model",), "Did you mean 'graduated'?"),
        ({"unit_amount": "1"}, (), "dynamic, graduated"),
        ({**UNIT, "unit_amout": "1"}, ("unit_amout",), "Did you mean 'unit_amount'?"),
        ({**UNIT, "unit_amout": None}, ("unit_amout",), "Did you mean 'unit_amount'?"),
        ({**UNIT, "5": None}, ("5",), "Known: "),
        ({**BY_REGION, "rates": [{"match": {"region": "eu"}, "unit_amount": "1", "5": None}]}, ("rates", 0, "5"), ""),
        ({**BY_REGION, "default": {"unit_amount": "1", "flat": None}}, ("default", "flat"), ""),
        ({"model": "volume", "tiers": [{"unit_amount": "4", "99": None}]}, ("tiers", 0, "99"), ""),
        ({**UNIT, "tiers": []}, ("tiers",), "Did you mean 'tiers_per'?"),
        ({"model": "per_unit"}, (), "Fields: unit_amount."),
        ({"model": "per_unit", "unit_amount": None}, (), "Fields: unit_amount."),
        ({"model": "per_unit", "unit_amount": 0.1}, ("unit_amount",), "quoted decimal"),
        ({"model": "per_unit", "unit_amount": True}, ("unit_amount",), "quoted decimal"),
        ({"model": "per_unit", "unit_amount": "1,000"}, ("unit_amount",), "quoted decimal"),
        ({"model": "per_unit", "unit_amount": "1_000"}, ("unit_amount",), "quoted decimal"),
        ({"model": "per_unit", "unit_amount": "NaN"}, ("unit_amount",), "quoted decimal"),
        ({"model": "per_unit", "unit_amount": "Infinity"}, ("unit_amount",), "quoted decimal"),
        ({"model": "per_unit", "unit_amount": D("Infinity")}, ("unit_amount",), "quoted decimal"),
        ({"model": "per_unit", "unit_amount": ""}, ("unit_amount",), "quoted decimal"),
        ({"model": "per_unit", "unit_amount": "-1"}, ("unit_amount",), "zero or more"),
        ({"model": "per_unit", "unit_amount": "0.0000000000001"}, ("unit_amount",), "12 decimals"),
        ({"model": "per_unit", "unit_amount": "1" + "0" * 18 + "1"}, ("unit_amount",), "1E+18"),
        ({"model": "package", "size": "0", "amount": "1"}, ("size",), ""),
        ({"model": "package", "size": "1", "amount": "1", "round": "upp"}, ("round",), "'up'"),
        ({"model": "package", "size": "1", "amount": "1", "round": ["up"]}, ("round",), "Known: down, none, up."),
        ({"model": "graduated", "tiers": []}, ("tiers",), "may be the only"),
        ({"model": "graduated", "tiers": "none"}, ("tiers",), ""),
        ({"model": "graduated", "tiers": ["1"]}, ("tiers", 0), "name: value"),
        ({"model": "graduated", "tiers": [{}]}, ("tiers", 0), "Write 0"),
        ({"model": "graduated", "tiers": [{"up_to": "1"}, {"unit_amount": "1"}]}, ("tiers", 0), "Write 0"),
        ({"model": "graduated", "tiers": [{"unit_amount": "1", "upto": "1"}]}, ("tiers", 0, "upto"), "'up_to'"),
        ({"model": "graduated", "tiers": [{"unit_amount": "1", "up_to": "5"}]}, ("tiers", 0), "Leave up_to out"),
        ({"model": "volume", "tiers": [{"unit_amount": "1"}, {"unit_amount": "1"}]}, ("tiers", 0), "Leave up_to out"),
        (
            {"model": "volume", "tiers": [{"up_to": "0", "unit_amount": "1"}, {"unit_amount": "1"}]},
            ("tiers", 0, "up_to"),
            "ascending",
        ),
        (
            {
                "model": "volume",
                "tiers": [{"up_to": "5", "unit_amount": "1"}, {"up_to": "5", "unit_amount": "1"}, {"unit_amount": "1"}],
            },
            ("tiers", 1, "up_to"),
            "ascending",
        ),
        ({"model": "stairstep", "tiers": [{"up_to": "5"}]}, ("tiers", 0), "Fields: flat_amount, up_to."),
        ({"model": "stairstep", "tiers": [{"unit_amount": "5"}]}, ("tiers", 0, "unit_amount"), "flat_amount"),
        (
            {"model": "graduated_percentage", "tiers": [{"unit_amount": "5"}]},
            ("tiers", 0, "unit_amount"),
            "flat_amount",
        ),
        ({"model": "volume", "tiers": [{"unit_amount": "1"}], "zero_usage": "all"}, ("zero_usage",), "none"),
        ({"model": "percentage", "rate": "1", "free_events": "1.5"}, ("free_events",), ""),
        ({"model": "percentage", "rate": "1", "free_events": -1}, ("free_events",), "zero or more"),
        (
            {"model": "percentage", "rate": "1", "minimum_per_event": "2", "maximum_per_event": "1"},
            ("minimum_per_event",),
            "",
        ),
        ({"model": "dynamic", "amount_field": ""}, ("amount_field",), "quotes"),
        ({"model": "dynamic", "amount_field": 3}, ("amount_field",), "quotes"),
        ({"model": "percentage", "rate": "1", "included": "5"}, ("included",), "free_events"),
        ({**UNIT, "included": "-5"}, ("included",), "zero or more"),
        ("per_unit", (), "name: value"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_stands(terms: Any, path: tuple[Any, ...], hint: str) -> None:
    error = refusal(terms)
    assert error.path == path
    assert hint in error.hint


@pytest.mark.parametrize(
    ("more", "path", "hint"),
    [
        ({"by": []}, ("by",), ""),
        ({"by": "region", "default": {"unit_amount": "1"}}, ("by",), ""),
        ({"by": ["region", "region"], "default": {"unit_amount": "1"}}, ("by",), ""),
        ({"by": [3], "default": {"unit_amount": "1"}}, ("by", 0), "quotes"),
        ({"by": None, "rates": []}, ("by",), ""),
        ({"rates": []}, ("rates",), "default"),
        ({"rates": [{"unit_amount": "1"}]}, ("rates", 0), "default"),
        ({"rates": [{"match": {}, "unit_amount": "1"}]}, ("rates", 0), "default"),
        ({"rates": [{"match": {"regin": "eu"}, "unit_amount": "1"}]}, ("rates", 0, "match", "regin"), "'region'"),
        ({"rates": [{"match": {"region": 1}, "unit_amount": "1"}]}, ("rates", 0, "match", "region"), "quotes"),
        ({"rates": [{"match": {"region": ""}, "unit_amount": "1"}]}, ("rates", 0, "match", "region"), "quotes"),
        ({"rates": [{"match": {"region": "eu"}, "unit": "1"}]}, ("rates", 0, "unit"), "Known: unit_amount."),
        ({"rates": [{"match": {"region": "eu"}, "unit_amount": "x"}]}, ("rates", 0, "unit_amount"), "quoted"),
        ({"default": {"unit_amount": "x"}}, ("default", "unit_amount"), "quoted"),
        ({"default": {"unit_amount": "1"}, "unit_amount": "1"}, ("unit_amount",), "Known: by, default, rates"),
        ({"unit_amount": "1", "tiers_per": "customer"}, ("tiers_per",), "subscription"),
        (
            {
                "rates": [
                    {"match": {"region": "eu"}, "unit_amount": "1"},
                    {"match": {"region": "eu"}, "unit_amount": "2"},
                ]
            },
            ("rates", 1, "match"),
            "",
        ),
    ],
)
def test_rates_by_dimension_are_read_as_strictly(more: Terms, path: tuple[Any, ...], hint: str) -> None:
    error = refusal({**BY_REGION, **more})
    assert error.path == path
    assert hint in error.hint


def test_rates_without_by_are_refused() -> None:
    assert refusal({"model": "per_unit", "rates": [{"match": {"region": "eu"}, "unit_amount": "1"}]}).path == ("by",)


def test_two_rates_that_tie_need_a_third() -> None:
    """Usage of aws in eu would match both by one dimension: which one wins must not depend on their order."""
    rates = [{"match": {"provider": "aws"}, "unit_amount": "1"}, {"match": {"region": "eu"}, "unit_amount": "2"}]
    terms: Terms = {"model": "per_unit", "by": ["provider", "region"], "rates": rates}
    assert "Add a rate that matches provider=aws, region=eu." in refusal(terms).hint
    rates.append({"match": {"provider": "aws", "region": "eu"}, "unit_amount": "3"})
    price = parse_price(terms)
    assert price.rate_for({"provider": "aws", "region": "eu"}) == PerUnit(D(3))


def test_a_third_rate_that_is_narrower_does_not_settle_a_tie() -> None:
    rates = [
        {"match": {"a": "1"}, "unit_amount": "1"},
        {"match": {"b": "1"}, "unit_amount": "2"},
        {"match": {"a": "1", "b": "1", "c": "1"}, "unit_amount": "3"},
    ]
    assert refusal({"model": "per_unit", "by": ["a", "b", "c"], "rates": rates}).path == ("rates",)


def test_rates_that_cannot_meet_do_not_tie() -> None:
    rates = [
        {"match": {"a": "1", "b": "1"}, "unit_amount": "1"},
        {"match": {"a": "2", "c": "1"}, "unit_amount": "2"},
    ]
    price = parse_price({"model": "per_unit", "by": ["a", "b", "c"], "rates": rates})
    assert price.rate_for({"a": "2", "b": "1", "c": "1"}) == PerUnit(D(2))


def test_tiers_over_all_values_need_one_table() -> None:
    rates = [{"match": {"region": "eu"}, "unit_amount": "1"}, {"match": {"region": "us"}, "unit_amount": "2"}]
    assert refusal({**BY_REGION, "tiers_per": "subscription", "rates": rates}).path == ("tiers_per",)
    same = [{**rate, "unit_amount": "1"} for rate in rates]
    assert parse_price({**BY_REGION, "tiers_per": "subscription", "rates": same}).tiers_per == "subscription"
    other_default = {**BY_REGION, "tiers_per": "subscription", "rates": same, "default": {"unit_amount": "3"}}
    assert refusal(other_default).path == ("tiers_per",)


def test_a_flat_amount_at_zero_usage_needs_someone_to_charge_it_to() -> None:
    """Per value there is no combination that could owe it; over all values there is one charge."""
    terms = {"model": "volume", "by": ["region"], "zero_usage": "first_tier_flat", "tiers": [{"flat_amount": "5"}]}
    assert refusal(terms).path == ("by",)
    assert parse_price({**terms, "tiers_per": "subscription"}).tiers_per == "subscription"


def test_numbers_may_be_texts_whole_numbers_or_decimals() -> None:
    expected = Price("package", default=Package(D("1000"), D("0.5")))
    for size, amount in (("1000", "0.5"), (1000, D("0.5")), ("1e3", "5e-1")):
        assert parse_price({"model": "package", "size": size, "amount": amount}) == expected


def test_null_means_not_given() -> None:
    terms = {"model": "percentage", "rate": "1", "free_events": None, "fixed_amount": None, "included": None}
    assert parse_price(terms) == Price("percentage", default=Percentage(D(1)))
    beside = {"by": None, "rates": None, "default": None, "tiers_per": None}
    assert parse_price({**UNIT, **beside}) == parse_price(UNIT)


def test_tiers_become_a_model() -> None:
    terms = {"model": "graduated", "tiers": [{"up_to": "100", "unit_amount": "0.10"}, {"flat_amount": "5"}]}
    tiers = (Tier(up_to=D(100), unit_amount=D("0.10")), Tier(flat_amount=D(5)))
    assert parse_price(terms) == Price("graduated", default=Graduated(tiers))


def test_reading_changes_nothing_it_is_given() -> None:
    rate = {"match": {"region": "eu"}, "unit_amount": "1"}
    terms: Terms = {**BY_REGION, "rates": [rate], "included": "5"}
    parse_price(terms)
    assert terms == {**BY_REGION, "rates": [{"match": {"region": "eu"}, "unit_amount": "1"}], "included": "5"}


@pytest.mark.parametrize(("name", "model"), PRICE_MODELS.items())
def test_every_model_says_what_it_needs(name: str, model: type[Any]) -> None:
    price = parse_price(model.example.case["price"])
    assert price.model == name
    assert price.needs == model.needs
