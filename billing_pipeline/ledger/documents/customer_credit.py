"""Customer credit: what final documents with a negative total have left."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, text

from billing_pipeline.ledger.documents.voids import VOID_BEFORE


def credit(connection: Connection, codes: Collection[int], at: datetime | None = None) -> dict[int, int]:
    """Customer credit that final documents have left, in minor units, by customer; without those that have none."""
    query = text(f"""
        SELECT d.customer,
               sum(greatest(-v.total_minor, 0) - v.customer_credit_applied_minor) AS left_over
        FROM document_version AS v
        JOIN finalization AS f ON f.document = v.document AND f.version = v.version
        JOIN document AS d ON d.id = v.document
        LEFT JOIN {VOID_BEFORE}
        WHERE (v.total_minor < 0 OR v.customer_credit_applied_minor <> 0) AND d.customer = ANY(:codes)
          AND r.document IS NULL AND (CAST(:at AS timestamptz) IS NULL OR f.cutoff < :at)
        GROUP BY d.customer
        HAVING sum(greatest(-v.total_minor, 0) - v.customer_credit_applied_minor) <> 0
    """)  # noqa: S608 - column names
    return {row.customer: int(row.left_over) for row in connection.execute(query, {"codes": list(codes), "at": at})}
