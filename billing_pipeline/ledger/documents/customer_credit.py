"""Customer credit: what final documents with a negative total have left."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from billing_pipeline.ledger.database import fetch
from billing_pipeline.ledger.documents.finalization import FINAL_BEFORE
from billing_pipeline.ledger.documents.voids import VOID_BEFORE


def credit(connection: Connection, codes: Collection[int], at: datetime | None = None) -> dict[int, int]:
    """Customer credit that final documents have left, in minor units, by customer; without those that have none.

    With ``at``, of what was final and not void before that instant.
    """
    query = f"""
        SELECT d.customer,
               sum(greatest(-d.total_minor, 0) - d.customer_credit_applied_minor) AS left_over
        FROM final_document AS d
        LEFT JOIN {VOID_BEFORE}
        WHERE (d.total_minor < 0 OR d.customer_credit_applied_minor <> 0) AND d.customer = ANY(:codes)
          AND r.document IS NULL AND {FINAL_BEFORE}
        GROUP BY d.customer
        HAVING sum(greatest(-d.total_minor, 0) - d.customer_credit_applied_minor) <> 0
    """  # noqa: S608 - column names
    return {row.customer: int(row.left_over) for row in fetch(connection, query, codes=codes, at=at)}
