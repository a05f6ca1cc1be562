"""Revisits: customers' documents that must be computed again because another document became final."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date, datetime

from sqlalchemy import Connection

from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.ledger.database import copy_rows, fetch
from billing_pipeline.ledger.documents import final_documents, late_usage
from billing_pipeline.ledger.tables import revisit


def to_visit(
    connection: Connection,
    codes: Collection[int],
    calendar: BillingCalendar,
    now: datetime,
    batch: int | None = None,
) -> list[tuple[date, int, int | None]]:
    """The periods to be computed again: those of the customers' documents that are not final.

    Where there are none, those in which late usage was received that no final document carries, or in which a
    subscription was changed, and the running one.

    Returns:
        (period, customer, ``batch``): see :func:`ask_again`.
    """
    open_documents = final_documents.others(connection, codes, None)
    alone = [code for code in codes if code not in open_documents]
    received, changed = late_usage.late_received(connection, alone), _changed(connection, alone)
    visits: list[tuple[date, int, int | None]] = []
    for code in sorted(codes):
        days = {document.order[-1] for document in open_documents.get(code, ())}
        days = days or {_period_of(calendar, at) for at in received.get(code) or {*changed.get(code, ()), now}}
        visits += ((day, code, batch) for day in sorted(days))
    return visits


def _changed(connection: Connection, codes: Collection[int]) -> dict[int, set[datetime]]:
    """When subscriptions of customers were changed, after something of theirs was cut off."""
    query = """
        SELECT c.code, g.recorded_at FROM customer AS c
        JOIN catalog_entry AS e ON e.customer = c.id AND e.kind = 'subscription'
        JOIN catalog_change AS g ON g.number = e.change
        WHERE c.code = ANY(:codes)
          AND g.number > (SELECT min(f.change) FROM final_document AS f WHERE f.customer = c.code)
    """
    instants: dict[int, set[datetime]] = defaultdict(set)
    for row in fetch(connection, query, codes=codes):
        instants[row.code].add(row.recorded_at)
    return instants


def _period_of(calendar: BillingCalendar, at: datetime) -> date:
    period = calendar.period_of(at)
    assert period is not None, "nothing is final before the first period"  # noqa: S101
    return period.first_day


def ask_again(connection: Connection, visits: Iterable[tuple[date, int, int | None]]) -> None:
    """Ask for customers' documents to be computed again: (period, customer, the batch that is why)."""
    copy_rows(connection, revisit, ("period", "customer", "batch"), visits)


def take_asked(connection: Connection, period: date, codes: Collection[int]) -> dict[int, set[int]]:
    """The batches for which customers' documents were to be computed again; they are asked for no more.

    A customer without a batch is there, too, where another document that became final is why.
    """
    query = "DELETE FROM revisit WHERE period = :period AND customer = ANY(:codes) RETURNING customer, batch"
    batches: dict[int, set[int]] = defaultdict(set)
    for row in fetch(connection, query, period=period, codes=codes):
        batches[row.customer] |= set() if row.batch is None else {row.batch}
    return batches


def asked(connection: Connection, period: date, codes: Collection[int]) -> set[int]:
    """Those of the customers whose documents of the period are to be computed again."""
    query = "SELECT customer FROM revisit WHERE period = :period AND customer = ANY(:codes)"
    return {row.customer for row in fetch(connection, query, period=period, codes=codes)}
