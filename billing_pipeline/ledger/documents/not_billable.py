"""Usage that is known and cannot be billed any more: kept with its reason."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text

from billing_pipeline.ledger.database import copy_rows
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


def forget_not_billable(connection: Connection, period: date, codes: Collection[int]) -> None:
    """What is computed again for these customers is kept again."""
    query = text("DELETE FROM not_billable WHERE period = :period AND customer = ANY(:codes)")
    connection.execute(query, {"period": period, "codes": list(codes)})


def keep_not_billable(connection: Connection, period: date, rows: Iterable[NotBillable]) -> None:
    """Keep usage of a period that cannot be billed."""
    columns = ("period", *_NOT_BILLABLE)
    copy_rows(
        connection, not_billable, columns, ((period, *(getattr(row, name) for name in _NOT_BILLABLE)) for row in rows)
    )


def kept_not_billable(connection: Connection, period: date) -> list[tuple[str, NotBillable]]:
    """(customer id, usage that cannot be billed) of a period, in the order of customer and price."""
    query = text("""
        SELECT c.id AS customer_id, n.* FROM not_billable AS n JOIN customer AS c ON c.code = n.customer
        WHERE n.period = :period ORDER BY c.id, n.subscription, n.price, n.dimensions::text
    """)
    return [
        (row.customer_id, NotBillable(*(getattr(row, name) for name in _NOT_BILLABLE)))
        for row in connection.execute(query, {"period": period})
    ]


_NOT_BILLABLE = ("customer", "document", "subscription", "price", "dimensions", "quantity", "reason")
