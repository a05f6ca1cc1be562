"""Late usage: which was received after a document's cutoff, and which final document carries it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert as upsert

from billing_pipeline.ledger.database import fetch
from billing_pipeline.ledger.tables import late_usage


def with_late_usage(connection: Connection, codes: Collection[int]) -> set[int]:
    """Those of the customers with late usage that no final document carries."""
    query = "SELECT DISTINCT customer FROM late_usage WHERE customer = ANY(:codes) AND settled_by IS NULL"
    return {row.customer for row in fetch(connection, query, codes=codes)}


def unsettled_periods(connection: Connection, codes: Collection[int]) -> dict[int, tuple[date, ...]]:
    """The periods of late usage that no final document carries, by customer."""
    query = """
        SELECT customer, array_agg(DISTINCT period ORDER BY period) AS periods FROM late_usage
        WHERE customer = ANY(:codes) AND settled_by IS NULL GROUP BY customer
    """
    return {row.customer: tuple(row.periods) for row in fetch(connection, query, codes=codes)}


def unmetered(connection: Connection, buckets: Collection[int], batch: int) -> list[date]:
    """The periods in which something is final, and usage through ``batch`` is not metered yet."""
    query = """
        SELECT DISTINCT b.period FROM batch_period AS b
        JOIN period_bucket AS p ON p.period = b.period AND p.bucket = ANY(:buckets)
        WHERE b.batch > p.through_batch AND b.batch <= :batch AND EXISTS (
            SELECT FROM final_document AS d WHERE d.period = b.period AND d.bucket = p.bucket
        ) ORDER BY b.period
    """
    return [row.period for row in fetch(connection, query, buckets=buckets, batch=batch)]


def late_received(connection: Connection, codes: Collection[int]) -> dict[int, set[datetime]]:
    """When customers' late usage was received that no final document carries, by customer."""
    query = """
        SELECT DISTINCT l.customer, b.received_at FROM late_usage AS l JOIN batch AS b ON b.number = l.batch
        WHERE l.customer = ANY(:codes) AND l.settled_by IS NULL
    """
    received: dict[int, set[datetime]] = defaultdict(set)
    for row in fetch(connection, query, codes=codes):
        received[row.customer].add(row.received_at)
    return received


def late_in(connection: Connection, period: date, codes: Collection[int]) -> dict[int, int]:
    """The newest late batch of each of these customers that has one in the period."""
    query = """
        SELECT customer, max(batch) AS batch FROM late_usage
        WHERE period = :period AND customer = ANY(:codes) GROUP BY customer
    """
    return {row.customer: row.batch for row in fetch(connection, query, period=period, codes=codes)}


def note_late(connection: Connection, period: date, late: Iterable[tuple[int, int]]) -> None:
    """Keep (customer, batch) of usage received at or after the cutoff of one of the period's documents."""
    rows = [{"period": period, "customer": customer, "batch": batch} for customer, batch in late]
    if rows:
        connection.execute(upsert(late_usage).on_conflict_do_nothing(), rows)


def mark_carried(
    connection: Connection, carriers: Mapping[int, tuple[UUID, int]], waiting: Mapping[int, int] | None = None
) -> None:
    """Note that late usage is on a final document.

    Args:
        connection: of the ledger.
        carriers: (document, the last batch before its cutoff), by customer.
        waiting: the last batch that a document carries which is cut off and not final yet, by customer.
    """
    query = text("""
        UPDATE late_usage AS l SET settled_by = c.document
        FROM unnest(CAST(:codes AS int[]), CAST(:documents AS uuid[]), CAST(:batches AS bigint[]),
                    CAST(:waiting AS bigint[])) AS c (customer, document, batch, waiting)
        WHERE l.customer = c.customer AND l.batch <= c.batch AND l.batch > c.waiting AND l.settled_by IS NULL
    """)
    if carriers:
        documents, batches = zip(*carriers.values(), strict=True)
        taken = [(waiting or {}).get(code, 0) for code in carriers]
        values = {"codes": list(carriers), "documents": list(documents), "batches": list(batches), "waiting": taken}
        connection.execute(query, values)


def mark_not_carried(connection: Connection, document: UUID) -> None:
    """Note that what a document carried is to be carried again: another takes its place."""
    query = text("UPDATE late_usage SET settled_by = NULL WHERE settled_by = :document")
    connection.execute(query, {"document": document})
