"""A price's terms, model by model, as JSON Schema. Rating reads it; editors complete it.

A model says it by its own fields: their types and, in its docstring, their meaning.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from billing_pipeline.catalog.field_types import attributes

Schema = dict[str, Any]
Models = Mapping[str, type]

DECIMAL: Schema = {"type": ["string", "number"], "pattern": r"^[-+]?\d+(\.\d+)?([eE][-+]?\d{1,2})?$"}
_SCALARS: Mapping[object, Schema] = {
    Decimal: DECIMAL,
    int: {"type": ["integer", "string"]},
    str: {"type": "string"},
}
_BY_DIMENSION: Mapping[str, Schema] = {
    "by": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "description": "dimensions that it depends on",
    },
    "tiers_per": {
        "enum": ["dimension", "subscription"],
        "description": "whether tiers count for each combination of values, or over all",
    },
}
_MATCH: Schema = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"type": ["string", "number"]},
    "description": "dimension values that it is for",
}


def price_schema(models: Models) -> Schema:
    """A price of one of ``models``, by name; each allows its own fields only."""
    terms = _terms(*models.values())
    default = _fields(terms, description="terms for all other values")
    rate = {**_fields({"match": _MATCH, **terms}), "required": ["match"]}
    rates = {"type": "array", "items": rate, "description": "terms for named values; the most specific match wins"}
    model = {"enum": sorted(models), "description": "how a quantity becomes an amount"}
    by_dimension = {**_BY_DIMENSION, "rates": rates, "default": default}
    return {
        **_fields({"model": model, **terms, **by_dimension}, description="the price model and its terms"),
        "required": ["model"],
        "allOf": [_own_fields_only(name, models[name], by_dimension) for name in sorted(models)],
    }


def _own_fields_only(name: str, model: type, by_dimension: Mapping[str, Schema]) -> Schema:
    return {
        "if": {"properties": {"model": {"const": name}}, "required": ["model"]},
        "then": {"propertyNames": {"enum": ["model", *by_dimension, *_terms(model)]}},
    }


def _terms(*shapes: type) -> dict[str, Schema]:
    """The fields of all shapes; of one that several have, what the first says of it, with all their tiers' fields."""
    hints: dict[str, list[Any]] = {}
    described: dict[str, str] = {}
    for shape in shapes:
        for name, hint in _hints(shape):
            hints.setdefault(name, []).append(hint)
            described.setdefault(name, attributes(shape)[name])
    return {name: {**_schema(*hints[name]), "description": described[name]} for name in sorted(hints)}


def _hints(shape: type) -> Iterator[tuple[str, Any]]:
    """Fields that can be written, and their types."""
    resolved = get_type_hints(shape)
    for field in fields(shape):
        if field.init:
            yield field.name, resolved[field.name]


def _schema(*hints: Any) -> Schema:
    """The schema of one field, as one model or several type it."""
    first = hints[0]
    origin, arguments = get_origin(first), get_args(first)
    if origin is UnionType:
        return _schema(*(argument for argument in arguments if argument is not NoneType))
    if origin is tuple:
        return {"type": "array", "minItems": 1, "items": _fields(_terms(*(get_args(hint)[0] for hint in hints)))}
    return {"enum": list(arguments)} if origin is Literal else dict(_SCALARS[first])


def _fields(properties: Mapping[str, Schema], **more: object) -> Schema:
    return {"type": "object", **more, "properties": dict(properties), "additionalProperties": False}
