"""The field's own worked examples, to the last digit: each row names the documentation that it is from."""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from billing_pipeline.rating.price_models import PRICE_MODELS
from billing_pipeline.rating.quote.quote import quote

D = Decimal

FOLDER = Path(__file__).parent / "worked_examples"
Row = dict[str, Any]


def rows() -> list[Row]:
    """All rows; scalars stay text, so that no figure passes through a binary float."""
    rows: list[Row] = []
    for file in sorted(FOLDER.glob("*.yaml")):
        table = yaml.load(file.read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - it makes strings, lists and mappings
        rows += [{**row, "source": table["sources"][row["source"]]} for row in table["rows"]]
    return rows


ROWS = rows()


def case(row: Row) -> Row:
    """The quote case of a row: ``values`` and ``amounts`` are events in short."""
    given: Row = {
        key: row[key]
        for key in ("price", "meter", "quantity", "cumulative", "dimensions", "events", "currency")
        if key in row
    }
    if "values" in row:
        given["events"] = [{"value": value} for value in row["values"]]
    if "amounts" in row:
        given["events"] = [{"value": "1", "dimensions": {"amount": amount}} for amount in row["amounts"]]
    return given


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['source'].split(',')[0]}-{row['price']['model']}")
def test_worked_example(row: Row) -> None:
    result = quote(case(row))
    assert "error" not in result, row["source"]
    if "amount" in row:
        assert D(str(result["amount"])) == D(row["amount"]), row["source"]
    if "rounded" in row:
        assert D(str(result["rounded"])) == D(row["rounded"]), row["source"]
    if "invoices" in row:
        assert result["amounts"] == [f"{D(amount):.2f}" for amount in row["invoices"]], row["source"]


def test_every_row_expects_something() -> None:
    assert all({"amount", "rounded"} & row.keys() for row in ROWS)


def test_the_tables_are_broad() -> None:
    by_model = Counter(row["price"]["model"] for row in ROWS)
    assert by_model.keys() <= PRICE_MODELS.keys()
    assert len(by_model) >= 8
    assert min(by_model.values()) >= 8, by_model
    assert len(ROWS) >= 200
