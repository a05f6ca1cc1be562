"""What applying a catalog would change, for people and for machines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from billing_pipeline.catalog.catalog import KINDS, Catalog
from billing_pipeline.catalog.content import to_content


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One value: ``field`` is dotted, list items that have an id go by it. None stands for 'not given'."""

    field: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One object that is added or changed."""

    kind: str
    id: str
    action: Literal["add", "change"]
    fields: tuple[FieldChange, ...] = ()


def difference(old: Catalog | None, new: Catalog) -> list[ObjectChange]:
    """The objects that differ, kind by kind. What is only in ``old`` is no difference: applying deletes nothing."""
    return [change for kind in KINDS for change in _of_kind(kind, old.of_kind(kind) if old else {}, new.of_kind(kind))]


def _of_kind(kind: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[ObjectChange]:
    for object_id, after in new.items():
        before = old.get(object_id)
        if before is None:
            yield ObjectChange(kind, object_id, "add")
        elif before != after:
            was, now = _leaves(to_content(before)), _leaves(to_content(after))
            changed = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
            yield ObjectChange(
                kind, object_id, "change", tuple(FieldChange(name, was.get(name), now.get(name)) for name in changed)
            )


def _leaves(content: object, path: str = "") -> dict[str, object]:
    """Every value by its dotted path."""
    if isinstance(content, dict) and content:
        steps = [(f"{path}.{key}" if path else key, item) for key, item in content.items()]
    elif isinstance(content, list) and any(isinstance(item, dict) for item in content):
        steps = [(f"{path}[{_name(item, i)}]", item) for i, item in enumerate(content)]
    else:
        return {path: content}
    return {name: leaf for step, item in steps for name, leaf in _leaves(item, step).items()}


def _name(item: object, index: int) -> object:
    return item.get("id", index) if isinstance(item, dict) else index
