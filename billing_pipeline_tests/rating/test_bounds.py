"""Minimum and maximum spend, and the part of them that falls on a part of a period."""

from decimal import Decimal

import pytest

from billing_pipeline.core.errors import CatalogError, RatingError
from billing_pipeline.core.money import Money, Rounding
from billing_pipeline.rating.bounds import check_bounds, prorated, true_up

D = Decimal


@pytest.mark.parametrize(
    ("lines", "minimum", "maximum", "moved"),
    [
        ([], None, None, 0),
        ([], "10", None, 1000),  # no usage, the minimum is due
        ([400, 300], "10", None, 300),
        ([400, 600], "10", None, 0),
        ([400, 601], "10", None, 0),
        ([400, 601], None, "10", -1),
        ([400, 601], "10", "10", -1),
        ([400], "10", "10", 600),
        ([-400], "0", None, 400),
        ([1], "0.005", None, 0),  # the bound is rounded like any amount
        ([0], "0.005", None, 1),
        ([334, 333], "6.666", None, 0),
    ],
)
def test_true_up_is_the_rounded_bound_less_the_rounded_lines(
    lines: list[int], minimum: str | None, maximum: str | None, moved: int
) -> None:
    money = [Money(line, "USD") for line in lines]
    low, high = (None if bound is None else D(bound) for bound in (minimum, maximum))
    assert true_up(money, "USD", minimum=low, maximum=high) == Money(moved, "USD")


def test_bounds_round_as_the_account_says() -> None:
    assert true_up([], "USD", minimum=D("0.005"), rounding=Rounding.HALF_EVEN) == Money(0, "USD")
    assert true_up([], "JPY", minimum=D("0.5")) == Money(1, "JPY")


@pytest.mark.parametrize(
    ("whole", "days", "of", "part"),
    [("31", 10, 31, "10"), ("100", 15, 30, "50"), ("100", 0, 30, "0"), ("100", 30, 30, "100"), ("0", 3, 7, "0")],
)
def test_a_part_of_a_period_has_its_part(whole: str, days: int, of: int, part: str) -> None:
    assert prorated(D(whole), days, of) == D(part)


def test_a_part_without_a_last_digit_is_carried() -> None:
    assert prorated(D(100), 10, 31) == D("32." + "258064516129032" * 4)
    assert true_up([], "USD", minimum=prorated(D(100), 10, 31)) == Money(3226, "USD")
    # A sixth of 0.03 is a tie between two cents, found again although a third has no last digit.
    assert true_up([], "USD", minimum=prorated(prorated(D("0.03"), 1, 3), 1, 2)) == Money(1, "USD")


def test_a_part_is_no_more_than_the_whole() -> None:
    with pytest.raises(AssertionError):
        prorated(D(1), 32, 31)


def test_bounds_may_meet_but_not_cross() -> None:
    check_bounds(None, None)
    check_bounds(D(1), None)
    check_bounds(None, D(1))
    check_bounds(D(1), D(1))
    with pytest.raises(CatalogError, match="exceeds the maximum") as raised:
        check_bounds(D(2), D(1))
    assert raised.value.path == ("minimum",)


def test_a_bound_too_large_is_an_error() -> None:
    with pytest.raises(RatingError, match="larger than any bill"):
        true_up([], "USD", minimum=D("1E21"))
