"""A new price model is a file and a line: whatever reads, rates, explains, draws or documents prices knows it then."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import pytest

from billing_pipeline.catalog.price_terms import price_schema
from billing_pipeline.rating.cost import cost_of
from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price import parse_price
from billing_pipeline.rating.price_models import PRICE_MODELS, Example, QuantityModel
from billing_pipeline.rating.quote.case import quoted_price
from billing_pipeline.rating.quote.curve import curve
from billing_pipeline.rating.quote.quote import quote
from billing_pipeline_tests.rating.amounts import amount_of
from docs.build import prices

D = Decimal
TERMS = {"model": "committed", "unit_amount": "0.50", "at_least": "10"}


@dataclass(frozen=True, slots=True)
class Committed(QuantityModel):
    """A number of units is paid for, used or not.

    Attributes:
        unit_amount: major units per unit.
        at_least: units that are paid for also where fewer were used.
    """

    unit_amount: Decimal
    at_least: Decimal

    example: ClassVar = Example({"price": TERMS, "quantity": "4"}, "5", "10 units are paid for, at 0.50 each")

    def details(self, quantity: Decimal) -> tuple[LineDetail, ...]:
        """What was used, or the commitment."""
        paid = max(quantity, self.at_least)
        return (LineDetail("committed units", paid, self.unit_amount, paid * self.unit_amount),)


@pytest.fixture(autouse=True)
def _line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line."""
    monkeypatch.setitem(PRICE_MODELS, "committed", Committed)


def test_it_is_rated_and_explained() -> None:
    price = parse_price(TERMS)
    assert cost_of(price, D(4)).amount == amount_of(price, D(4)) == D(5)
    assert amount_of(price, D(40)) == D(20)
    assert quote({"price": {**TERMS, "included": "3", "maximum": "6"}, "quantity": "23"})["amount"] == "6.00"


def test_its_fields_are_read_strictly() -> None:
    error = quote({"price": {"model": "committed", "unit_amount": "1", "at_leas": "1"}, "quantity": "1"})["error"]
    assert (error["field"], error["hint"]) == ("price.at_leas", "Did you mean 'at_least'?")  # type: ignore[index]
    error = quote({"price": {"model": "committed", "unit_amount": "1"}, "quantity": "1"})["error"]
    assert "'at_least' is missing" in error["message"]  # type: ignore[index]


def test_it_goes_by_dimension_and_on_demand() -> None:
    rate = {"match": {"region": "eu"}, "unit_amount": "0.50", "at_least": "10"}
    by_region = {"model": "committed", "by": ["region"], "rates": [rate]}
    events = [{"value": "20", "dimensions": {"region": "eu"}}]
    assert quote({"price": by_region, "events": events})["amount"] == "10.00"
    assert quote({"price": TERMS, "cumulative": ["4", "30"]})["amounts"] == ["5.00", "10.00"]


def test_editors_complete_it() -> None:
    assert price_schema(PRICE_MODELS)["properties"]["at_least"]["description"].startswith("units that are paid for")


def test_it_is_drawn() -> None:
    points = curve(quoted_price(TERMS), highest=D(20), points=2)
    assert [point.amount for point in points if point.quantity in {D(0), D(20)}] == [D(5), D(10)]


def test_its_page_is_written_from_it() -> None:
    section = prices.page().partition("\n### `committed`\n")[2].partition("\n### ")[0]
    assert "A number of units is paid for, used or not." in section
    assert "| `at_least` | required | units that are paid for also where fewer were used. |" in section
    assert "| committed units | 10 | 0.50 | 5.00 |" in section


def test_without_an_example_there_is_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Committed, "example")
    with pytest.raises(AttributeError, match="example"):
        prices.page()
