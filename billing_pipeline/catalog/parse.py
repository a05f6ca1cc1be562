"""From plain content to catalog dataclasses, by their type hints. Every fault is reported, with its path.

A reader of a type takes a value and the calendar that places local days; without one the content comes from the
ledger: its instants are complete, and it holds what only the ledger gives (:class:`Assigned`).
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from billing_pipeline.catalog import scalars
from billing_pipeline.catalog.field_types import Assigned, Rule
from billing_pipeline.catalog.problems import Faults, under
from billing_pipeline.core.errors import CatalogError, nearest
from billing_pipeline.core.period import BillingCalendar, Duration
from billing_pipeline.core.plain_text import shortened

T = TypeVar("T")
Reader = Callable[[object, BillingCalendar | None], Any]

_SCALARS: dict[object, Reader] = {
    str: scalars.free_text,
    int: scalars.integer,
    bool: scalars.boolean,
    Decimal: scalars.decimal,
    datetime: scalars.instant,
    Duration: scalars.duration,
}


def parse(shape: type[T], content: object, calendar: BillingCalendar | None) -> T:
    """An object of the class ``shape``, read from content.

    Raises:
        CatalogError: with the path of the fault, or a Faults of several.
    """
    return cast("T", reader(cast("Any", shape))(content, calendar))


@cache
def reader(hint: Any) -> Reader:
    """The reader of a field's type hint."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in _GENERICS:
        return _GENERICS[origin](arguments)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _choice(tuple(hint))
    assert is_dataclass(hint), f"no reader for {hint}"  # noqa: S101
    return _Dataclass(cast("type[Any]", hint))


def plain(value: object, _calendar: BillingCalendar | None = None) -> object:
    """Any content, without its lines: what others (price models) read."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _annotated(arguments: tuple[Any, ...]) -> Reader:
    rules = [mark for mark in arguments[1:] if isinstance(mark, Rule)]
    if not rules:
        return reader(arguments[0])
    read = scalars.text if arguments[0] is str else reader(arguments[0])  # its rule says what a text may hold

    def checked(value: object, calendar: BillingCalendar | None) -> object:
        result = read(value, calendar)
        for rule in rules:
            if calendar is not None or not rule.of_files:
                rule.check(result)
        return result

    return checked


def _union(arguments: tuple[Any, ...]) -> Reader:
    """The member that fits the content's shape: a mapping, a list, or else a scalar."""
    members = [member for member in arguments if member is not NoneType]
    if len(members) == 1:
        return reader(members[0])
    by_shape = {_shape(member): reader(member) for member in members}
    other = next(iter(by_shape.values()))
    return lambda value, calendar: by_shape.get(_shape(type(value)), other)(value, calendar)


def _shape(hint: Any) -> type:
    kind = get_origin(hint) or hint
    if kind is Mapping or is_dataclass(kind) or issubclass(kind, dict):
        return dict
    return list if issubclass(kind, tuple | list) else str


def _choice(choices: tuple[Any, ...]) -> Reader:
    by_text = {str(choice): choice for choice in choices}

    def choose(value: object, _calendar: BillingCalendar | None) -> object:
        if isinstance(value, str) and value in by_text:
            return by_text[value]
        raise CatalogError(f"{scalars.shown(value)} is not one of {', '.join(by_text)}.")

    return choose


def _list(arguments: tuple[Any, ...]) -> Reader:
    read = reader(arguments[0])

    def read_list(value: object, calendar: BillingCalendar | None) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise CatalogError(f"Expected a list, not {scalars.shape(value)}.", hint=f"Write [{scalars.shape(value)}].")
        return tuple(_read_all(read, enumerate(value), calendar).values())

    return read_list


def _mapping(arguments: tuple[Any, ...]) -> Reader:
    read = plain if arguments[1] is object else reader(arguments[1])

    def read_mapping(value: object, calendar: BillingCalendar | None) -> dict[str, object]:
        if not isinstance(value, dict):
            raise CatalogError(f"Expected a mapping, not {scalars.shape(value)}.", hint="Write {name: value}.")
        return _read_all(read, value.items(), calendar)

    return read_mapping


