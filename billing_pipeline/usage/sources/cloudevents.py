"""CloudEvents 1.0 in structured JSON: one event, a batch (an array), or one event a line.

``source`` and ``id`` together identify an event: they become the column ``source+id``. ``data`` may also be an object
in a JSON text or in ``data_base64``.

Source: https://github.com/cloudevents/spec, JSON format 1.0.2.
"""

import binascii
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

from billing_pipeline.core.errors import UsageError
from billing_pipeline.usage.sources.chunk import BadRow, Chunk
from billing_pipeline.usage.sources.columns import IDENTITY
from billing_pipeline.usage.sources.json_text import as_text, decode, decode_next
from billing_pipeline.usage.sources.jsonl import chunk_of, json_object, read_jsonl
from billing_pipeline.usage.sources.lines import opened, utf8_blocks

_REQUIRED = ("id", "source", "specversion", "type")
_ROWS = 1 << 14
_BLANK = " \t\r\n"
# An element of an array that is longer than this is not an event: the array is broken somewhere before.
_LONGEST_ELEMENT = 1 << 26
_LONGEST_CHARACTER = 4  # bytes of UTF-8


def read_cloudevents(path: Path) -> Iterator[Chunk]:
    """The file's events as chunks of text columns.

    Raises:
        UsageError: a batch is no JSON array: what is broken in it cannot be told from what follows.
    """
    start = _first_line(path).lstrip(_BLANK)
    if start.startswith("["):
        return _array(path)
    if start.startswith("{") and not _is_whole(start):
        return _one(path)
    return read_jsonl(path, _event)


def _event(value: object) -> dict[str, object]:
    event = json_object(value)
    missing = [name for name in _REQUIRED if not event.get(name)]
    if missing:
        raise ValueError(f"No CloudEvent: it has no {', '.join(missing)}.")
    event = {**event, IDENTITY: f"{as_text(event['source'])}/{as_text(event['id'])}"}
    encoded = event.pop("data_base64", None)
    if encoded is not None:
        event["data"] = _decoded(encoded)
    if isinstance(event.get("data"), str) and str(event["data"]).lstrip(_BLANK).startswith("{"):
        event["data"] = decode(str(event["data"]))
    return event


def _decoded(encoded: object) -> str:
    try:
        return b64decode(str(encoded), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"data_base64 cannot be read: {error}.") from error


def _first_line(path: Path) -> str:
    with opened(path) as file:
        return next(utf8_blocks(file), b"").lstrip().split(b"\n", 1)[0].decode(errors="replace")


def _is_whole(line: str) -> bool:
    try:
        decode(line)
    except (ValueError, RecursionError):
        return False
    return True


def _one(path: Path) -> Iterator[Chunk]:
    """One event over several lines; where it is none, each line is looked at by itself."""
    with opened(path) as file:
        data = b"".join(utf8_blocks(file)) if path.stat().st_size <= _LONGEST_ELEMENT else b""
        size = file.bytes_read
    try:
        event = _event(decode(data.decode()))
    except (ValueError, RecursionError):
        yield from read_jsonl(path, _event)
        return
    yield chunk_of([event], [1], [], size)


def _array(path: Path) -> Iterator[Chunk]:
    with opened(path) as file:
        events: list[dict[str, object]] = []
        rows: list[int] = []
        bad: list[BadRow] = []
        for row, element in enumerate(_elements(_texts(utf8_blocks(file)), path.name), start=1):
            try:
                events.append(_event(element))
                rows.append(row)
            except (ValueError, RecursionError) as error:
                bad.append(BadRow(row, "malformed_row", str(error), as_text(element) or "null"))
            if len(events) + len(bad) == _ROWS:
                yield chunk_of(events, rows, bad, file.bytes_read)
                events, rows, bad = [], [], []
        yield chunk_of(events, rows, bad, file.bytes_read)


def _texts(blocks: Iterator[bytes]) -> Iterator[str]:
    """The blocks as text; a character may lie across two of them."""
    waiting = b""
    for block in blocks:
        data = waiting + block
        try:
            yield data.decode()
            waiting = b""
        except UnicodeDecodeError as error:
            if len(data) - error.start >= _LONGEST_CHARACTER:
                raise UsageError(
                    f"The array is not UTF-8 near byte {error.start} of a block.",
                    hint="Export it as UTF-8, or one event a line; nothing was recorded.",
                ) from error
            yield data[: error.start].decode()
            waiting = data[error.start :]


def _elements(texts: Iterator[str], name: str) -> Iterator[object]:
    """The elements of one JSON array, without holding more than a few of them."""
    text, at = next(texts, ""), 0
    at = text.index("[") + 1
    while True:
        at = _skip(text, at, _BLANK + ",")
        if text[at : at + 1] == "]":
            return
        try:
            element, end = decode_next(text, at)
        except (ValueError, RecursionError) as error:
            following = next(texts, "")
            if not following or len(text) - at > _LONGEST_ELEMENT:
                raise UsageError(
                    f"{name} is no whole JSON array: {error}.",
                    hint="It is truncated or damaged; deliver it again. Nothing was recorded.",
                ) from error
            text, at = text[at:] + following, 0
        else:
            yield element
            at = end


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at
