"""What a period's documents come to, by what is sold and by customer: grouped in the database, so that it is small."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text

from billing_pipeline.core.money import Money


@dataclass(frozen=True, slots=True)
class Revenue:
    """The lines of one kind, product and service period, added up; ``service`` is ``[start, end)``."""

    kind: str
    product: str | None
    service: tuple[date, date] | None
    lines: int
    amount: Money


@dataclass(frozen=True, slots=True)
class Mover:
    """A customer's documents of two periods."""

    customer: str
    before: Money
    now: Money


@dataclass(frozen=True, slots=True)
class Changed:
    """The documents whose newest version differs from the one before, of one currency."""

    documents: int
    difference: Money


def revenue(connection: Connection, period: date) -> list[Revenue]:
    """The lines of the period's documents, without void ones, by kind, product and service period."""
    query = text("""
        WITH known AS (
            SELECT id, version, replaceable, currency FROM current_document
            WHERE period = :period AND status <> 'void'
        ), line AS (
            SELECT k.currency, l.kind, l.product, l.service_start, l.service_end, l.amount_minor
            FROM known AS k JOIN document_line AS l ON l.document = k.id AND l.version = k.version
            WHERE NOT k.replaceable
            UNION ALL
            SELECT k.currency, l.kind, l.product, l.service_start, l.service_end, l.amount_minor
            FROM known AS k JOIN draft_line AS l ON l.document = k.id WHERE k.replaceable
        )
        SELECT kind, product, service_start, service_end, count(*) AS lines, sum(amount_minor) AS minor, currency
        FROM line GROUP BY 1, 2, 3, 4, 7 ORDER BY currency, kind, product, service_start, service_end
    """)
    return [
        Revenue(
            row.kind,
            row.product,
            (row.service_start, row.service_end) if row.service_start and row.service_end else None,
            row.lines,
            Money(int(row.minor), row.currency),
        )
        for row in connection.execute(query, {"period": period})
    ]


def movers(connection: Connection, period: date, before: date, most: int) -> list[Mover]:
    """Of each currency, the customers whose totals differ most from those of another period, largest first."""
    query = text("""
        WITH total AS (
            SELECT customer_id, currency,
                   coalesce(sum(total_minor) FILTER (WHERE period = :before), 0) AS before,
                   coalesce(sum(total_minor) FILTER (WHERE period = :period), 0) AS now
            FROM current_document WHERE period IN (:period, :before) AND status <> 'void' GROUP BY 1, 2
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY currency ORDER BY abs(now - before) DESC, customer_id) AS place
            FROM total WHERE now <> before
        )
        SELECT customer_id, before, now, currency FROM ranked WHERE place <= :most ORDER BY currency, place
    """)
    rows = connection.execute(query, {"period": period, "before": before, "most": most})
    return [
        Mover(row.customer_id, Money(int(row.before), row.currency), Money(int(row.now), row.currency)) for row in rows
    ]


def changed(connection: Connection, period: date) -> Sequence[Changed]:
    """How many documents' newest version changed an earlier one, and by how much, by currency."""
    query = text("""
        SELECT d.currency, count(*) AS documents, sum(d.total_minor - before.total_minor) AS minor
        FROM current_document AS d
        JOIN document_version AS before ON before.document = d.id AND before.version = d.version - 1
        WHERE d.period = :period AND d.version > 1 GROUP BY d.currency ORDER BY d.currency
    """)
    rows = connection.execute(query, {"period": period})
    return [Changed(row.documents, Money(int(row.minor), row.currency)) for row in rows]
