"""The file format as JSON Schema, so that editors complete and check it; it describes fields in docstrings' words."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from billing_pipeline.catalog.catalog import KINDS
from billing_pipeline.catalog.customer import Payment
from billing_pipeline.catalog.field_types import Assigned, DefaultsToAccount, Rule, attributes, summary
from billing_pipeline.catalog.meter import Meter
from billing_pipeline.catalog.parse import is_marked, is_required
from billing_pipeline.catalog.plan import PlanPrice
from billing_pipeline.catalog.price_terms import DECIMAL, Models, Schema, price_schema
from billing_pipeline.catalog.source import EventMapping, Source
from billing_pipeline.catalog.subscription import Phase, Subscription
from billing_pipeline.core.period import Duration

_DAY = r"\d{4}-\d\d-\d\d"
_SCALARS: Mapping[object, Mapping[str, object]] = {
    str: {"type": ["string", "number"]},  # an id of digits need not be quoted
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    Decimal: DECIMAL,
    datetime: {"type": "string", "pattern": rf"^{_DAY}([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)? ?([Zz]|[-+]\d\d:\d\d))?$"},
    Duration: {"type": ["string", "integer"], "pattern": r"^\s*(0|\d{1,5}\s*(day|hour)s?)$", "maximum": 0},
    object: {},
}


def json_schema(
    *,
    price_models: Models,
    aggregations: Collection[str],
    source_formats: Collection[str],
    gateways: Collection[str],
) -> Schema:
    """The schema of a catalog file, for a program that knows these models, aggregations, formats and gateways."""
    definitions = _Definitions(
        {
            (PlanPrice, "price"): price_schema(price_models),
            (Meter, "aggregation"): {"enum": sorted(aggregations)},
            (Source, "format"): {"enum": sorted(source_formats)},
            (Payment, "gateway"): {"enum": sorted(gateways)},
        }
    )
    properties: Schema = {"$schema": {"type": "string", "description": "where an editor finds this schema"}}
    for kind in KINDS.values():
        reference = definitions.of(kind.shape)
        properties[kind.section] = (
            reference if kind.name == "account" else {"type": ["array", "null"], "items": reference}
        )
        properties[kind.section] = {**properties[kind.section], "description": summary(kind.shape)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Billing catalog",
        "description": "What is sold, to whom, and where usage comes from. Files may be split; order does not matter.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": dict(sorted(definitions.by_name.items())),
    }


class _Definitions:
    """Schemas of dataclasses by name, made as they are asked for. ``given`` are those of single fields."""

    def __init__(self, given: Mapping[tuple[type, str], Schema]) -> None:
        self.given = given
        self.by_name: dict[str, Schema] = {}

    def of(self, hint: Any) -> Schema:
        """The schema of a type hint."""
        origin, arguments = get_origin(hint), get_args(hint)
        if hint in _SCALARS:
            return dict(_SCALARS[hint])
        if is_dataclass(hint):
            return self.reference(hint)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return {"enum": [choice.value for choice in hint]}
        return _GENERICS[origin](self, arguments)

    def annotated(self, arguments: tuple[Any, ...]) -> Schema:
        schema = self.of(arguments[0])
        for mark in arguments[1:]:
            schema |= mark.schema if isinstance(mark, Rule) else {}
        return schema

    def union(self, arguments: tuple[Any, ...]) -> Schema:
        return {"anyOf": [{"type": "null"} if member is NoneType else self.of(member) for member in arguments]}

    def listed(self, arguments: tuple[Any, ...]) -> Schema:
        return {"type": "array", "items": self.of(arguments[0])}

    def mapped(self, arguments: tuple[Any, ...]) -> Schema:
        return {"type": "object", "additionalProperties": self.of(arguments[1])}

    def reference(self, shape: Any) -> Schema:
        """A reference to a dataclass's definition, which is made once."""
        if shape.__name__ not in self.by_name:
            self.by_name[shape.__name__] = self.definition(shape)
        return {"$ref": f"#/$defs/{shape.__name__}"}

    def definition(self, shape: Any) -> Schema:
        hints = get_type_hints(shape, include_extras=True)
        said = [field for field in fields(shape) if not is_marked(hints[field.name], Assigned)]
        required = [f.name for f in said if is_required(f) and not is_marked(hints[f.name], DefaultsToAccount)]
        described = attributes(shape)
        properties = {
            field.name: {
                **(self.given.get((shape, field.name)) or self.of(hints[field.name])),
                "description": described[field.name],
            }
            for field in said
        }
        schema: Schema = {
            "type": "object",
            "description": summary(shape),
            "required": required,
            "properties": properties,
            "additionalProperties": False,
        }
        shorten = _SHORT_FORMS.get(shape)
        return shorten(schema) if shorten else schema


_GENERICS: Mapping[Any, Callable[[_Definitions, tuple[Any, ...]], Schema]] = {
    Annotated: _Definitions.annotated,
    Union: _Definitions.union,
    UnionType: _Definitions.union,
    tuple: _Definitions.listed,
    Mapping: _Definitions.mapped,
    Literal: lambda _, choices: {"enum": list(choices)},
}


def _short_dimensions(schema: Schema) -> Schema:
    mapping = schema["properties"]["dimensions"]
    description = mapping.pop("description")
    listed = {"type": "array", "items": {"type": "string"}}
    schema["properties"]["dimensions"] = {"description": description, "anyOf": [listed, mapping]}
    return schema


def _short_phases(schema: Schema) -> Schema:
    schema["required"].remove("phases")
    schema["properties"]["plan"] = {**_SCALARS[str], "description": "id of the plan, in short for a single phase"}
    schema["oneOf"] = [{"required": ["plan"]}, {"required": ["phases"]}]
    return schema


def _short_start(schema: Schema) -> Schema:
    schema["required"].remove("start")
    return schema


_SHORT_FORMS: Mapping[type, Callable[[Schema], Schema]] = {
    EventMapping: _short_dimensions,
    Subscription: _short_phases,
    Phase: _short_start,
}
