"""Revisits: customers' documents that must be computed again because another document became final."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date, datetime

from sqlalchemy import Connection, text

from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.ledger.database import copy_rows
from billing_pipeline.ledger.documents import final_documents, late_usage
from billing_pipeline.ledger.tables import revisit


def to_visit(
    connection: Connection,
    codes: Collection[int],
    calendar: BillingCalendar,
    now: datetime,
    batch: int | None = None,
) -> list[tuple[date, int, int | None]]:
    """The periods of these customers' documents that are not final.

    Where there are none, those in which late usage was received that no final document carries, or the running one.
    """
    open_documents = final_documents.others(connection, codes, None)
    alone = [code for code in codes if code not in open_documents]
    received = late_usage.late_received(connection, alone)
    visits: list[tuple[date, int, int | None]] = []
    for code in sorted(codes):
        days = {one.order[-1] for one in open_documents.get(code, ())}
        days = days or {_period_of(calendar, at) for at in received.get(code, ()) or (now,)}
        visits += ((day, code, batch) for day in sorted(days))
    return visits


def _period_of(calendar: BillingCalendar, at: datetime) -> date:
    period = calendar.period_of(at)
    assert period is not None, "nothing is final before the first period"  # noqa: S101
    return period.first_day


def ask_again(connection: Connection, asked: Iterable[tuple[date, int, int | None]]) -> None:
    """Ask for documents to be computed again: (period, customer, the batch that is why)."""
    copy_rows(connection, revisit, ("period", "customer", "batch"), asked)


def take_asked(connection: Connection, period: date, codes: Collection[int]) -> dict[int, set[int]]:
    """What was asked for in a period, by customer, with the batches that are why; it is asked for no more."""
    query = text("DELETE FROM revisit WHERE period = :period AND customer = ANY(:codes) RETURNING customer, batch")
    found: dict[int, set[int]] = defaultdict(set)
    for row in connection.execute(query, {"period": period, "codes": list(codes)}):
        found[row.customer] |= set() if row.batch is None else {row.batch}
    return found


def asked(connection: Connection, period: date, codes: Collection[int]) -> set[int]:
    """Those of the customers whose documents of the period are to be computed again."""
    query = text("SELECT customer FROM revisit WHERE period = :period AND customer = ANY(:codes)")
    return set(connection.scalars(query, {"period": period, "codes": list(codes)}))
