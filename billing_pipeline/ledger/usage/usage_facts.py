"""What the ledger knows of a period's usage: what a profile of the lake is compared with."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select, text

from billing_pipeline.ledger.tables import lake_file, metered_quantity, usage_count
from billing_pipeline.usage.profiles.facts import (
    NegativeQuantity,
    PeriodBatch,
    Quarantined,
    Unrated,
    counts_schema,
)

if TYPE_CHECKING:
    import pyarrow as pa

# Deliveries that concern a period: with rows in it, or without any row accepted and received while it ran; and not
# replaced by a newer delivery of all their snapshot scopes, or as a whole.
_CONCERNED = """
    SELECT b.* FROM batch AS b
    WHERE (b.number IN (SELECT p.batch FROM batch_period AS p WHERE p.period = :period)
           OR (b.received_at >= :start AND b.received_at < :end
               AND NOT EXISTS (SELECT FROM batch_period AS p WHERE p.batch = b.number)))
      AND NOT coalesce((SELECT bool_and(EXISTS (SELECT FROM snapshot_delivery AS newer
                                                WHERE newer.scope = d.scope AND newer.batch > d.batch))
                        FROM snapshot_delivery AS d WHERE d.batch = b.number), false)
      AND NOT EXISTS (SELECT FROM batch AS newer WHERE newer.replaces = b.number)
"""


def at_one_moment(connection: Connection) -> None:
    """Let the connection read on as all stood now, whatever is committed meanwhile. First in its transaction."""
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))


def settled_through(connection: Connection, period: date, buckets: int) -> int:
    """The last batch that metering has seen in every bucket; 0 while there is a bucket it has not begun."""
    query = text("SELECT count(*), min(through_batch) FROM period_bucket WHERE period = :period")
    begun, through = connection.execute(query, {"period": period}).one()
    return int(through) if begun == buckets else 0


def counts(connection: Connection, period: date) -> "pa.Table":
    """The period's usage counts (``counts_schema``)."""
    import pyarrow as pa

    names = counts_schema().names
    query = select(*(usage_count.c[name] for name in names)).where(usage_count.c.period == period)
    columns = [*zip(*connection.execute(query), strict=True)] or [()] * len(names)
    counted: pa.Table = pa.table(dict(zip(names, columns, strict=True)), counts_schema())
    return counted


def final_under(connection: Connection, period: date) -> dict[int, set[int]]:
    """Customers (codes) whose usage in the period is final, by the last catalog change that counts for them."""
    query = text("""
        SELECT change, array_agg(customer) AS customers FROM (
            SELECT customer, max(change) AS change FROM final_document WHERE period = :period AND has_usage
            GROUP BY customer
        ) AS final GROUP BY change
    """)
    return {row.change: set(row.customers) for row in connection.execute(query, {"period": period})}


def accepted_events(connection: Connection, periods: Sequence[date]) -> Mapping[int, list[int]]:
    """Accepted events of each meter (code) in each of these periods that has any."""
    query = (
        select(usage_count.c.meter, func.sum(usage_count.c.accepted).label("events"))
        .where(usage_count.c.period.in_(periods))
        .group_by(usage_count.c.period, usage_count.c.meter)
        .order_by(usage_count.c.period)
    )
    by_meter = defaultdict[int, list[int]](list)
    for row in connection.execute(query):
        by_meter[row.meter].append(int(row.events))
    return by_meter


def batches(connection: Connection, period: date) -> dict[int, PeriodBatch]:
    """Deliveries with rows in the period, by number; what kind of source each has is catalog."""
    query = text("""
        SELECT b.number, b.source, b.name, b.rows, b.quarantined,
               (SELECT coalesce(sum(f.rows), 0) FROM lake_file AS f WHERE f.batch = b.number) AS kept
        FROM batch AS b WHERE b.number IN (SELECT p.batch FROM batch_period AS p WHERE p.period = :period)
    """)
    return {
        row.number: PeriodBatch(row.source, row.name, row.rows, row.quarantined, int(row.kept))
        for row in connection.execute(query, {"period": period})
    }


def sources(connection: Connection, period: date) -> frozenset[str]:
    """Sources that have rows in the period."""
    query = text("SELECT DISTINCT source FROM batch JOIN batch_period ON batch = number WHERE period = :period")
    return frozenset(connection.scalars(query, {"period": period}))


def later_periods(connection: Connection, last: date) -> list[date]:
    """First days of the periods after ``last`` that have usage."""
    query = select(lake_file.c.period).where(lake_file.c.period > last).distinct()
    return sorted(connection.scalars(query))


def negative_quantities(connection: Connection, period: date) -> list[NegativeQuantity]:
    """The period's quantities below zero, by customer and price."""
    query = (
        select(
            metered_quantity.c.customer,
            metered_quantity.c.price,
            func.count().label("count"),
            func.min(metered_quantity.c.quantity).label("least"),
        )
        .where(metered_quantity.c.period == period, metered_quantity.c.quantity < 0)
        .group_by(metered_quantity.c.customer, metered_quantity.c.price)
    )
    return [NegativeQuantity(*row) for row in connection.execute(query)]


def unrated(connection: Connection, period: date, cause: str) -> list[Unrated]:
    """Customers that rating holds now, because a quantity has no rate."""
    query = text("""
        SELECT customer, reason FROM open_hold WHERE period = :period AND cause = :cause
    """)
    return [Unrated(*row) for row in connection.execute(query, {"period": period, "cause": cause})]


def quarantined(connection: Connection, span: Mapping[str, object]) -> list[Quarantined]:
    """How much of each source waits in quarantine; whom it concerns is left open.

    Args:
        connection: of the ledger.
        span: the period's first day (``period``), ``start`` and ``end``.
    """
    query = text(f"""
        WITH concerned AS ({_CONCERNED}), waiting AS (
            SELECT q.batch, count(DISTINCT q.row) AS rows FROM quarantine AS q
            LEFT JOIN quarantine_replay AS r ON r.quarantine_id = q.id
            WHERE r.quarantine_id IS NULL AND q.batch IN (SELECT number FROM concerned) GROUP BY q.batch
        )
        SELECT c.source, sum(c.rows) AS rows, coalesce(sum(w.rows), 0) AS waiting, min(w.batch) AS batch
        FROM concerned AS c LEFT JOIN waiting AS w ON w.batch = c.number
        WHERE c.replay_of IS NULL GROUP BY c.source ORDER BY c.source
    """)  # noqa: S608 - our own text
    rows = connection.execute(query, span)
    return [Quarantined(row.source, int(row.rows), int(row.waiting), batch=row.batch) for row in rows]


def customers_waiting(connection: Connection, span: Mapping[str, object], source: str, column: str) -> tuple[int, ...]:
    """Codes of the known customers whom a source's waiting rows name in ``column``.

    No id holds a NUL, and PostgreSQL does not read a row with one.
    """
    query = text(f"""
        SELECT DISTINCT c.code FROM ({_CONCERNED}) AS b
        JOIN quarantine AS q ON q.batch = b.number
        LEFT JOIN quarantine_replay AS r ON r.quarantine_id = q.id
        JOIN customer AS c ON c.id = CASE WHEN position('\\u0000' IN q.raw) = 0 THEN q.raw::json ->> :column END
        WHERE b.source = :source AND q.parsed AND r.quarantine_id IS NULL ORDER BY c.code
    """)  # noqa: S608 - our own text
    return tuple(connection.scalars(query, {**span, "source": source, "column": column}))
