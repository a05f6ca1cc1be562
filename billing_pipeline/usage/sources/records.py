"""Cutting a block of CSV into records, strictly, and going on after a record that never ends."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from billing_pipeline.usage.sources.chunk import LONGEST_LINE

# A quoted value with more line breaks than this is a quote that was never closed.
_MOST_LINES = 1000
# A quote opens a value only where the value begins; elsewhere it is a character (5" disk). Group 1: the closing quote.
_QUOTED = re.compile(rb'(?:\A|,)"(?:[^"]+|"")*("?)')
# The rest of a quoted value. Group 1: the closing quote; group 2 matches where the value ends with it.
_REST_OF_QUOTED = re.compile(rb'(?:[^"]+|"")*("?)((?=,|\r?\n|\Z))?')


@dataclass(frozen=True, slots=True)
class Record:
    """One record's bytes; ``fault`` is (code, reason) where it is none."""

    data: bytes
    fault: tuple[str, str] | None = None


def records(block: bytes) -> Iterator[Record]:
    """The records of a block. One whose quote is never closed is its first line; the next line starts anew."""
    lines = block.splitlines(keepends=True) if b"\r" not in block else _lines(block)
    at = 0
    while at < len(lines):
        count = _length(lines, at)
        if count:
            yield Record(b"".join(lines[at : at + count]))
        else:
            yield Record(lines[at], ("malformed_row", "A quote is opened and never closed."))
        at += count or 1


def _lines(block: bytes) -> list[bytes]:
    """Lines that end with a newline; a lone carriage return is part of its line."""
    lines = [line + b"\n" for line in block.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _length(lines: list[bytes], start: int) -> int:
    """How many lines the record has that starts there: up to the line that closes its last quote; 0 for none."""
    if not _opens(lines[start], 0):
        return 1
    size = len(lines[start])
    for count, line in enumerate(lines[start + 1 : start + _MOST_LINES], start=2):
        size += len(line)
        rest = _REST_OF_QUOTED.match(line)
        if rest is None or size > LONGEST_LINE:
            return 0
        if rest[1] and rest[2] is None:  # a quote, but not at the end of a value: the first was no opening quote
            return 0
        if rest[1] and not _opens(line, rest.end()):
            return count
    return 0


def _opens(line: bytes, start: int) -> bool:
    """Whether a value is opened with a quote after ``start`` and not closed on the line."""
    return any(not quoted[1] for quoted in _QUOTED.finditer(line, start))
