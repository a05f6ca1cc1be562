"""Results between the stages: quantities, usage counts and rated lines of a period's customers."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

from sqlalchemy import Connection, Table, text

from billing_pipeline.ledger.database import replace_rows
from billing_pipeline.ledger.tables import (
    metered_quantity,
    rated_line,
    usage_count,
)

QUANTITY_COLUMNS = (
    "period", "customer", "subscription", "phase_start", "price", "start", "cut", "dimensions", "quantity", "events",
    "provisional", "counted_to", "measures",
)  # fmt: skip


COUNT_COLUMNS = ("period", "customer", "meter", "landed", "accepted", "superseded", "retracted", "unpriced", "pending")


LINE_COLUMNS = (
    "period", "customer", "kind", "subscription", "plan", "plan_version", "price", "product", "description",
    "service_start", "service_end", "dimensions", "quantity", "amount_minor", "phase_start", "start",
)  # fmt: skip


def replace_quantities(
    connection: Connection, period: date, codes: Collection[int], rows: Iterable[Sequence[object]]
) -> int:
    """Store these customers' quantities (QUANTITY_COLUMNS) in place of the ones before."""
    return replace_rows(connection, metered_quantity, period, codes, QUANTITY_COLUMNS, rows)


def replace_counts(
    connection: Connection, period: date, codes: Collection[int], rows: Iterable[Sequence[object]]
) -> int:
    """Store these customers' usage counts (COUNT_COLUMNS) in place of the ones before."""
    return replace_rows(connection, usage_count, period, codes, COUNT_COLUMNS, rows)


def replace_lines(
    connection: Connection, period: date, codes: Collection[int], rows: Iterable[Sequence[object]]
) -> int:
    """Store these customers' rated lines (LINE_COLUMNS) in place of the ones before."""
    return replace_rows(connection, rated_line, period, codes, LINE_COLUMNS, rows)


def quantities(connection: Connection, period: date, codes: Collection[int]) -> dict[int, list[Mapping[str, object]]]:
    """Stored quantities by customer code, as mappings of QUANTITY_COLUMNS."""
    return _by_customer(connection, metered_quantity, period, codes)


def lines(connection: Connection, period: date, codes: Collection[int]) -> dict[int, list[Mapping[str, object]]]:
    """Stored rated lines by customer code, as mappings of LINE_COLUMNS."""
    return _by_customer(connection, rated_line, period, codes)


def _by_customer(
    connection: Connection, table: Table, period: date, codes: Collection[int]
) -> dict[int, list[Mapping[str, object]]]:
    query = text(f'SELECT * FROM "{table.name}" WHERE period = :period AND customer = ANY(:codes)')  # noqa: S608 - a table's name
    found: dict[int, list[Mapping[str, object]]] = {code: [] for code in codes}
    result = connection.execute(query, {"period": period, "codes": list(codes)})
    names = tuple(result.keys())
    for row in result.all():  # one by one takes three times as long
        mapping = dict(zip(names, row, strict=True))
        found[mapping["customer"]].append(mapping)
    return found
