"""The quote format, a contract with other programs: what goes in, what comes out, and what a bad case gives."""

from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.core.money import Rounding
from billing_pipeline.rating.quote.quote import quote

D = Decimal
Case = dict[str, Any]
VOLUME = {"model": "volume", "tiers": [{"up_to": "100", "unit_amount": "0.10"}, {"unit_amount": "0.08"}]}
UNIT = {"model": "per_unit", "unit_amount": "1"}
BY_REGION = {
    "model": "per_unit",
    "by": ["region"],
    "rates": [{"match": {"region": "eu"}, "unit_amount": "0.105"}, {"match": {"region": "us"}, "unit_amount": "0.205"}],
}


def test_the_worked_examples_of_the_format() -> None:
    """Its three cases, and the result it prints for the first."""
    assert quote({"id": "a", "currency": "USD", "price": VOLUME, "quantity": "140"}) == {
        "id": "a",
        "quantity": "140",
        "amount": "11.20",
        "rounded": "11.20",
        "details": [{"description": "over 100", "quantity": "140", "unit_amount": "0.08", "amount": "11.20"}],
    }
    percentage = {"model": "percentage", "rate": "1.5", "fixed_amount": "0.30"}
    result = quote({"id": "b", "currency": "USD", "price": percentage, "events": [{"value": "20"}, {"value": "99.95"}]})
    assert (result["quantity"], result["amount"], result["rounded"]) == ("119.95", "2.39925", "2.40")
    event = {"timestamp": "2026-01-01T10:00:00Z", "value": "3", "dimensions": {"region": "eu"}}
    price = {"model": "per_unit", "unit_amount": "2"}
    meter = {"aggregation": "max", "window": "day"}
    assert quote({"currency": "USD", "meter": meter, "price": price, "events": [event]})["rounded"] == "6.00"


def test_on_demand_invoices_are_listed_in_order() -> None:
    assert quote({"id": 7, "price": {**VOLUME, "included": "20"}, "cumulative": ["100", "140"]}) == {
        "id": 7,
        "quantity": "140",
        "amount": "11.20",
        "rounded": "11.20",
        "details": [
            {"description": "invoice 1", "quantity": "100", "unit_amount": None, "amount": "8.00"},
            {"description": "invoice 2", "quantity": "40", "unit_amount": None, "amount": "3.20"},
        ],
        "amounts": ["8.00", "3.20"],
    }
    assert quote({"price": UNIT, "cumulative": []})["amounts"] == []


@pytest.mark.parametrize(
    ("quantity", "unit_amount", "currency", "amount", "rounded"),
    [
        ("3", "1", "USD", "3.00", "3.00"),
        ("3", "1", "JPY", "3", "3"),
        ("3", "1.5", "JPY", "4.5", "5"),
        ("3", "1.2300", "KWD", "3.690", "3.690"),
        ("1.5", "0.000001", "USD", "0.0000015", "0.00"),
        ("1e3", "1e-3", "USD", "1.00", "1.00"),
        ("1000000000000000000", "1", "USD", "1000000000000000000.00", "1000000000000000000.00"),
        ("0", "1", "USD", "0.00", "0.00"),
    ],
)
def test_amounts_are_exact_texts_in_major_units(
    quantity: str, unit_amount: str, currency: str, amount: str, rounded: str
) -> None:
    price = {"model": "per_unit", "unit_amount": unit_amount}
    result = quote({"currency": currency, "price": price, "quantity": quantity})
    assert (result["amount"], result["rounded"]) == (amount, rounded)


def test_a_case_without_currency_or_rounding_takes_the_account_s() -> None:
    case = {"price": UNIT, "quantity": "0.5"}
    assert quote(case, currency="JPY")["rounded"] == "1"
    assert quote(case, currency="JPY", rounding=Rounding.HALF_EVEN)["rounded"] == "0"
    assert quote({**case, "currency": "USD", "rounding": "half_up"}, currency="JPY")["rounded"] == "0.50"


def test_each_combination_of_values_is_a_line_rounded_on_its_own() -> None:
    events = [{"value": "1", "dimensions": {"region": region}} for region in ("us", "eu", "us")]
    result = quote({"price": BY_REGION, "events": events})
    assert result["amount"] == "0.515"
    assert result["rounded"] == "0.52"  # 0.105 is 0.11, 0.41 is 0.41
    assert [detail["description"] for detail in result["details"]] == [  # type: ignore[attr-defined]
        "region=eu: all units",
        "region=us: all units",
    ]


