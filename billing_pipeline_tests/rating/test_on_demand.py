"""On-demand phases: what each invoice is when a cumulative quantity has reached this and that."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.catalog.meter import Convert
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.money import Money, Rounding
from billing_pipeline.metering.measurement import Step
from billing_pipeline.rating.on_demand import START, OnDemandPrice, invoices, next_invoice, running_amounts
from billing_pipeline.rating.price import parse_price

D = Decimal
TIERS = [{"up_to": "100", "unit_amount": "1.00"}, {"unit_amount": "0.80"}]
FLAT = [
    {"up_to": "10", "unit_amount": "2", "flat_amount": "5"},
    {"up_to": "20", "unit_amount": "1", "flat_amount": "7"},
    {"unit_amount": "0.50", "flat_amount": "9"},
]


def billed(terms: dict[str, Any], quantities: str, currency: str = "USD") -> str:
    due = running_amounts(OnDemandPrice(parse_price(terms)), [D(quantity) for quantity in quantities.split()])
    return " ".join(str(money) for money in invoices(due, currency))


@pytest.mark.parametrize(
    ("terms", "quantities", "amounts"),
    [
        ({"model": "graduated", "tiers": TIERS}, "80 120", "80.00 36.00"),  # the worked example of on-demand billing
        ({"model": "volume", "tiers": TIERS}, "80 120", "80.00 32.00"),  # and its volume variant
        ({"model": "graduated", "tiers": TIERS}, "", ""),
        ({"model": "graduated", "tiers": TIERS}, "120 80", "116.00 -36.00"),
        ({"model": "graduated", "tiers": TIERS, "included": "100"}, "80 120 200", "0.00 20.00 80.00"),
        ({"model": "package", "size": "10", "amount": "3"}, "1 10 11 25", "3.00 0.00 3.00 3.00"),
        (
            {"model": "stairstep", "tiers": [{"up_to": "10", "flat_amount": "5"}, {"flat_amount": "8"}]},
            "1 9 11 8",
            "5.00 0.00 3.00 -3.00",
        ),
        (
            {"model": "per_unit", "unit_amount": "0.004"},
            "1 2 3 4 5",
            "0.00 0.01 0.00 0.01 0.00",
        ),  # rounding is carried on
        ({"model": "per_unit", "unit_amount": "0.005"}, "1 1 2 1 0", "0.01 0.00 0.00 0.00 -0.01"),  # no cent to and fro
        # Volume: new units at the tier reached, its flat amount on entry and once a phase.
        ({"model": "volume", "tiers": FLAT}, "5 12 25", "15.00 14.00 15.50"),
        ({"model": "volume", "tiers": FLAT}, "25", "21.50"),  # only the tier reached is entered
        ({"model": "volume", "tiers": FLAT}, "5 12 5 12", "15.00 14.00 -7.00 7.00"),  # entered again, not cost again
        ({"model": "volume", "tiers": FLAT}, "5 12 3 0", "15.00 14.00 -11.00 -6.00"),
        ({"model": "volume", "tiers": FLAT}, "5 5 4 4", "15.00 0.00 -2.00 0.00"),
        ({"model": "volume", "tiers": FLAT, "included": "5"}, "5 10 17", "0.00 15.00 14.00"),
        # 12, then 13 units: 25 end in the third tier, all 13 of them at its rate. What is taken back is of the highest
        # tier billed, whatever came last: 8 of the 13, then the other 5 and 7 of the 12 before them.
        ({"model": "volume", "tiers": FLAT}, "12 25 17 5", "19.00 15.50 -4.00 -9.50"),
        ({"model": "volume", "tiers": FLAT}, "25 5 12 10", "21.50 -10.00 14.00 -1.00"),  # 5 are left in the third tier
        # O10 of the field's cases: a package begun in one window is not begun again in the next.
        ({"model": "package", "size": "1000", "amount": "5"}, "400 700", "5.00 0.00"),
        # Percentages: each rise is an event, in the order of arrival; a fall takes back of the last ones.
        ({"model": "percentage", "rate": "1.5", "fixed_amount": "0.30"}, "20 119.95", "0.60 1.80"),
        ({"model": "percentage", "rate": "1", "free_events": 1}, "500 600 650", "0.00 1.00 0.50"),
        ({"model": "percentage", "rate": "1", "free_amount": "150"}, "100 200 150", "0.00 0.50 -0.50"),
        ({"model": "percentage", "rate": "1", "minimum_per_event": "2"}, "100 400 0", "2.00 3.00 -5.00"),
        ({"model": "dynamic", "multiplier": "1.2"}, "3.50 3.625", "4.20 0.15"),
        ({"model": "volume", "tiers": FLAT, "zero_usage": "first_tier_flat"}, "0 5 12", "5.00 10.00 14.00"),
        ({"model": "volume", "tiers": FLAT}, "-5 5", "0.00 15.00"),
    ],
)
def test_invoices(terms: dict[str, Any], quantities: str, amounts: str) -> None:
    assert billed(terms, quantities) == amounts


def test_currencies_round_their_own_way() -> None:
    assert billed({"model": "per_unit", "unit_amount": "0.4"}, "1 2 3 4 5", "JPY") == "0 1 0 1 0"
    due = [D("0.005"), D("0.010")]
    assert [str(money) for money in invoices(due, "USD", Rounding.HALF_EVEN)] == ["0.00", "0.01"]


def test_the_next_invoice_makes_good_what_earlier_ones_rounded_away() -> None:
    earlier = Money(66, "USD")
    assert next_invoice(D("1.00"), earlier, Rounding.HALF_UP) == Money(34, "USD")
    assert next_invoice(D("0.50"), earlier, Rounding.HALF_UP) == Money(-16, "USD")


def test_conversion_looks_at_the_cumulative_quantity() -> None:
    """Started thousands count once a phase: 400 and 300 more are one, whatever the windows."""
    price = OnDemandPrice(
        parse_price({"model": "per_unit", "unit_amount": "5"}), (Convert(divide_by=D(1000), round="up"),)
    )
    assert running_amounts(price, [D(400), D(700), D(1100)]) == (D(5), D(5), D(10))
    volume = replace(price, price=parse_price({"model": "volume", "tiers": TIERS}))
    assert running_amounts(volume, [D(400), D(700), D(1100)]) == (D("1.00"), D("1.00"), D("2.00"))


def test_an_event_that_was_free_gives_its_place_to_the_next_one() -> None:
    """What is billed stands: the second event has paid, and the third one is free in the place of the first."""
    price = OnDemandPrice(parse_price({"model": "percentage", "rate": "1", "fixed_amount": "0.30", "free_events": 1}))
    first = price.after(START, [Step(1, 1, D(500), counts=True), Step(2, 2, D(100), counts=True)])
    retracted = price.after(first, [Step(3, 1, D(500), counts=False)])
    third = price.after(retracted, [Step(4, 4, D(900), counts=True), Step(5, 5, D(10), counts=True)])
    assert [first.due, retracted.due, third.due] == [D("1.30"), D("1.30"), D("1.70")]
    assert third.quantity == D(1010)


def test_dimensions_choose_the_rate() -> None:
    price = parse_price(
        {"model": "per_unit", "by": ["region"], "rates": [{"match": {"region": "eu"}, "unit_amount": "2"}]}
    )
    assert running_amounts(OnDemandPrice(price), [D(1), D(3)], {"region": "eu"}) == (D(2), D(6))
    with pytest.raises(RatingError, match="No rate matches"):
        running_amounts(OnDemandPrice(price), [D(1)], {"region": "us"})


def test_an_amount_too_large_is_an_error() -> None:
    price = parse_price({"model": "per_unit", "unit_amount": "0.000000000001"})
    with pytest.raises(RatingError, match="larger than any bill"):
        running_amounts(OnDemandPrice(price), [D("1" * 100 + ".1")])
