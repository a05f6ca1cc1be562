"""Results as JSON: one way for all that the command line and Dagster print.

A result's fields are its keys, in their order. Amounts are strings in major units with their currency's decimals,
quantities plain decimals, instants end in Z, days are ISO dates, seconds have three decimals.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from billing_pipeline.core.money import Money
from billing_pipeline.core.plain_text import instant, plain, shortened

Json = dict[str, object]


def unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that is read, for a decoder's ``object_pairs_hook``: the later of two values would win unseen.

    Raises:
        ValueError: a key is there twice.
    """
    fields = dict(pairs)
    if len(fields) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{shortened(repr(repeated))} is given twice in one object")
    return fields


class JsonFields:
    """A result whose fields are its JSON."""

    __slots__ = ()

    def to_json(self) -> Json:
        """As the command line prints it."""
        return fields_json(self)


def fields_json(result: object, *names: str) -> Json:
    """The named fields and properties of a result, or all its fields, each by its name."""
    return {name: plain_json(getattr(result, name)) for name in names or _field_names(result)}


def plain_json(value: object) -> Any:
    """A value as JSON knows it; what is a result itself says how it is written.

    Raises:
        TypeError: nobody has said how such a value is written.
    """
    if write := _WRITTEN.get(type(value)):
        return write(value)
    if callable(to_json := getattr(value, "to_json", None)):
        return to_json()
    if isinstance(value, StrEnum):
        return str(value)
    if is_dataclass(value) or hasattr(value, "_fields"):
        return fields_json(value)
    if isinstance(value, Mapping):
        return {str(name): plain_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(inner) for inner in value]
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _field_names(result: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(result)) if is_dataclass(result) else result._fields


def _as_it_is(value: object) -> object:
    return value


_WRITTEN: Mapping[type, Callable[[Any], object]] = {
    **dict.fromkeys((str, int, bool, type(None)), _as_it_is),
    float: lambda seconds: round(seconds, 3),  # no other figure is a float
    datetime: instant,
    date: date.isoformat,
    Decimal: plain,
    Money: str,
    UUID: str,
}
