"""JSON objects to columns of text: nested objects become dotted columns, and no digit passes through a float."""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa

from billing_pipeline.core.plain_json import unique_fields
from billing_pipeline.core.plain_text import shortened
from billing_pipeline.usage.arrow import Array, pc
from billing_pipeline.usage.sources.chunk import MOST_COLUMNS, fault_of_name, refuse_names

# Numbers stay as they were written; NaN and Infinity arrive as words and are quarantined as values.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=unique_fields)


def decode(text: str) -> object:
    """One JSON value, its numbers as text. Raises ValueError (and RecursionError for absurd nesting)."""
    return _DECODER.decode(text)


def decode_next(text: str, start: int) -> tuple[object, int]:
    """The JSON value that begins at ``start``, and where it ends. Raises ValueError where it is not complete."""
    return _DECODER.raw_decode(text, start)


def as_text(value: object) -> str | None:
    """A JSON value as the text of a cell; lists and objects as compact JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=str)
    return str(value)


def columns_of(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """One text column per key of any row, in order of appearance; ``{"a": {"b": 1}}`` is the column ``a.b``.

    Raises:
        UnicodeEncodeError: a text holds half a surrogate pair, which is no text.
        UsageError: there are more keys than any delivery has columns.
        ValueError: a key cannot name a column, or a row has a column twice.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    arrays: dict[str, Array] = {}
    for name in names:
        _add(arrays, name, [row.get(name) for row in rows])
    return pa.table(arrays) if arrays else pa.table({"": pa.nulls(len(rows), pa.string())})


def _add(arrays: dict[str, Array], name: str, values: Sequence[object]) -> None:
    if len(arrays) > MOST_COLUMNS:
        refuse_names(arrays)
    if fault := fault_of_name(name):
        raise ValueError(fault)
    if any(isinstance(value, dict) for value in values):
        nested = [value if isinstance(value, dict) else {} for value in values]
        for key in dict.fromkeys(key for value in nested for key in value):
            _add(arrays, f"{name}.{key}", [value.get(key) for value in nested])
        values = [None if isinstance(value, dict) else value for value in values]
        if all(value is None for value in values):
            return
    try:
        texts = pa.array(values, pa.string())
    except (TypeError, pa.ArrowInvalid):  # something else than text among them: booleans, lists
        texts = pa.array([as_text(value) for value in values], pa.string())
    if name in arrays:  # a row spelt "a.b" where another nests b in a
        if pc.any(pc.and_(texts.is_valid(), arrays[name].is_valid())).as_py():
            raise ValueError(f"{shortened(repr(name))} is given twice in one object")
        texts = pc.coalesce(arrays[name], texts)
    arrays[name] = texts
