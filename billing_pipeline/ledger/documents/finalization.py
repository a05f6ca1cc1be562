"""Finalizing documents: each gets its number and its fingerprint once; what is billed, and what may lock now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert as upsert

from billing_pipeline.invoicing.document import Billed, DocumentIdentity, DocumentKind, keys_from
from billing_pipeline.ledger.database import copy_rows
from billing_pipeline.ledger.tables import (
    finalization,
    input_set,
)


@dataclass(frozen=True, slots=True)
class Final:
    """One document to finalize, in its version.

    Attributes:
        issued: it has lines, so it gets a number.
        inputs: fingerprint of its input set.
        fingerprint: over the inputs, the terms and the code.
        batch, change: the last ones before the cutoff.
        terms: fingerprint of the customer's terms as known then.
    """

    id: UUID
    version: int
    issued: bool
    cutoff: datetime
    inputs: str
    fingerprint: str
    batch: int
    change: int
    terms: str


def keep_inputs(connection: Connection, fingerprint: str, content: Mapping[str, object]) -> None:
    """The usage files that documents of one cutoff are computed from, once."""
    connection.execute(
        upsert(input_set).values(fingerprint=fingerprint, content=dict(content)).on_conflict_do_nothing()
    )


def finalize(
    connection: Connection,
    finals: Sequence[Final],
    *,
    at: datetime,
    year: int,
    number_format: str,
    actor: str,
) -> dict[UUID, str]:
    """Finalize for good; returns the numbers of those that are issued.

    The block of numbers is taken in one statement, last, and given back with the transaction: no gaps, and other
    transactions wait only from here to the commit.
    """
    issued = [one for one in finals if one.issued]
    first = _take_numbers(connection, year, len(issued)) if issued else 0
    numbers = {one.id: number_format.format(year=year, number=first + place) for place, one in enumerate(issued)}
    columns = (
        "document", "version", "number", "cutoff", "finalized_at", "fingerprint", "inputs", "actor", "batch", "change",
        "terms",
    )  # fmt: skip
    copy_rows(
        connection,
        finalization,
        columns,
        (
            (
                one.id, one.version, numbers.get(one.id), one.cutoff, at, one.fingerprint, one.inputs, actor, one.batch,
                one.change, one.terms,
            )
            for one in finals
        ),
    )  # fmt: skip
    return numbers


def _take_numbers(connection: Connection, year: int, count: int) -> int:
    """The first number of a block of ``count``."""
    query = text("""
        INSERT INTO number_counter AS c (year, last) VALUES (:year, :count)
        ON CONFLICT (year) DO UPDATE SET last = c.last + :count RETURNING last
    """)
    last: int = connection.execute(query, {"year": year, "count": count}).scalar_one()
    return last - count + 1


def billed(connection: Connection, period: date, codes: Collection[int]) -> dict[int, Billed]:
    """By customer code, what of the period is final. What a void document billed stays billed, unless issued again."""
    query = text("""
        SELECT d.customer, c.id AS customer_id, d.kind, d.period, d.issue_date, d.reissue,
               CASE WHEN r.replaced_by IS NULL THEN v.covers ELSE '[]' END AS covers
        FROM document AS d JOIN finalization AS f ON f.document = d.id
        JOIN document_version AS v ON v.document = f.document AND v.version = f.version
        JOIN customer AS c ON c.code = d.customer
        LEFT JOIN document_void AS r ON r.document = d.id
        WHERE d.period = :period AND d.customer = ANY(:codes)
    """)
    found = dict.fromkeys(codes, Billed())
    for row in connection.execute(query, {"period": period, "codes": list(codes)}):
        identity = DocumentIdentity(row.customer_id, DocumentKind(row.kind), row.period, row.issue_date, row.reissue)
        before = found[row.customer]
        found[row.customer] = Billed(before.keys | keys_from(row.covers), before.documents | {identity})
    return found


def due(connection: Connection, period: date, now: datetime) -> int:
    """How many documents of the period may lock now, as they stand."""
    query = text(
        "SELECT count(*) FROM current_document WHERE period = :period AND status = 'draft' AND lock_at <= :now"
    )
    return connection.scalar(query, {"period": period, "now": now}) or 0


def due_periods(connection: Connection, period: date, buckets: Collection[int], now: datetime) -> set[date]:
    """Other periods with documents that may lock now, of customers with such documents in ``period``."""
    query = text("""
        WITH due AS (
            SELECT customer, period FROM current_document
            WHERE bucket = ANY(:buckets) AND status = 'draft' AND lock_at <= :now
        )
        SELECT DISTINCT o.period FROM due AS o JOIN due AS own ON own.customer = o.customer
        WHERE own.period = :period AND o.period <> :period
    """)
    return set(connection.scalars(query, {"period": period, "buckets": list(buckets), "now": now}))
