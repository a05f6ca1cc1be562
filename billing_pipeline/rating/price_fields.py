"""Fields of a price: plain values become a model, strictly, as its dataclass fields say.

A field's type is its reader, so a new model declares its numbers once and needs nothing here.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal, Inexact
from functools import cache
from types import NoneType, TracebackType, UnionType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from billing_pipeline.core.errors import CatalogError, nearest
from billing_pipeline.core.money import EXACT
from billing_pipeline.core.plain_text import shortened

Path = tuple[str | int, ...]
Reader = Callable[[object, Path], Any]
T = TypeVar("T")

MAXIMUM_DECIMALS = 12
_STEPS = tuple(Decimal(1).scaleb(-places) for places in range(MAXIMUM_DECIMALS + 1))
LARGEST_NUMBER = Decimal(10) ** 18
_ORDINARY = re.compile(r"[0-9]{1,18}(\.[0-9]{1,12})?\Z")  # within all bounds as it stands; nearly all prices are
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?\Z")


def build(kind: type[T], terms: object, path: Path = ()) -> T:
    """A price model, or whatever dataclass ``kind`` is, from plain ``terms``; null means 'not given'.

    Raises:
        CatalogError: a field is unknown, missing or malformed; ``path`` says which.
    """
    return cast("T", _reader(cast("Any", kind))(terms, path))


@cache
def _reader(hint: Any) -> Reader:
    """The reader of values of a type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        (inner,) = (a for a in arguments if a is not NoneType)
        return _reader(inner)
    if origin is Literal:
        return lambda value, path: choice(value, arguments, path)
    if origin is tuple:
        return _tuple_reader(_reader(arguments[0]))
    return _dataclass_reader(hint) if is_dataclass(hint) else _READERS[hint]


def _tuple_reader(read: Reader) -> Reader:
    return lambda value, path: tuple([read(item, (*path, i)) for i, item in enumerate(listed(value, path))])


def _dataclass_reader(kind: Any) -> Reader:
    readers = {name: _reader(hint) for name, hint in term_types(kind).items()}
    needed = tuple(f.name for f in fields(kind) if f.init and f.default is MISSING and f.default_factory is MISSING)
    one_of: tuple[str, ...] = getattr(kind, "at_least_one", ())

    def read(value: object, path: Path) -> object:
        given = mapping(value, path)
        refuse_unknown(given, readers, path)
        values = {name: readers[name](item, (*path, name)) for name, item in given.items() if item is not None}
        for name in needed:
            if name not in values:
                raise CatalogError(f"{name!r} is missing.", hint=f"Fields: {', '.join(readers)}.", path=path)
        if one_of and values.keys().isdisjoint(one_of):
            raise CatalogError(f"One of {', '.join(one_of)} is missing.", hint="Write 0 for what is free.", path=path)
        with at(*path):  # a model checks how its fields go together, and does not know where it stands
            return kind(**values)

    return read


class at:  # noqa: N801 - reads as a preposition
    """Put a path before the paths of the CatalogErrors raised inside; a class, as a generator takes thrice the time.

    Quotes enter it for every event and for every part of a price.
    """

    __slots__ = ("path",)

    def __init__(self, *path: str | int) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        if isinstance(error, CatalogError):
            raise CatalogError(error.message, hint=error.hint, path=(*self.path, *error.path)) from None


def decimal(value: object, path: Path) -> Decimal:
    """An exact number of at most 12 decimals, zero or more. Raises CatalogError; a float is refused."""
    if isinstance(value, str) and _ORDINARY.match(value):
        return Decimal(value)
    number = number_of(value, path)
    if number < 0:
        raise CatalogError(
            f"{shortened(str(value))} is negative.", hint="Prices, sizes and bounds are zero or more.", path=path
        )
    if number > LARGEST_NUMBER or not ends_within(MAXIMUM_DECIMALS, number):
        hint = f"At most {LARGEST_NUMBER:.0E}, with {MAXIMUM_DECIMALS} decimals."
        raise CatalogError(f"{shortened(str(value))} has too many digits.", hint=hint, path=path)
    return number


def number_of(value: object, path: Path) -> Decimal:
    """An exact number of any size and sign. Raises CatalogError for anything else, floats above all."""
    if isinstance(value, str) and _NUMBER.match(value):
        return Decimal(value)
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise CatalogError(
        f"{_shown(value)} is no exact number.", hint='Write it as a quoted decimal, e.g. "0.10".', path=path
    )


def ends_within(decimals: int, number: Decimal) -> bool:
    """Whether a ``number`` of ordinary size has at most so many digits after the point, trailing zeros not counted."""
    try:
        EXACT.quantize(number, _STEPS[decimals])
    except Inexact:
        return False
    return True


def whole(value: object, path: Path) -> int:
    """A whole number, zero or more. Raises CatalogError."""
    number = decimal(value, path)
    if number != number.to_integral_value():
        raise CatalogError(f"{shortened(str(value))} is no whole number.", path=path)
    return int(number)


def text(value: object, path: Path) -> str:
    """A text that is not empty. Raises CatalogError."""
    if not isinstance(value, str) or not value:
        raise CatalogError(f"{_shown(value)} is no text.", hint="Write it in quotes.", path=path)
    return value


def choice(value: object, allowed: Sequence[str], path: Path) -> str:
    """A choice among ``allowed``. Raises CatalogError that names the nearest."""
    if value not in allowed:
        raise CatalogError(f"{_shown(value)} is not one of the choices.", hint=nearest(str(value), allowed), path=path)
    return str(value)


def mapping(value: object, path: Path) -> Mapping[str, object]:
    """The fields of a mapping by name. Raises CatalogError for anything else."""
    if not isinstance(value, dict | Mapping):  # asking an abstract class alone takes longer
        raise CatalogError(f"{_shown(value)} has no fields.", hint="Write it as name: value pairs.", path=path)
    return value


def listed(value: object, path: Path) -> Sequence[object]:
    """A list of values. Raises CatalogError for anything else."""
    if not isinstance(value, list | Sequence) or isinstance(value, str):
        raise CatalogError(f"{_shown(value)} is no list.", path=path)
    return value


def refuse_unknown(given: Mapping[str, object], fields: Collection[str], path: Path) -> None:
    """Raise CatalogError for the first name that is not among the fields, naming the nearest."""
    for name in given:
        if name not in fields:
            raise CatalogError(
                f"Unknown field {_shown(name)}.", hint=nearest(str(name), tuple(fields)), path=(*path, name)
            )


def _shown(value: object) -> str:
    return shortened(repr(value))


def term_types(kind: Any) -> dict[str, Any]:
    """The fields that can be written for a dataclass of terms, with their types."""
    return _term_types(kind)


@cache
def _term_types(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if field.init}


_READERS = {Decimal: decimal, int: whole, str: text}
