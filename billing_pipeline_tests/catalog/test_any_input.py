"""Whatever stands in a file, the answer is a catalog or a list of problems that each say where; never a crash."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.catalog import Catalog
from billing_pipeline.catalog.check import check
from billing_pipeline.catalog.checks.check_context import Registries
from billing_pipeline.catalog.files import load_files
from billing_pipeline.catalog.problems import CatalogProblems, Problem
from billing_pipeline.core.period import calendar
from billing_pipeline.rating.price import parse_price
from billing_pipeline_tests.examples import examples

WHOLE = """
account: {name: X, currency: USD, grace: 3 days, rounding: half_up, number_format: "{year}-{number}"}
sources:
  - id: logs
    format: csv
    event: {customer: c, meter: {value: m}, timestamp: t, value: v, dimensions: [region], event_id: id}
    required: true
    deadline: 4 days
    time_zone: UTC
  - {id: cur, format: focus, mode: snapshot, scope: [account]}
meters:
  - {id: m, aggregation: sum, unit: GB, dimensions: [region], filter: {region: [eu]}, keep: first}
products:
  - {id: f, name: F, invoicing_delay: 5 days, grace: 1 hour}
plans:
  - id: p
    currency: USD
    fees: [{id: f, name: F, amount: "1", every: month, timing: in_advance, prorate: true}]
    prices:
      - id: a
        product: f
        meter: m
        included: "10"
        price: {model: graduated, tiers: [{up_to: "1", unit_amount: "1"}, {unit_amount: "2", flat_amount: "3"}]}
      - {id: b, meter: m, price: {model: per_unit, by: [region], rates: [{match: {region: eu}, unit_amount: "1"}]}}
customers:
  - {id: c, name: C, locale: de_DE, payment: {gateway: file, collection: send, reference: r}}
subscriptions:
  - id: s
    customer: c
    start: "2026-01-01"
    end: null
    phases: [{plan: p}, {plan: p, start: "2026-03-01"}]
    quantities: {f: 2}
    quantity_changes: [{start: "2026-02-01", quantities: {f: "3"}}]
    billing_time: anniversary
"""

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.sampled_from(
        ["-1 day", "1e999999999", "9999-12-31", "0001-01-01", "NaN", "{0}", "{year!x}", "x" * 300, "\u2028"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def paths(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [path, *(below for step, part in steps for below in paths(part, (*path, step)))]


def changed(content: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(content)
    content[path[0]] = changed(content[path[0]], path[1:], change)
    return content


def renamed(content: Any, name: str) -> Any:
    """The first field under another name."""
    if not isinstance(content, dict) or not content:
        return content
    first, *rest = content.items()
    return dict([(name, first[1]), *rest])


def result(text: bytes, suffix: str) -> Catalog | tuple[Problem, ...]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"catalog{suffix}"
        file.write_bytes(text)
        try:
            return check(
                load_files([file]),
                calendar("Europe/Berlin", "month", date(2026, 1, 1)),
                Registries(parse_price, ("sum",), ("csv", "focus"), ("file",)),
            )
        except CatalogProblems as refused:
            problems = refused.problems
    lines = text.count(b"\n") + 2
    assert all(0 < one.line <= lines for one in problems if one.file), problems
    assert all(one.message for one in problems)
    return problems


def test_the_unchanged_catalog_is_right() -> None:
    assert isinstance(result(WHOLE.encode(), ".yaml"), Catalog)


@given(st.data(), VALUES)
@examples(300)
def test_any_value_in_any_place(data: st.DataObject, value: object) -> None:
    content = yaml.safe_load(WHOLE)
    path = data.draw(st.sampled_from(paths(content)))
    made = changed(content, path, lambda _: value)
    found = result(yaml.dump(made, allow_unicode=True).encode(), ".yaml")
    assert isinstance(found, Catalog) or found


@given(st.data(), st.text(max_size=8))
def test_any_misspelt_field(data: st.DataObject, name: str) -> None:
    content = yaml.safe_load(WHOLE)
    path = data.draw(st.sampled_from(paths(content)))
    found = result(json.dumps(changed(content, path, lambda part: renamed(part, name))).encode(), ".json")
    assert isinstance(found, Catalog) or found


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.sampled_from([".yaml", ".json"]))
def test_any_bytes(text: bytes, suffix: str) -> None:
    found = result(text, suffix)
    assert not isinstance(found, Catalog)  # there is no account in it
    assert found


@given(st.data())
def test_any_truncation(data: st.DataObject) -> None:
    text = WHOLE.encode()
    found = result(text[: data.draw(st.integers(0, len(text)))], ".yaml")
    assert isinstance(found, Catalog) or found
