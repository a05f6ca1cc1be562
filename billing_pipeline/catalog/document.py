"""YAML (and so JSON) as plain mappings, lists and text that remember their lines.

Every scalar stays the text that was written, except null, true and false: a number is read where it is known to be a
decimal, so none passes through a binary float, ``no`` stays a word and the account id 0123 keeps its zero.
"""

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import yaml

from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.plain_text import shortened

Place = Callable[[int, CatalogError], None]

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DEEPEST = 50  # levels of nesting, what aliases stand for included
_MOST_ALIASED = 2_000_000  # values that the aliases of a file stand for: nine lines of nine aliases make a billion
_STRING_TAG = "tag:yaml.org,2002:str"
_SURROGATE_PAIR = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)


class Block(dict[str, object]):
    """A mapping; ``line`` is where it starts, ``lines`` where each of its keys stands.

    ``size`` is how many values it has in all, ``height`` how many levels of them; both count what aliases stand for.
    """

    __slots__ = ("height", "line", "lines", "size")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}
        self.size = self.height = 1


class Items(list[object]):
    """A list; ``lines`` is where each of its items starts, ``size`` and ``height`` are as a :class:`Block`'s."""

    __slots__ = ("height", "lines", "size")

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []
        self.size = self.height = 1


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """The rest of a document cannot be read."""

    def __init__(self, line: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.error = CatalogError(message, hint=hint)


@dataclass(slots=True)
class _Composer:
    """Builds one file's documents from its text's events. ``report`` takes problems that need not stop it."""

    text: str
    events: Iterator[yaml.Event]
    report: Place
    anchors: dict[str, object] = field(default_factory=dict)
    aliased: int = 0

    def documents(self) -> Iterator[object]:
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors = {}
                yield self.node(next(self.events), 0)

    def node(self, event: yaml.Event, depth: int) -> object:
        assert isinstance(event, yaml.NodeEvent), "a node starts with a scalar, a collection or an alias"  # noqa: S101
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event.anchor or "", line, depth)
        if depth > _DEEPEST:
            raise _Unreadable(line, f"More than {_DEEPEST} levels of nesting.", "Write it flatter.")
        if isinstance(event, yaml.ScalarEvent):
            value: object = self.scalar(event, line)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self.block(line, depth, in_braces=bool(event.flow_style))
        else:
            value = self.rows(depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = value
        return value

    def alias(self, anchor: str, line: int, depth: int) -> object:
        if anchor not in self.anchors:
            raise _Unreadable(line, f"*{anchor} stands for nothing.", f"Mark what it stands for with &{anchor} before.")
        size, height = _extent(self.anchors[anchor])
        self.aliased += size
        if depth + height > _DEEPEST + 1:
            raise _Unreadable(line, f"More than {_DEEPEST} levels of nesting.", f"Write flatter what &{anchor} marks.")
        if self.aliased > _MOST_ALIASED:
            raise _Unreadable(line, f"Aliases stand for more than {_MOST_ALIASED:,} values.", "Write out fewer.")
        return self.anchors[anchor]

    def scalar(self, event: yaml.ScalarEvent, line: int) -> str | bool | None:
        text: str = event.value
        if event.tag not in {None, "!", _STRING_TAG}:
            self.report(line, CatalogError(f"The tag {event.tag!r} is not allowed.", hint="Leave it out."))
        if "\0" in text:
            self.report(line, CatalogError("The text holds a NUL character.", hint="Remove it."))
        if event.style or event.tag:  # quoted, a block of text, or explicitly text
            return text
        return None if text in _NULLS else _BOOLEANS.get(text, text)

    def rows(self, depth: int) -> Items:
        rows = Items()
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            rows.lines.append(_line(event))
            rows.append(self.node(event, depth + 1))
            _grow(rows, rows[-1])
        return rows

    def block(self, start: int, depth: int, *, in_braces: bool) -> Block:
        block, merged = Block(start), list[object]()
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise _Unreadable(line, "A field's name must be a single word.")
            given = next(self.events)
            if in_braces and self.has_no_colon(event, given):  # {unit_amount: 1,5} is a 1, and a field 5 of no value
                message, hint = (
                    f"{shortened(event.value)!r} has no value.",
                    "A decimal has a point: 1.5. For nothing, write null.",
                )
                self.report(line, CatalogError(message, hint=hint))
            if "\0" in event.value:
                self.report(line, CatalogError("The field's name holds a NUL character.", hint="Remove it."))
            value = self.node(given, depth + 1)
            _grow(block, value)
            if event.value == "<<" and not event.style:
                merged += value if isinstance(value, Items) else [value]
            elif event.value in block:
                message = f"{shortened(event.value)!r} is given twice, before on line {block.lines[event.value]}."
                self.report(line, CatalogError(message, hint="Keep one."))
            else:
                block[event.value] = value
                block.lines[event.value] = line
        for other in merged:
            self.merge(block, other)
        return block

    def has_no_colon(self, key: yaml.ScalarEvent, value: yaml.Event) -> bool:
        """Whether a field in braces is a word alone, which YAML takes for a field that is null."""
        if not isinstance(value, yaml.ScalarEvent) or value.value or value.style:
            return False
        return ":" not in self.text[key.end_mark.index : value.start_mark.index]  # type: ignore[union-attr]

    def merge(self, block: Block, other: object) -> None:
        """``<<: *other``: take what the block does not say itself."""
        if not isinstance(other, Block):
            self.report(block.line, CatalogError("'<<' must name a mapping.", hint="Mark one with &name."))
            return
        for key in other.keys() - block.keys():
            block[key] = other[key]
            block.lines[key] = other.lines[key]


def _extent(value: object) -> tuple[int, int]:
    """How many values there are in one, and on how many levels."""
    return (value.size, value.height) if isinstance(value, Block | Items) else (1, 1)


def _grow(whole: Block | Items, part: object) -> None:
    size, height = _extent(part)
    whole.size += size
    whole.height = max(whole.height, height + 1)


def _line(event: yaml.Event) -> int:
    assert event.start_mark, "the parser marks every event"  # noqa: S101
    return event.start_mark.line + 1


def read(data: bytes, report: Place, *, json: bool = False) -> list[object]:
    """The documents of a file, up to what is unreadable. ``report`` takes line and error of each problem."""
    documents: list[object] = []
    try:
        text = data.decode("utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")
        text = _join_surrogates(text) if json else text
        for document in _Composer(text, yaml.parse(text, Loader=yaml.CSafeLoader), report).documents():
            documents.append(document)  # noqa: PERF402 - what was read before an error is kept
    except _Unreadable as unreadable:
        report(unreadable.line, unreadable.error)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        report(mark.line + 1 if mark else 1, CatalogError(f"Not readable as YAML: {error.problem or error.context}."))
    except (yaml.reader.ReaderError, UnicodeDecodeError) as error:
        position = error.position if isinstance(error, yaml.reader.ReaderError) else error.start
        message = f"Not readable as text: {error.reason}."
        report(data[:position].count(b"\n") + 1, CatalogError(message, hint="Save the file as UTF-8."))
    return documents


def _join_surrogates(text: str) -> str:
    """JSON writes a character beyond U+FFFF as two escapes, which YAML does not know."""

    def character(match: re.Match[str]) -> str:
        return bytes.fromhex(match[1] + match[2]).decode("utf-16-be")

    return _SURROGATE_PAIR.sub(character, text)


def locate(content: object, path: tuple[str | int, ...], line: int) -> tuple[int, str]:
    """The line of a path, as deep as the file goes, and its steps that the file has (with a last that it lacks)."""
    seen: list[str | int] = []
    missing: str | int | None = None
    for step in path:
        if isinstance(content, Block) and step in content:
            line, content, missing = content.lines[str(step)], content[str(step)], None
        elif isinstance(content, Items) and isinstance(step, int) and step < len(content):
            line, content, missing = content.lines[step], content[step], None
        else:  # e.g. phases[0] of a subscription that says `plan: x` in short
            missing = step
            continue
        seen.append(step)
    return line, dotted([*seen, missing] if missing is not None else seen)


def dotted(path: list[str | int] | tuple[str | int, ...]) -> str:
    """The path of a field as people write it: ``prices[0].price.tiers[1].up_to``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
