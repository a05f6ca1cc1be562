"""docs/prices.md says what the code does: every model and aggregation, with an example that is rated here."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.rating.price_fields import term_types
from billing_pipeline.rating.price_models import PRICE_MODELS, Example
from billing_pipeline.rating.quote.aggregates import AGGREGATES
from billing_pipeline.rating.quote.quote import quote
from docs.build.examples import GENERAL
from docs.build.prices import PAGE, page

ROOT = Path(__file__).parents[2]
EXAMPLES: dict[str, Example | None] = {
    **{name: getattr(model, "example", None) for name, model in PRICE_MODELS.items()},
    **{name: aggregate.example for name, aggregate in AGGREGATES.items()},
    **{title: example for title, _, example in GENERAL},
}


@pytest.mark.parametrize(("name", "example"), EXAMPLES.items())
def test_every_example_is_rated_as_it_says(name: str, example: Example | None) -> None:
    assert example is not None, f"{name} has no example"
    assert Decimal(str(quote(example.case)["amount"])) == Decimal(example.amount)
    assert example.because


@pytest.mark.parametrize(("name", "model"), PRICE_MODELS.items())
def test_the_example_of_a_model_is_its_own(name: str, model: type[Any]) -> None:
    assert model.example.case["price"]["model"] == name


@pytest.mark.parametrize(("name", "model"), PRICE_MODELS.items())
def test_every_field_of_a_model_is_explained(name: str, model: type[Any]) -> None:
    section = page().partition(f"\n### `{name}`\n")[2].partition("\n### ")[0]
    for field in term_types(model):
        assert f"| `{field}` |" in section


def test_the_page_is_current() -> None:
    written = (ROOT / PAGE).read_text(encoding="utf-8")
    assert written == page(), "run python -m docs.build.prices"
