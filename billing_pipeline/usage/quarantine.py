"""Rows that cannot be billed as sent: nothing is dropped, each says why, and each can be mended and replayed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """One input row that waits to be mended.

    Attributes:
        row: 1-based number of the data row in its delivery.
        column: the delivery's column at fault; None where it is the row as a whole.
        value: what stands there.
        code: what is wrong, for machines.
        reason: what is wrong, for people.
        raw: JSON of the row's columns, or, where it could not be read as columns, the line itself.
        parsed: whether ``raw`` is JSON of columns.
    """

    row: int
    column: str | None
    value: str | None
    code: str
    reason: str
    raw: str
    parsed: bool


def raw_of(values: Mapping[str, str | None]) -> str:
    """A row's columns as stored: nulls are left out, an absent column is the same."""
    return json.dumps({name: value for name, value in values.items() if value is not None}, ensure_ascii=False)


def values_of(raw: str) -> dict[str, str]:
    """A stored row's columns."""
    values: dict[str, str] = json.loads(raw)
    return values
