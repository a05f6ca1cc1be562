"""Unit conversion: which units are priced, and what happens to a part of one."""

from decimal import Decimal
from typing import Literal

import pytest

from billing_pipeline.catalog.meter import Convert
from billing_pipeline.core.errors import RatingError
from billing_pipeline.rating.cost import convert

D = Decimal
Round = Literal["up", "down", "nearest", "none"]


@pytest.mark.parametrize(
    ("quantity", "divide_by", "how", "units"),
    [
        ("2500", "1000", "none", "2.5"),
        ("2500", "1000", "up", "3"),
        ("2500", "1000", "down", "2"),
        ("2500", "1000", "nearest", "3"),  # half a unit is rounded up
        ("2499", "1000", "nearest", "2"),
        ("2000", "1000", "up", "2"),
        ("0", "1000", "up", "0"),
        ("0.000000000001", "1000", "up", "1"),
        ("1", "3", "up", "1"),
        ("1", "3", "down", "0"),
        ("3", "3", "down", "1"),
        ("1.5", "3", "nearest", "1"),
        ("1073741824", "1073741824", "none", "1"),
        ("1", "1073741824", "none", "0.000000000931322574615478515625"),
        ("5", "0.5", "none", "10"),
        ("999999999999999999.999999999999", "1000000000000000000", "up", "1"),
        ("999999999999999999.999999999999", "3", "down", "333333333333333333"),
    ],
)
def test_units(quantity: str, divide_by: str, how: Round, units: str) -> None:
    assert convert(D(quantity), Convert(D(divide_by), how)) == D(units)


def test_without_a_conversion_a_quantity_is_what_it_is() -> None:
    assert convert(D("1.50"), None) == D("1.50")


def test_a_quantity_without_end_is_carried_to_sixty_decimals() -> None:
    assert convert(D(1), Convert(D(3600))) == D("0.000" + "2" + "7" * 55 + "8")


def test_a_quantity_with_more_digits_than_any_number_is_an_error() -> None:
    with pytest.raises(RatingError, match="more digits"):
        convert(D("1E+999999"), Convert(D("0.000000000001")))