def test_events_that_share_the_default_are_one_line() -> None:
    price = {**BY_REGION, "default": {"unit_amount": "1"}}
    events = [{"value": "1", "dimensions": {"region": region}} for region in ("ap", "sa")] + [{"value": "1"}]
    assert quote({"price": price, "events": events})["details"] == [
        {"description": "all units", "quantity": "3", "unit_amount": "1", "amount": "3.00"}
    ]


def test_the_maximum_of_a_region_is_not_the_maximum_over_all() -> None:
    events = [{"value": value, "dimensions": {"region": region}} for value, region in (("3", "eu"), ("5", "us"))]
    price = {"model": "per_unit", "unit_amount": "1"}
    meter = {"aggregation": "max"}
    assert quote({"meter": meter, "price": price, "events": events})["quantity"] == "5"
    assert quote({"meter": meter, "price": {**price, "by": ["region"]}, "events": events})["quantity"] == "8"
    whole = {**price, "by": ["region"], "tiers_per": "subscription"}
    assert quote({"meter": meter, "price": whole, "events": events})["quantity"] == "8"


def test_free_events_over_all_values_count_in_the_order_of_time() -> None:
    price = {"model": "percentage", "rate": "10", "free_events": 1, "by": ["region"]}
    events = [
        {"timestamp": f"2026-01-0{day}T00:00:00Z", "value": value, "dimensions": {"region": region}}
        for day, value, region in ((3, "10", "eu"), (1, "20", "us"), (2, "30", "eu"))
    ]
    assert quote({"price": price, "events": events})["amount"] == "1.00"  # one free in each region
    assert quote({"price": {**price, "tiers_per": "subscription"}, "events": events})["amount"] == "4.00"


def test_a_quantity_may_name_its_dimensions() -> None:
    case = {"price": BY_REGION, "quantity": "2", "dimensions": {"region": "eu"}}
    assert quote(case)["amount"] == "0.21"
    assert "No rate matches region=." in quote({**case, "dimensions": {}})["error"]["message"]  # type: ignore[index]


def test_included_minimum_maximum_and_conversion_stand_inside_the_price() -> None:
    price = {**UNIT, "included": "1", "minimum": "2", "maximum": "3", "convert": {"divide_by": "10", "round": "up"}}
    amounts = [quote({"price": price, "quantity": quantity})["amount"] for quantity in ("0", "25", "35", "1000")]
    assert amounts == ["2.00", "2.00", "3.00", "3.00"]


def test_no_usage_reaches_the_minimum() -> None:
    true_up = {"description": "minimum spend", "quantity": "1", "unit_amount": None, "amount": "5.00"}
    assert quote({"price": {**BY_REGION, "minimum": "5"}, "events": []})["details"] == [true_up]


def test_meter_and_price_may_both_convert() -> None:
    meter = {"aggregation": "sum", "convert": {"divide_by": "10"}}
    price = {**UNIT, "convert": {"divide_by": "2"}}
    for usage in ({"events": [{"value": "100"}]}, {"quantity": "100"}, {"cumulative": ["100"]}):
        assert quote({"meter": meter, "price": price, **usage})["amount"] == "5.00"


def test_single_events_convert_without_rounding() -> None:
    price = {"model": "percentage", "rate": "1", "fixed_amount": "0.10", "convert": {"divide_by": "100"}}
    events = [{"value": "1050"}, {"value": "50"}]  # cents
    assert quote({"price": price, "events": events})["amount"] == "0.31"
    rounded = {**price, "convert": {"divide_by": "100", "round": "up"}}
    assert "without rounding" in quote({"price": rounded, "events": events})["error"]["message"]  # type: ignore[index]


def test_a_dynamic_amount_that_is_missing_is_never_zero() -> None:
    events = [{"value": "1", "dimensions": {"cost": "1.5"}}, {"value": "1"}]
    price = {"model": "dynamic", "amount_field": "cost"}
    assert "Event 2 has no 'cost'." in quote({"price": price, "events": events})["error"]["message"]  # type: ignore[index]
    events[1] = {"value": "1", "dimensions": {"cost": "much"}}
    assert quote({"price": price, "events": events})["error"]["field"] == "events.1.dimensions.cost"  # type: ignore[index]
    events[1] = {"value": "1", "dimensions": {"cost": "-0.5"}}
    assert quote({"price": price, "events": events})["amount"] == "1.00"


