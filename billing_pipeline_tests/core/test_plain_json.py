"""Results as JSON."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import pytest

from billing_pipeline.core.money import Money
from billing_pipeline.core.plain_json import Json, JsonFields, fields_json, plain_json


class Colour(StrEnum):
    RED = "red"


class Pair(NamedTuple):
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Inner(JsonFields):
    amount: Money
    quantity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Own:
    figure: int

    def to_json(self) -> Json:
        return {"twice": 2 * self.figure}


@dataclass(frozen=True, slots=True)
class Outer(JsonFields):
    inner: tuple[Inner, ...]
    own: Own
    pairs: list[Pair]
    counts: dict[str, int]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2026, 2, 1, 1, tzinfo=timezone(timedelta(hours=1))), "2026-02-01T00:00:00Z"),
        (datetime(2026, 2, 1, 0, 0, 0, 5, tzinfo=UTC), "2026-02-01T00:00:00.000005Z"),
        (date(2026, 2, 1), "2026-02-01"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.2500"), "0.25"),
        (Money(-1250, "USD"), "-12.50"),
        (Money(1250, "JPY"), "1250"),
        (1.23456, 1.235),
        (Colour.RED, "red"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (True, True),
        (None, None),
    ],
)
def test_each_kind_of_value_has_one_form(value: object, written: object) -> None:
    assert plain_json(value) == written
    assert type(plain_json(value)) is type(written)
    json.dumps(plain_json(value))


def test_a_result_is_its_fields_in_their_order_and_who_has_a_form_of_its_own_keeps_it() -> None:
    outer = Outer((Inner(Money(5, "KWD")),), Own(4), [Pair("acme", 2)], {"rows": 3})
    assert json.dumps(outer.to_json()) == (
        '{"inner": [{"amount": "0.005", "quantity": null}], "own": {"twice": 8}, '
        '"pairs": [{"name": "acme", "number": 2}], "counts": {"rows": 3}}'
    )
    assert list(fields_json(outer, "counts", "own")) == ["counts", "own"]


def test_what_nobody_has_given_a_form_is_an_error() -> None:
    with pytest.raises(TypeError, match="set has no form in JSON"):
        plain_json({1, 2})
