"""Small tables about a period, for people: each a query, amounts as money."""

from datetime import date

from sqlalchemy import Connection, RowMapping, text

from billing_pipeline.core.money import Money

Row = dict[str, object]
_EXAMPLES = 10  # where the command line lists all
# A draft without lines is not issued, and nobody's invoice.
_ISSUED = """
    (number IS NOT NULL OR EXISTS (
        SELECT FROM draft_line WHERE document = d.id AND d.replaceable
        UNION ALL SELECT FROM document_line WHERE document = d.id AND version = d.version))
"""


def _rows(connection: Connection, query: str, **values: object) -> list[Row]:
    return [_with_money(row) for row in connection.execute(text(query), values).mappings()]


def _with_money(row: RowMapping) -> Row:
    """``x_minor`` becomes ``x``, money of the row's ``currency``, which then stands nowhere else."""
    return {
        name.removesuffix("_minor"): Money(int(value), row["currency"]) if name.endswith("_minor") else value
        for name, value in row.items()
        if name != "currency"
    }


def batches(connection: Connection, period: date) -> list[Row]:
    """The newest batches that touch the period."""
    query = """
        SELECT b.number AS batch, b.source, b.name, p.rows, b.received_at AS received FROM batch_period AS p
        JOIN batch AS b ON b.number = p.batch WHERE p.period = :period ORDER BY b.number DESC LIMIT :shown
    """
    return _rows(connection, query, period=period, shown=_EXAMPLES)


def sources(connection: Connection, period: date) -> list[Row]:
    """By source: batches and rows of the period, and quarantined rows of these batches."""
    query = """
        SELECT b.source, count(*) AS batches, sum(p.rows)::bigint AS rows, sum(b.quarantined)::bigint AS quarantined
        FROM batch_period AS p JOIN batch AS b ON b.number = p.batch WHERE p.period = :period
        GROUP BY b.source ORDER BY b.source
    """
    return _rows(connection, query, period=period)


def files(connection: Connection, period: date) -> int:
    """How many lake files the period has."""
    return int(connection.scalar(text("SELECT count(*) FROM lake_file WHERE period = :period"), {"period": period}))


def rows(connection: Connection, period: date) -> int:
    """How many rows the period has in the lake."""
    query = text("SELECT coalesce(sum(rows), 0) FROM lake_file WHERE period = :period")
    return int(connection.scalar(query, {"period": period}))


def quarantined(connection: Connection, period: date) -> int:
    """Rows that wait in quarantine, of batches that touch the period."""
    query = text("""
        SELECT count(*) FROM quarantine AS q LEFT JOIN quarantine_replay AS r ON r.quarantine_id = q.id
        WHERE r.batch IS NULL AND q.batch IN (SELECT batch FROM batch_period WHERE period = :period)
    """)
    return int(connection.scalar(query, {"period": period}))


def meters(connection: Connection, period: date) -> list[Row]:
    """By meter, where its reports ended."""
    query = """
        SELECT m.id AS meter, count(*) AS customers, sum(landed)::bigint AS landed, sum(accepted)::bigint AS accepted,
               sum(superseded)::bigint AS superseded, sum(retracted)::bigint AS retracted,
               sum(unpriced)::bigint AS unpriced, sum(pending)::bigint AS pending
        FROM usage_count AS u JOIN meter AS m ON m.code = u.meter WHERE u.period = :period GROUP BY m.id ORDER BY m.id
    """
    return _rows(connection, query, period=period)


def quantities(connection: Connection, period: date) -> list[Row]:
    """By price, the metered quantities: how many there are, and of how many events."""
    query = """
        SELECT price, count(DISTINCT customer) AS customers, count(*) AS quantities, sum(events)::bigint AS events
        FROM metered_quantity WHERE period = :period GROUP BY price ORDER BY price
    """
    return _rows(connection, query, period=period)


def prices(connection: Connection, period: date) -> list[Row]:
    """By plan and price, the rated lines."""
    query = """
        SELECT l.plan, l.price, e.content ->> 'currency' AS currency, count(DISTINCT l.customer) AS customers,
               count(*) AS lines, sum(l.quantity) AS quantity, sum(l.amount_minor) AS amount_minor
        FROM rated_line AS l JOIN catalog_entry AS e
          ON e.kind = 'plan' AND e.id = l.plan AND coalesce((e.content ->> 'version')::int, 1) = l.plan_version
        WHERE l.period = :period GROUP BY 1, 2, 3 ORDER BY 1, 2
    """
    return _rows(connection, query, period=period)


def documents_by_status(connection: Connection, period: date) -> list[Row]:
    """By kind, status and currency."""
    query = f"""
        SELECT kind, status, currency, count(*) AS documents, sum(total_minor) AS total_minor
        FROM current_document AS d WHERE period = :period AND {_ISSUED} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """  # noqa: S608 - our own condition
    return _rows(connection, query, period=period)


def largest_documents(connection: Connection, period: date) -> list[Row]:
    """The largest documents of the period."""
    query = f"""
        SELECT customer_id AS customer, total_minor, number, kind, status, version, lock_at AS locks, currency
        FROM current_document AS d WHERE period = :period AND {_ISSUED}
        ORDER BY total_minor DESC, customer_id LIMIT :shown
    """  # noqa: S608 - our own condition
    return _rows(connection, query, period=period, shown=_EXAMPLES)


def changed_documents(connection: Connection, period: date) -> list[Row]:
    """Documents that have had more than one version, the last change first."""
    query = """
        SELECT d.customer_id AS customer, before.total_minor AS before_minor, d.total_minor AS after_minor,
               d.total_minor - before.total_minor AS difference_minor, d.reason AS because, d.version, d.kind,
               d.recorded_at AS changed, d.currency
        FROM current_document AS d
        JOIN document_version AS before ON before.document = d.id AND before.version = d.version - 1
        WHERE d.period = :period AND d.version > 1
        ORDER BY d.recorded_at DESC, abs(d.total_minor - before.total_minor) DESC, d.customer_id LIMIT :shown
    """
    return _rows(connection, query, period=period, shown=_EXAMPLES)


def payments(connection: Connection, period: date) -> list[Row]:
    """By gateway, status and currency."""
    query = """
        SELECT p.gateway, p.status, d.currency, count(*) AS payments, sum(p.amount_minor) AS amount_minor
        FROM payment AS p JOIN document AS d ON d.id = p.document WHERE d.period = :period
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """
    return _rows(connection, query, period=period)