def _read_all(read: Reader, items: Any, calendar: BillingCalendar | None) -> dict[Any, object]:
    values: dict[Any, object] = {}
    faults: list[CatalogError] = []
    for step, item in items:
        try:
            values[step] = read(item, calendar)
        except CatalogError as error:
            faults += under(step, error)
    if faults:
        raise Faults(faults)
    return values


@dataclass(slots=True, init=False)
class _Dataclass:
    """Reads a mapping into a dataclass; null means 'not given'.

    A shape with short forms has ``expand``, which writes them out, ``short``, the names of fields that only they have,
    and ``copies``, the paths that a value is copied to, with those that it comes from.
    """

    shape: type[Any]
    readers: dict[str, Reader]
    required: tuple[str, ...]
    assigned: frozenset[str]

    def __init__(self, shape: type[Any]) -> None:
        hints = get_type_hints(shape, include_extras=True)
        self.shape = shape
        self.readers = {field.name: reader(hints[field.name]) for field in fields(shape)}
        self.required = tuple(field.name for field in fields(shape) if is_required(field))
        self.assigned = frozenset(name for name, hint in hints.items() if is_marked(hint, Assigned))

    def __call__(self, value: object, calendar: BillingCalendar | None) -> object:
        if not isinstance(value, dict):
            raise CatalogError(
                f"Expected fields, not {scalars.shape(value)}.", hint=f"Known: {', '.join(self.names(calendar))}."
            )
        expand = getattr(self.shape, "expand", None)
        content: dict[str, object] = expand(value) if expand else value
        faults: list[CatalogError] = []
        values: dict[str, object] = {}
        for name, item in content.items():
            try:
                if item is not None or name not in self.readers:
                    values[name] = self.reader_of(name, calendar)(item, calendar)
            except CatalogError as error:
                faults += under(name, error)
        faults += [
            CatalogError(f"{name!r} is missing.", path=(name,)) for name in self.required if content.get(name) is None
        ]
        if faults:
            raise Faults(self.without_copies(faults))
        return self.shape(**values)

    def without_copies(self, faults: list[CatalogError]) -> list[CatalogError]:
        """A short form may copy a value to where it belongs; what is wrong with it is said once."""
        copies, paths = getattr(self.shape, "copies", {}), {fault.path for fault in faults}
        return [fault for fault in faults if copies.get(fault.path) not in paths]

    def reader_of(self, name: str, calendar: BillingCalendar | None) -> Reader:
        if name in self.readers and not (calendar and name in self.assigned):
            return self.readers[name]
        if name in self.assigned:
            raise CatalogError("A file cannot say this; it is given when the catalog is applied.", hint="Remove it.")
        raise CatalogError(f"Unknown field {shortened(name)!r}.", hint=nearest(name, self.names(calendar)))

    def names(self, calendar: BillingCalendar | None) -> tuple[str, ...]:
        own = (name for name in self.readers if not (calendar and name in self.assigned))
        return (*own, *getattr(self.shape, "short", ()))


_GENERICS: dict[object, Callable[[tuple[Any, ...]], Reader]] = {
    Annotated: _annotated,
    Union: _union,
    UnionType: _union,
    Literal: _choice,
    tuple: _list,
    Mapping: _mapping,
}


def is_marked(hint: Any, mark: type) -> bool:
    """Whether a field is annotated with a mark of that type."""
    return get_origin(hint) is Annotated and any(isinstance(part, mark) for part in get_args(hint)[1:])


def is_required(field: Field[Any]) -> bool:
    """Whether content must have the field: it has no default."""
    return default_of(field) is MISSING


def default_of(field: Field[Any]) -> Any:
    """The value of a field that content leaves out; MISSING where there is none."""
    return field.default if field.default_factory is MISSING else field.default_factory()
