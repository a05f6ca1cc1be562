"""Quotes a line each: whatever a line holds, it has one result, and the next line is rated."""

import copy
import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.rating.price_models import PRICE_MODELS
from billing_pipeline.rating.quote.aggregates import AGGREGATES
from billing_pipeline.rating.quote.quote import quote, quote_lines
from billing_pipeline_tests.examples import examples
from docs.build.examples import GENERAL


def test_a_bad_line_does_not_stop_the_others() -> None:
    lines = ["", '{"id": "a", "price": {"model": "per_unit", "unit_amount": 0.1}, "quantity": 3}', "{", "[1]", "  \n"]
    lines.append('{"id": "b", "price": {"model": "per_unit", "unit_amount": "x"}, "quantity": 3}')
    lines.append('{"id": "c", "price": {"model": "per_unit", "unit_amount": 1E-2}, "quantity": 30}\n')
    lines.append('{"id": "d", "price": {"model": "per_unit", "unit_amount": NaN}, "quantity": 30}')
    results = [json.loads(line) for line in quote_lines(lines)]
    assert [result.get("id") for result in results] == [None, "a", None, None, None, "b", "c", None]
    assert [result.get("amount") for result in results] == [None, "0.30", None, None, None, None, "0.30", None]
    assert [bool(result.get("error")) for result in results] == [True, False, True, True, True, True, False, True]
    assert all("no JSON" in results[at]["error"]["message"] for at in (0, 2, 4, 7))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "a", "price": PRICE, "quantity": NaN}', "no JSON: NaN"),
        ('{"id": "a", "price": PRICE, "quantity": -Infinity}', "no JSON: -Infinity"),
        ('{"id": "a", "price": PRICE, "quantity": 1' + "0" * 5000 + "}", "no JSON: Exceeds the limit"),
        ('{"id": "a", "price": PRICE, "quantity": 1' + "0" * 4000 + "}", "larger than any bill"),
        ('{"id": "a", "price": PRICE, "quantity": 1e999999}', "no exact number"),
        ('{"id": "a", "price": PRICE, "quantity": "1", "dimensions": {"a": {"b": 1}}}', "no text"),
        ('{"id": "a", "price": PRICE, "quantity": "1", "currency": ["USD"]}', "not an ISO 4217"),
        ('{"id": "a", "price": ' + "[" * 990 + "]" * 990 + ', "quantity": "1"}', "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        (b'{"id": "\xff", "price": 1}', "no JSON: 'utf-8'"),
        ("null", "no fields"),
        ('{"id": "a", "price": PRICE, "quantity": "1", "quantity": "2"}', "'quantity' is given twice"),
        ('{"price": {"model": "per_unit", "unit_amount": "1", "unit_amount": "2"}, "quantity": "1"}', "given twice"),
        (
            """{"id": "a", "meter": {"aggregation": "weighted_sum"}, "price": PRICE,
                "events": [{"timestamp": "9999-12-31T23:00:00Z", "value": "1"}]}""",
            "Give period_end",
        ),
    ],
    ids=range(14),
)
def test_whatever_a_line_holds_the_next_is_rated(line: str | bytes, said: str) -> None:
    price = '{"model": "per_unit", "unit_amount": "0.1"}'
    if isinstance(line, str):
        line = line.replace("PRICE", price)
    bad, good = map(json.loads, quote_lines([line, f'{{"id": "b", "price": {price}, "quantity": "1"}}']))
    assert said in f"{bad['error']['message']} {bad['error']['hint']}"
    assert (good["id"], good["amount"]) == ("b", "0.10")


EXAMPLES = [example.case for _, _, example in GENERAL]
EXAMPLES += [model.example.case for model in PRICE_MODELS.values()]
EXAMPLES += [aggregate.example.case for aggregate in AGGREGATES.values()]
ODD: list[Any] = [None, "", 0, -1, True, [], {}, [{}], {"a": 1}, "x", "-1", "1e99", 10**30, "0." + "9" * 40, 1.5]
ODD += ["NaN", "none", "up", "duration", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "stop", "hour", "１"]  # noqa: RUF001
ODD += ["99999999999999 days", "JPY", "\ud800"]


def places(case: Any) -> list[tuple[Any, Any]]:
    """Each container in the case with each of its keys."""
    items = case.items() if isinstance(case, dict) else enumerate(case) if isinstance(case, list) else ()
    return [place for key, value in items for place in [(case, key), *places(value)]]


@given(st.sampled_from(EXAMPLES), st.lists(st.tuples(st.integers(0, 999), st.sampled_from(ODD)), max_size=3))
@examples(1000)
def test_a_spoilt_case_has_an_amount_that_its_details_explain_or_an_error(
    case: dict[str, Any], odd: list[tuple[int, Any]]
) -> None:
    spoilt = json.loads(json.dumps(case))
    for number, value in odd:
        spots = places(spoilt)
        container, key = spots[number % len(spots)]
        container[key] = copy.deepcopy(value)
    result: dict[str, Any] = quote(spoilt)
    assert ("amount" in result) != ("error" in result)
    assert sum(Fraction(detail["amount"]) for detail in result.get("details", ())) == Fraction(result.get("amount", 0))


def test_numbers_of_a_json_line_are_never_binary() -> None:
    line = (
        '{"price": {"model": "per_unit", "unit_amount": 0.000000000001}, "quantity": 999999999999999999.000000000001}'
    )
    (result,) = quote_lines([line])
    assert json.loads(result)["amount"] == "999999.999999999999000000000001"
