"""Results between the stages: the quantities, usage counts and rated lines of a period's customers."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, Table

from billing_pipeline.ledger.database import fetch, replace_rows
from billing_pipeline.ledger.lines import RATED_COLUMNS, line_values, stored_line
from billing_pipeline.ledger.tables import metered_quantity, rated_line, usage_count
from billing_pipeline.metering.measurement import UsageCount
from billing_pipeline.metering.segments import SegmentKey
from billing_pipeline.rating.line import MeteredQuantity, RatedLine

_WHOSE = ("period", "customer")
_QUANTITY = (
    "subscription", "phase_start", "price", "start", "cut", "dimensions", "quantity", "events", "provisional",
    "counted_to", "measures",
)  # fmt: skip
_COUNT = ("meter", "landed", "accepted", "superseded", "retracted", "unpriced", "pending")


def replace_quantities(
    connection: Connection, period: date, quantities: Mapping[int, Sequence[MeteredQuantity]]
) -> int:
    """Store customers' quantities, by customer code, in place of the ones before; returns how many."""
    rows = (
        (
            period, code, *quantity.segment, quantity.start, quantity.cut, dict(quantity.dimensions),
            quantity.quantity, quantity.events, quantity.provisional, quantity.counted_to, quantity.measures,
        )
        for code, of_customer in quantities.items()
        for quantity in of_customer
    )  # fmt: skip
    return replace_rows(connection, metered_quantity, period, quantities, (*_WHOSE, *_QUANTITY), rows)


def replace_counts(
    connection: Connection,
    period: date,
    codes: Collection[int],
    counts: Collection[UsageCount],
    meters: Mapping[str, int],
) -> None:
    """Store customers' usage counts in place of the ones before; ``meters`` are codes by id."""
    rows = (
        (
            period, count.customer, meters[count.meter], count.landed, count.accepted, count.superseded,
            count.retracted, count.unpriced, count.pending,
        )
        for count in counts
    )  # fmt: skip
    replace_rows(connection, usage_count, period, codes, (*_WHOSE, *_COUNT), rows)


def replace_lines(connection: Connection, period: date, lines: Mapping[int, Sequence[RatedLine]]) -> int:
    """Store customers' rated lines, by customer code, in place of the ones before; returns how many."""
    rows = (
        (period, code, *line_values(line)[: len(RATED_COLUMNS)])
        for code, of_customer in lines.items()
        for line in of_customer
    )
    return replace_rows(connection, rated_line, period, lines, (*_WHOSE, *RATED_COLUMNS), rows)


def quantities(connection: Connection, period: date, codes: Collection[int]) -> dict[int, list[MeteredQuantity]]:
    """Customers' stored quantities, by customer code."""
    by_customer: dict[int, list[MeteredQuantity]] = {code: [] for code in codes}
    for code, subscription, phase_start, price, *measured, measures in _rows(
        connection, metered_quantity, _QUANTITY, period, codes
    ):
        measured.append(None if measures is None else tuple(measures))
        by_customer[code].append(MeteredQuantity(SegmentKey(subscription, phase_start, price), *measured))
    return by_customer


def lines(connection: Connection, period: date, currencies: Mapping[int, str]) -> dict[int, list[RatedLine]]:
    """Customers' stored rated lines, by customer code; ``currencies`` are the customers' own, by code."""
    by_customer: dict[int, list[RatedLine]] = {code: [] for code in currencies}
    for code, *values in _rows(connection, rated_line, RATED_COLUMNS, period, currencies):
        by_customer[code].append(stored_line(values, currencies[code]))
    return by_customer


def _rows(
    connection: Connection, table: Table, columns: Sequence[str], period: date, codes: Collection[int]
) -> Sequence[Any]:
    """Rows of customers: their code, then these columns."""
    names = ", ".join(f'"{name}"' for name in columns)
    query = f'SELECT customer, {names} FROM "{table.name}" WHERE period = :period AND customer = ANY(:codes)'  # noqa: S608 - names
    return fetch(connection, query, period=period, codes=codes)
