"""A line as a row of the ledger: its columns are the fields of :class:`RatedLine`, in their order.

A new field is a field there, a column in ``tables.py`` and a migration; every place that stores or reads lines follows.
"""

from collections.abc import Sequence
from typing import Any

from billing_pipeline.core.money import Money
from billing_pipeline.rating.line import LineKind, RatedLine

_KIND, _DIMENSIONS, _AMOUNT, _ADJUSTS = (
    RatedLine._fields.index(name) for name in ("kind", "dimensions", "amount", "adjusts")
)
LINE_COLUMNS = tuple("amount_minor" if name == "amount" else name for name in RatedLine._fields)
RATED_COLUMNS = LINE_COLUMNS[:_ADJUSTS]  # rating adjusts nothing


def line_columns(table: str = "l") -> str:
    """The columns of a line in a query, for :func:`stored_line`."""
    return ", ".join(f"{table}.{name}" for name in LINE_COLUMNS)


def line_values(line: RatedLine) -> list[object]:
    """A line's values in the order of LINE_COLUMNS."""
    values: list[object] = list(line)
    values[_DIMENSIONS], values[_AMOUNT] = dict(line.dimensions), line.amount.minor
    return values


def stored_line(row: Sequence[Any], currency: str) -> RatedLine:
    """The line that a row is, which begins with LINE_COLUMNS, or with RATED_COLUMNS; amounts are in ``currency``."""
    values = list(row[: len(LINE_COLUMNS)])
    values[_KIND], values[_AMOUNT] = LineKind(values[_KIND]), Money(int(values[_AMOUNT]), currency)
    if len(values) > _ADJUSTS and values[_ADJUSTS] is not None:
        values[_ADJUSTS] = LineKind(values[_ADJUSTS])
    return RatedLine(*values)
