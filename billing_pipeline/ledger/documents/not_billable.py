"""Usage that is known and cannot be billed any more: kept with its reason."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text

from billing_pipeline.ledger.database import copy_rows, fetch
from billing_pipeline.ledger.tables import not_billable


@dataclass(frozen=True, slots=True)
class NotBillable:
    """Usage that is known and cannot be billed any more.

    Attributes:
        customer: code.
        document: the final document that holds the price's line.
        quantity: known now, less what was billed; negative where usage was taken back.
    """

    customer: int
    document: UUID
    subscription: str
    price: str
    dimensions: Mapping[str, str]
    quantity: Decimal
    reason: str


_NOT_BILLABLE = tuple(field.name for field in fields(NotBillable))


def forget_not_billable(connection: Connection, period: date, codes: Collection[int]) -> None:
    """Forget what of these customers' usage cannot be billed: it is computed again, and kept again."""
    query = text("DELETE FROM not_billable WHERE period = :period AND customer = ANY(:codes)")
    connection.execute(query, {"period": period, "codes": list(codes)})


def keep_not_billable(connection: Connection, period: date, rows: Iterable[NotBillable]) -> None:
    """Keep usage of a period that cannot be billed."""
    values = ((period, *(getattr(row, name) for name in _NOT_BILLABLE)) for row in rows)
    copy_rows(connection, not_billable, ("period", *_NOT_BILLABLE), values)


def kept_not_billable(connection: Connection, period: date) -> list[tuple[str, NotBillable]]:
    """Usage of a period that cannot be billed, with the customer's id, in the order of customer and price."""
    query = """
        SELECT c.id AS customer_id, n.* FROM not_billable AS n JOIN customer AS c ON c.code = n.customer
        WHERE n.period = :period ORDER BY c.id, n.subscription, n.price, CAST(n.dimensions AS text)
    """
    return [
        (row.customer_id, NotBillable(*(getattr(row, name) for name in _NOT_BILLABLE)))
        for row in fetch(connection, query, period=period)
    ]
