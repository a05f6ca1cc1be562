"""The reasons of a line between two cumulative quantities."""

from decimal import Decimal

import pytest

from billing_pipeline.rating.cost import Cost, cost_between, cost_of
from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price import parse_price

D = Decimal
GRADUATED = parse_price(
    {
        "model": "graduated",
        "included": "10",
        "tiers": [{"up_to": "100", "unit_amount": "1"}, {"unit_amount": "0.5", "flat_amount": "9"}],
    }
)


@pytest.mark.parametrize(
    ("before", "after", "details"),
    [
        (0, 0, []),
        (5, 8, [("included", 3, 0)]),
        (0, 60, [("included", 10, 0), ("up to 100", 50, 50)]),
        (60, 60, []),
        (60, 130, [("up to 100", 50, 50), ("over 100", 20, 10), ("over 100: flat amount", 1, 9)]),
        (130, 150, [("over 100", 20, 10)]),
        (130, 60, [("up to 100", -50, -50), ("over 100", -20, -10), ("over 100: flat amount", -1, -9)]),
    ],
)
def test_only_what_changed_is_a_reason(before: int, after: int, details: list[tuple[str, int, int]]) -> None:
    part = cost_between(cost_of(GRADUATED, D(before)), cost_of(GRADUATED, D(after)))
    assert {(d.description, int(d.quantity), int(d.amount)) for d in part.details} == set(details)
    assert part.amount == sum(amount for _, _, amount in details)


def test_a_step_replaces_the_one_below() -> None:
    price = parse_price({"model": "stairstep", "tiers": [{"up_to": "10", "flat_amount": "5"}, {"flat_amount": "8"}]})
    part = cost_between(cost_of(price, D(5)), cost_of(price, D(11)))
    assert part == Cost(
        D(3),
        (
            LineDetail("step over 10", D(1), D(8), D(8)),
            LineDetail("step up to 10", D(-1), D(5), D(-5)),
        ),
    )
