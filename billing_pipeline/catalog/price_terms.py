"""What can be written in a price, model by model, as JSON Schema. Rating reads it; editors complete it."""

from collections.abc import Collection, Mapping

DECIMAL: Mapping[str, object] = {
    "type": ["string", "number"],
    "pattern": r"^[-+]?\d+(\.\d+)?([eE][-+]?\d{1,2})?$",
}
_TEXT = {"type": "string"}
_FIELDS: Mapping[str, Mapping[str, object]] = {
    "unit_amount": {**DECIMAL, "description": "major units per unit, up to 12 decimals"},
    "size": {**DECIMAL, "description": "units in a package"},
    "amount": {**DECIMAL, "description": "major units per package"},
    "round": {"enum": ["up", "down", "none"], "description": "what a started package counts as"},
    "zero_usage": {"enum": ["none", "first_tier_flat"], "description": "what is due where nothing was used"},
    "rate": {**DECIMAL, "description": "percent of the value"},
    "fixed_amount": {**DECIMAL, "description": "major units per event"},
    "free_events": {"type": ["integer", "string"], "description": "events that cost nothing"},
    "free_amount": {**DECIMAL, "description": "value that costs nothing"},
    "minimum_per_event": {**DECIMAL, "description": "the least that an event costs"},
    "maximum_per_event": {**DECIMAL, "description": "the most that an event costs"},
    "amount_field": {**_TEXT, "description": "the dimension of an event that holds its amount"},
    "multiplier": {**DECIMAL, "description": "what the events' amounts are multiplied by"},
    "up_to": {**DECIMAL, "description": "the last quantity that belongs to the tier; absent in the last tier"},
    "flat_amount": {**DECIMAL, "description": "major units, once the tier is entered"},
}
# A model's own fields; those of its tiers where it has any.
MODEL_FIELDS: Mapping[str, tuple[str, ...]] = {
    "per_unit": ("unit_amount",),
    "package": ("size", "amount", "round"),
    "graduated": ("tiers", "zero_usage"),
    "volume": ("tiers", "zero_usage"),
    "stairstep": ("tiers",),
    "percentage": (
        "rate",
        "fixed_amount",
        "free_events",
        "free_amount",
        "minimum_per_event",
        "maximum_per_event",
    ),
    "graduated_percentage": ("tiers",),
    "dynamic": ("amount_field", "multiplier"),
}
TIER_FIELDS: Mapping[str, tuple[str, ...]] = {
    "graduated": ("up_to", "unit_amount", "flat_amount"),
    "volume": ("up_to", "unit_amount", "flat_amount"),
    "stairstep": ("up_to", "flat_amount"),
    "graduated_percentage": ("up_to", "rate", "flat_amount"),
}


def price_schema(models: Collection[str]) -> dict[str, object]:
    """A price of one of ``models``; each allows its own fields only."""
    terms = sorted({name for model in models for name in MODEL_FIELDS.get(model, ())})
    return {
        "type": "object",
        "description": "the price model and its terms",
        "required": ["model"],
        "properties": {
            "model": {"enum": sorted(models), "description": "how a quantity becomes an amount"},
            **{name: _field(name, models) for name in terms},
            "by": {"type": "array", "items": _TEXT, "minItems": 1, "description": "dimensions that it depends on"},
            "rates": {
                "type": "array",
                "description": "terms for named values; the most specific match wins",
                "items": _rate(terms, models),
            },
            "default": {
                "type": "object",
                "description": "terms for all other values",
                "properties": {name: _field(name, models) for name in terms},
                "additionalProperties": False,
            },
            "tiers_per": {
                "enum": ["dimension", "subscription"],
                "description": "whether tiers count for each combination of values, or over all",
            },
        },
        "additionalProperties": False,
        "allOf": [_only_own_fields(model) for model in sorted(models)],
    }


def _rate(terms: Collection[str], models: Collection[str]) -> dict[str, object]:
    match = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"type": ["string", "number"]},
        "description": "dimension values that it is for",
    }
    properties = {"match": match, **{name: _field(name, models) for name in terms}}
    return {"type": "object", "required": ["match"], "properties": properties, "additionalProperties": False}


def _field(name: str, models: Collection[str]) -> Mapping[str, object]:
    if name != "tiers":
        return _FIELDS[name]
    terms = sorted({term for model in models for term in TIER_FIELDS.get(model, ())})
    tier = {"type": "object", "properties": {term: _FIELDS[term] for term in terms}, "additionalProperties": False}
    return {"type": "array", "minItems": 1, "items": tier, "description": "in ascending order, the last one open"}


def _only_own_fields(model: str) -> dict[str, object]:
    allowed = ["model", "by", "rates", "default", "tiers_per", *MODEL_FIELDS.get(model, ())]
    return {
        "if": {"properties": {"model": {"const": model}}, "required": ["model"]},
        "then": {"propertyNames": {"enum": allowed}},
    }
