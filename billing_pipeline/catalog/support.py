"""Fields of the format that this version does not bill yet: refused by name, never ignored."""

from collections.abc import Iterator
from dataclasses import dataclass

from billing_pipeline.core.errors import CatalogError

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class NotYet:
    """A field that is refused where it is given.

    Attributes:
        kind: of the object.
        field: dotted, ``*`` for each item of a list; empty for the object as a whole.
        value: refuse only this value of it.
    """

    kind: str
    field: str
    value: str | None = None


NOT_YET = (
    NotYet("customer", "credits"),
    NotYet("credit_grant", ""),
)


def unsupported(kind: str, content: object) -> Iterator[CatalogError]:
    """An error for each field of an object's content that cannot be billed yet."""
    for entry in NOT_YET:
        if entry.kind != kind:
            continue
        steps = tuple(entry.field.split(".")) if entry.field else ()
        for path, value in _found(content, steps, ()):
            if value not in (None, [], {}) and entry.value in (None, value):
                subject = f"{entry.field.rpartition('.')[2]}{f': {entry.value}' if entry.value else ''}" or f"A {kind}"
                raise_at = path or ("id",)
                yield CatalogError(f"{subject} is not supported yet.", hint="Remove it.", path=raise_at)


def _found(content: object, steps: tuple[str, ...], path: Path) -> Iterator[tuple[Path, object]]:
    if not steps:
        yield path, content
    elif steps[0] == "*" and isinstance(content, list):
        for i, item in enumerate(content):
            yield from _found(item, steps[1:], (*path, i))
    elif isinstance(content, dict) and steps[0] in content:
        yield from _found(content[steps[0]], steps[1:], (*path, steps[0]))
