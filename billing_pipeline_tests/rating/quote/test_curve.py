"""What a plot of a price shows."""

from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.rating.price_models import PRICE_MODELS
from billing_pipeline.rating.quote.case import quoted_price
from billing_pipeline.rating.quote.curve import Point, curve

D = Decimal
VOLUME = {"model": "volume", "tiers": [{"up_to": "100", "unit_amount": "0.10"}, {"unit_amount": "0.08"}]}


def at(points: list[Point], quantity: str) -> Point:
    (point,) = (point for point in points if point.quantity == D(quantity))
    return point


def test_a_curve_shows_amount_and_effective_unit_price() -> None:
    points = curve(quoted_price(VOLUME), points=3)
    assert [point.quantity for point in points] == [D(0), D(50), D(100), D("100.5"), D(150)]
    assert [point.amount for point in points] == [0, D("5"), D("10"), D("8.04"), D("12")]
    assert [point.unit_amount for point in points] == [None, D("0.1"), D("0.1"), D("0.08"), D("0.08")]


def test_a_bound_is_drawn_on_both_sides() -> None:
    points = curve(quoted_price(VOLUME), points=7)
    step = [point for point in points if D(99) < point.quantity < D(101)]
    assert [point.unit_amount for point in step] == [D("0.1"), D("0.08")]


@pytest.mark.parametrize(
    ("terms", "end"),
    [
        (VOLUME, "150"),
        ({**VOLUME, "included": "50"}, "225"),
        ({**VOLUME, "convert": {"divide_by": "1000"}}, "150000"),
        ({"model": "package", "size": "20", "amount": "1"}, "300"),
        ({"model": "per_unit", "unit_amount": "1"}, "150"),
    ],
)
def test_a_curve_goes_some_way_past_the_last_bound(terms: dict[str, Any], end: str) -> None:
    assert curve(quoted_price(terms))[-1].quantity == D(end)


def test_a_curve_may_end_where_one_likes() -> None:
    points = curve(quoted_price(VOLUME), highest=D(7), points=3)
    assert [points[0].quantity, points[-1].quantity, len(points)] == [0, 7, 4]


def test_a_curve_keeps_to_minimum_and_maximum() -> None:
    points = curve(quoted_price({**VOLUME, "minimum": "1", "maximum": "9"}), points=15)
    assert at(points, "0").amount == 1
    assert max(point.amount for point in points) == 9


def test_a_curve_shows_the_rate_of_its_dimensions() -> None:
    terms = {"model": "per_unit", "by": ["region"], "rates": [{"match": {"region": "eu"}, "unit_amount": "2"}]}
    points = curve(quoted_price(terms), {"region": "eu"}, points=3)
    assert points[-1].amount == 300


@pytest.mark.parametrize("model", PRICE_MODELS.values(), ids=PRICE_MODELS.keys())
def test_every_model_can_be_drawn(model: type[Any]) -> None:
    points = curve(quoted_price(model.example.case["price"]), points=20)
    quantities = [point.quantity for point in points]
    assert quantities == sorted(set(quantities))
    assert len(points) >= 20
    assert points[0].unit_amount is None
