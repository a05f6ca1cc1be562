"""Reading terms: plain values become a model, strictly, as its dataclass fields say.

A field's type is its reader, so a new model declares its numbers once and needs nothing here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from billing_pipeline.core.errors import CatalogError, nearest
from billing_pipeline.core.money import EXACT

Path = tuple[str | int, ...]
T = TypeVar("T")

MAXIMUM_DECIMALS = 12
LARGEST_NUMBER = Decimal(10) ** 18
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?\Z")


def build(kind: type[T], terms: object, path: Path = ()) -> T:
    """An instance of the dataclass ``kind`` from plain ``terms``.

    Raises:
        CatalogError: a field is unknown, missing or malformed; ``path`` says which.
    """
    given = mapping(terms, path)
    known = term_types(kind)  # type: ignore[arg-type]  # mypy doubts that classes hash
    refuse_unknown(given, tuple(known), path)
    refuse_missing(kind, given, path)
    values = {name: read(known[name], value, (*path, name)) for name, value in given.items()}
    with at(*path):  # a model checks how its own fields go together, and does not know where it stands
        return kind(**values)


@contextmanager
def at(*path: str | int) -> Iterator[None]:
    """Put ``path`` before the paths of the CatalogErrors raised inside."""
    try:
        yield
    except CatalogError as error:
        raise CatalogError(error.message, hint=error.hint, path=(*path, *error.path)) from None


def read(kind: Any, value: object, path: Path) -> Any:
    """``value`` as the type hint ``kind`` wants it. Raises CatalogError."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        (inner,) = (a for a in arguments if a is not NoneType)
        return None if value is None else read(inner, value, path)
    if origin is Literal:
        return choice(value, arguments, path)
    if origin is tuple:
        return tuple(read(arguments[0], item, (*path, i)) for i, item in enumerate(listed(value, path)))
    if is_dataclass(kind) and isinstance(kind, type):
        return build(kind, value, path)
    return _READERS[kind](value, path)


def decimal(value: object, path: Path) -> Decimal:
    """An exact number of at most 12 decimals, zero or more. Raises CatalogError; a float is refused."""
    number = number_of(value, path)
    if number < 0:
        raise CatalogError(f"{value} is negative.", hint="Prices, sizes and bounds are zero or more.", path=path)
    if number > LARGEST_NUMBER or decimals(number) > MAXIMUM_DECIMALS:
        hint = f"At most {LARGEST_NUMBER:.0E}, with {MAXIMUM_DECIMALS} decimals."
        raise CatalogError(f"{value} has too many digits.", hint=hint, path=path)
    return number


def number_of(value: object, path: Path) -> Decimal:
    """An exact number of any size and sign. Raises CatalogError for anything else, floats above all."""
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and _NUMBER.match(value):
        return Decimal(value)
    raise CatalogError(f"{value!r} is no exact number.", hint='Write it as a quoted decimal, e.g. "0.10".', path=path)


def decimals(number: Decimal) -> int:
    """How many digits ``number`` has after the point, trailing zeros not counted."""
    _, denominator = number.normalize(EXACT).as_integer_ratio()
    return 0 if denominator == 1 else -int(number.normalize(EXACT).as_tuple().exponent)


def whole(value: object, path: Path) -> int:
    """A whole number, zero or more. Raises CatalogError."""
    number = decimal(value, path)
    if number != number.to_integral_value():
        raise CatalogError(f"{value} is no whole number.", path=path)
    return int(number)


def text(value: object, path: Path) -> str:
    """A text that is not empty. Raises CatalogError."""
    if not isinstance(value, str) or not value:
        raise CatalogError(f"{value!r} is no text.", hint="Write it in quotes.", path=path)
    return value


def choice(value: object, allowed: Sequence[str], path: Path) -> str:
    """One of ``allowed``. Raises CatalogError that names the nearest."""
    if value not in allowed:
        raise CatalogError(f"{value!r} is not one of the choices.", hint=nearest(str(value), allowed), path=path)
    return str(value)


def mapping(value: object, path: Path) -> Mapping[str, object]:
    """Fields by name. Raises CatalogError."""
    if not isinstance(value, Mapping):
        raise CatalogError(f"{value!r} has no fields.", hint="Write it as name: value pairs.", path=path)
    return value


def listed(value: object, path: Path) -> Sequence[object]:
    """A list. Raises CatalogError."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise CatalogError(f"{value!r} is no list.", path=path)
    return value


def refuse_unknown(given: Mapping[str, object], known: Sequence[str], path: Path) -> None:
    """Raise CatalogError for the first field that is not among ``known``, naming the nearest."""
    for name in given:
        if name not in known:
            raise CatalogError(f"Unknown field {name!r}.", hint=nearest(str(name), known), path=(*path, name))


def refuse_missing(kind: type, given: Mapping[str, object], path: Path) -> None:
    """Raise CatalogError where a field without a default is absent, or all of the class's ``at_least_one`` are."""
    for name in required(kind):
        if name not in given:
            raise CatalogError(f"{name!r} is missing.", hint=f"Fields: {', '.join(term_types(kind))}.", path=path)
    one_of = getattr(kind, "at_least_one", ())
    if one_of and not set(one_of) & given.keys():
        raise CatalogError(f"One of {', '.join(one_of)} is missing.", hint="Write 0 for what is free.", path=path)


@cache
def term_types(kind: type) -> dict[str, Any]:
    """What can be written for ``kind``: field names and their types."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if field.init}


@cache
def required(kind: type) -> tuple[str, ...]:
    """The fields of ``kind`` that have no default."""
    return tuple(f.name for f in fields(kind) if f.init and f.default is MISSING and f.default_factory is MISSING)


_READERS = {Decimal: decimal, int: whole, str: text}
