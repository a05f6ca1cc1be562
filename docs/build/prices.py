"""Writes docs/prices.md from the models' and aggregations' own docstrings and worked examples.

``python -m docs.build.prices`` writes the page anew; a test says when that is due.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from decimal import Decimal
from inspect import cleandoc
from pathlib import Path
from typing import Any, get_args, get_origin

from billing_pipeline.rating.price_fields import term_types
from billing_pipeline.rating.price_models import PRICE_MODELS, Example, PriceModel
from billing_pipeline.rating.quote.aggregates import AGGREGATES
from billing_pipeline.rating.quote.quote import quote
from docs.build.examples import GENERAL

PAGE = Path("docs/prices.md")

_INTRODUCTION = """\
# Prices and aggregations

Every price model and every aggregation, with a worked example that the tests rate. This page is written by
`python -m docs.build.prices` from the code's own tables; edit the docstrings and examples there.

All amounts are exact decimals in major units. `up_to` is inclusive and quantities may be fractional. The order is: unit
conversion, included units, the model, minimum and maximum spend. Rounding happens once, on each line; a quotient
without a last digit (a third, an hour in seconds) is carried to 60 decimals before, which never changes a bill.

Each example is a case for `billing quote --jsonl`; a price is written the same way in a plan, where `included`,
`minimum`, `maximum` and `convert` stand beside `price`.
"""


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, *_general(), *_models(), *_aggregations()]
    return "\n".join(parts).rstrip() + "\n"


def _general() -> Iterator[str]:
    yield "## What goes with every model\n"
    for title, text, example in GENERAL:
        yield f"### {title}\n\n{text}\n\n{_worked(example)}"


def _models() -> Iterator[str]:
    yield "## Price models\n"
    for name, model in PRICE_MODELS.items():
        summary, attributes = _docstring(model)
        yield f"### `{name}`\n\n{summary}\n\n{_fields(model, attributes)}\n{_worked(model.example)}"


def _aggregations() -> Iterator[str]:
    yield "## Aggregations\n"
    for name, aggregate in AGGREGATES.items():
        yield f"### `{name}`\n\n{_markdown(aggregate.of.__doc__)}\n\n{_worked(aggregate.example)}"


def _worked(example: Example) -> str:
    """The case, its details as a table, and the arithmetic in words."""
    result = quote(example.case)
    rows = [
        f"| {d['description']} | {d['quantity']} | {d['unit_amount'] or ''} | {d['amount']} |" for d in _details(result)
    ]
    table = ["| for | quantity | unit amount | amount |", "|---|--:|--:|--:|", *rows]
    table.append(f"| **{result['quantity']} in all** | | | **{result['amount']}** |")
    case = json.dumps(example.case, ensure_ascii=False)
    return f"```json\n{case}\n```\n\n" + "\n".join(table) + f"\n\n{example.because[0].upper()}{example.because[1:]}.\n"


def _details(result: Mapping[str, Any]) -> list[dict[str, str]]:
    return list(result["details"])


def _fields(kind: type[Any], attributes: Mapping[str, str]) -> str:
    """A table of what can be written; tiers' own fields follow."""
    rows, nested = [], []
    for name, hint in term_types(kind).items():
        field = next(f for f in fields(kind) if f.name == name)
        rows.append(f"| `{name}` | {_default(field)} | {attributes[name]} |")
        if get_origin(hint) is tuple and is_dataclass(tier := get_args(hint)[0]):
            nested.append(f"Each of `{name}`:\n\n{_fields(tier, _docstring(tier)[1])}")  # type: ignore[arg-type]
    return "\n".join(["| field | default | |", "|---|---|---|", *rows, "", *nested])


def _default(field: Field[Any]) -> str:
    if field.default is MISSING:
        return "required"
    return f"`{field.default}`" if isinstance(field.default, str | Decimal) else ""


def _docstring(kind: type[Any] | type[PriceModel]) -> tuple[str, dict[str, str]]:
    """A class's text, and its attributes by name."""
    text, _, rest = _markdown(kind.__doc__).partition("\nAttributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", rest, flags=re.MULTILINE)
    return text.strip(), {name: re.sub(r"\s+", " ", meaning) for name, meaning in entries}


def _markdown(docstring: str | None) -> str:
    return cleandoc(docstring or "").replace("``", "`")


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
