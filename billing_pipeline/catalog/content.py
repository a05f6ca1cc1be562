"""Catalog objects as the ledger stores them: JSON of the same shape as the files, in one canonical form.

Decimals are strings without trailing zeros, instants ISO 8601 in UTC; what has its default is left out, so that
equal objects have equal content and a field added later changes no content that is stored.
"""

from collections.abc import Callable, Iterable
from dataclasses import Field, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any

from billing_pipeline.catalog.catalog import KINDS
from billing_pipeline.catalog.parse import default_of, is_required, parse
from billing_pipeline.core.period import Duration
from billing_pipeline.core.plain_text import instant, plain

_SCALARS: dict[type, Callable[[Any], object]] = {
    Enum: lambda value: value.value,
    Decimal: plain,
    datetime: instant,
    Duration: str,
    str: str,
    int: lambda value: value,  # and bool
    NoneType: lambda _: None,
}


def to_content(shape: object) -> dict[str, Any]:
    """A catalog object as JSON-able content."""
    content = _content(shape)
    assert isinstance(content, dict), f"{type(shape).__name__} is no catalog object"  # noqa: S101
    return content


def from_content(kind: str, content: object) -> Any:
    """The object of a kind that :func:`to_content` gave. Raises CatalogError for content that is none."""
    return parse(KINDS[kind].shape, content, None)


def latest_instant(value: object) -> datetime | None:
    """The latest instant that an object, or any part of it, names; None where it names none."""
    if isinstance(value, datetime):
        return value
    parts: Iterable[object] = ()
    if is_dataclass(value):
        parts = (getattr(value, field.name) for field in fields(value))
    elif isinstance(value, tuple | list):
        parts = value
    return max(filter(None, map(latest_instant, parts)), default=None)


def _content(value: object) -> object:
    for kind, written in _SCALARS.items():
        if isinstance(value, kind):
            return written(value)
    if isinstance(value, tuple | list):
        return [_content(item) for item in value]
    if isinstance(value, dict):
        return {key: _content(item) for key, item in value.items()}
    assert is_dataclass(value), f"{value!r} has no content"  # noqa: S101
    return {
        field.name: _content(item)
        for field in fields(value)
        if not _is_default(field, item := getattr(value, field.name))
    }


def _is_default(field: Field[Any], value: object) -> bool:
    return not is_required(field) and bool(value == default_of(field))