def error_of(case: Any) -> dict[str, str]:
    result = quote(case)
    assert set(result) <= {"id", "error"}
    error = result["error"]
    assert isinstance(error, dict)
    return error


@pytest.mark.parametrize(
    ("case", "code", "field", "message"),
    [
        ([], "catalog_error", None, "[] has no fields."),
        ("x", "catalog_error", None, "'x' has no fields."),
        ({}, "catalog_error", None, "A case has a price"),
        ({"quantity": "1"}, "catalog_error", None, "A case has a price"),
        ({"price": UNIT}, "catalog_error", None, "one of quantity, events and cumulative"),
        ({"price": UNIT, "quantity": "1", "cumulative": ["1"]}, "catalog_error", None, "one of quantity"),
        ({"price": UNIT, "qantity": "1"}, "catalog_error", "qantity", "Unknown field"),
        ({"price": UNIT, "quantity": "x"}, "catalog_error", "quantity", "no exact number"),
        ({"price": UNIT, "quantity": None}, "catalog_error", None, "A case has a price"),
        ({"price": UNIT, "cumulative": ["1", "x"]}, "catalog_error", "cumulative.1", "no exact number"),
        ({"price": UNIT, "cumulative": "1"}, "catalog_error", "cumulative", "no list"),
        ({"price": UNIT, "events": [1]}, "catalog_error", "events.0", "no fields"),
        ({"price": UNIT, "events": [], "currency": "USX"}, "catalog_error", None, "ISO 4217"),
        ({"price": UNIT, "quantity": "1", "rounding": "up"}, "catalog_error", "rounding", "not one of"),
        ({"price": UNIT, "quantity": "1", "dimensions": []}, "catalog_error", "dimensions", "no fields"),
        ({"price": UNIT, "quantity": "1", "period_end": "soon"}, "catalog_error", "period_end", "neither"),
        (
            {"price": UNIT, "quantity": "1", "meter": {"aggregation": "sum", "window": "week"}},
            "catalog_error",
            "meter.window",
            "not one of",
        ),
        (
            {"price": UNIT, "quantity": "1", "meter": {}},
            "catalog_error",
            "meter.aggregation",
            "'aggregation' is missing.",
        ),
        ({"price": [], "quantity": "1"}, "catalog_error", "price", "no fields"),
        ({"price": {**UNIT, "minimum": "-1"}, "quantity": "1"}, "catalog_error", "price.minimum", "negative"),
        (
            {"price": {**UNIT, "minimum": "2", "maximum": "1"}, "quantity": "1"},
            "catalog_error",
            "price.minimum",
            "exceeds",
        ),
        (
            {"price": {**UNIT, "convert": {"divide_by": "0"}}, "quantity": "1"},
            "catalog_error",
            "price.convert.divide_by",
            "greater than 0",
        ),
        (
            {"price": {"model": "volume", "tiers": [{"up_to": "5"}]}, "quantity": "1"},
            "catalog_error",
            "price.tiers.0",
            "missing",
        ),
        ({"price": {**UNIT, "minimum": "1"}, "cumulative": ["1"]}, "catalog_error", "price", "no minimum or maximum"),
        ({"price": {"model": "percentage", "rate": "1"}, "quantity": "1"}, "rating_error", None, "needs the events"),
        ({"price": BY_REGION, "quantity": "1"}, "rating_error", None, "No rate matches"),
        ({"price": UNIT, "quantity": "1e21"}, "rating_error", None, "larger than any bill"),
        ({"price": UNIT, "quantity": "1e99"}, "rating_error", None, "larger than any bill"),
    ],
)
def test_a_bad_case_gives_an_error(case: Any, code: str, field: str | None, message: str) -> None:
    error = error_of(case)
    assert error["code"] == code
    assert error.get("field") == field
    assert message in error["message"]


def test_a_price_with_other_numbers_is_another_price() -> None:
    """Prices are remembered by their text; what reads alike but is no exact number must not be taken for it."""
    prices = [{"model": "per_unit", "unit_amount": value} for value in ("1", 1, D(1), "2", 1.0, True)]
    amounts = [quote({"price": price, "quantity": "1"}).get("amount") for price in prices]
    assert amounts == ["1.00", "1.00", "1.00", "2.00", None, None]
