"""Final documents and what was billed for them; and the documents that are not final, which carry what adjusts them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from billing_pipeline.invoicing.adjustment import FinalDocument
from billing_pipeline.invoicing.complete import OtherDocument
from billing_pipeline.invoicing.document import DocumentKind, DocumentPlan, keys_from
from billing_pipeline.ledger.database import fetch
from billing_pipeline.ledger.documents.finalization import FINAL_BEFORE
from billing_pipeline.ledger.documents.states import identity_of
from billing_pipeline.ledger.documents.voids import VOID_BEFORE
from billing_pipeline.ledger.lines import line_columns, stored_line
from billing_pipeline.rating.line import RatedLine

CustomerPeriod = tuple[int, date]  # customer code, first day of the period
_LINES = line_columns()


# Adjustments on final documents, and credit notes that correct; what was issued again has been replaced.
_CORRECTING = f"""
    FROM document_line AS l
    JOIN final_document AS d ON d.id = l.document AND d.version = l.version
    LEFT JOIN {VOID_BEFORE}
    LEFT JOIN credit_note AS n ON n.document = d.id
    WHERE r.replaced_by IS NULL AND coalesce(n.correction, true)
      AND {FINAL_BEFORE}
"""


def periods_with_late_usage(
    connection: Connection, codes: Collection[int], batch: int, at: datetime | None = None
) -> set[CustomerPeriod]:
    """Customers' periods with final documents for which usage came late; or that were issued again.

    Of the latter those of which other documents bill adjustments, which the reissue undoes.

    Args:
        connection: of the ledger.
        codes: the customers.
        batch: the last one to look at.
        at: only what was final before this instant; None for all that is final.
    """
    query = f"""
        -- Usage came late for a document that waits for usage, and no document that was final then carries it.
        SELECT d.customer, d.period FROM late_usage AS l
        JOIN final_document AS d ON d.customer = l.customer AND d.period = l.period
        LEFT JOIN finalization AS s ON s.document = l.settled_by
        WHERE l.customer = ANY(:codes) AND l.batch <= :batch AND l.batch > d.batch AND d.has_usage
          AND (s.document IS NULL OR s.cutoff >= :at) AND {FINAL_BEFORE}
        UNION
        -- A document was issued again, and adjustments of it, which that undoes, are still billed by others.
        SELECT d.customer, d.period FROM document AS d JOIN document_void AS v ON v.document = d.id
        WHERE d.customer = ANY(:codes) AND v.replaced_by IS NOT NULL
          AND (CAST(:at AS timestamptz) IS NULL OR v.voided_at < :at) AND EXISTS (
            SELECT {_CORRECTING} AND l.adjusts_document = v.document
            GROUP BY l.adjusts, l.subscription, l.plan, l.price, l.description, l.dimensions, l.phase_start
            HAVING sum(l.amount_minor) <> 0)
    """  # noqa: S608 - column names
    return {(row.customer, row.period) for row in fetch(connection, query, codes=codes, batch=batch, at=at)}


def out_of_order(connection: Connection, codes: Collection[int], at: datetime | None = None) -> set[CustomerPeriod]:
    """Customers' periods with final documents that were cut off after others that come after them.

    One was held, or issued again: what those others took of an allowance before it was there may be its own.

    Args:
        connection: of the ledger.
        codes: the customers.
        at: only what was final before this instant; None for all that is final.
    """
    if not codes:
        return set()
    query = f"""
        SELECT DISTINCT customer, period FROM (
            SELECT d.customer, d.period, d.cutoff, min(d.cutoff) OVER later AS first FROM final_document AS d
            WHERE d.customer = ANY(:codes) AND d.kind IN ('opening', 'closing', 'delayed') AND {FINAL_BEFORE}
            WINDOW later AS (
                PARTITION BY d.customer ORDER BY d.lock_at RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
        ) AS d WHERE first < cutoff
    """  # noqa: S608 - column names
    return {(row.customer, row.period) for row in fetch(connection, query, codes=codes, at=at)}


class UnderOtherTerms(NamedTuple):
    """Final documents of a customer and period that were cut off, or adjusted, under other terms than are known now.

    Attributes:
        change: the last catalog change before the cutoff.
        reach: the end of what their fee lines pay for; None where they have none.
    """

    customer: int
    period: date
    change: int
    reach: date | None


def under_other_terms(
    connection: Connection, terms: Mapping[int, str], at: datetime | None = None
) -> list[UnderOtherTerms]:
    """The customers' final documents that may bill fees, and were cut off under other terms.

    The terms of a document that corrects fees count like those of the one that billed them: what is changed, billed,
    and changed back is as it was.

    Args:
        connection: of the ledger.
        terms: fingerprints of the customers' terms as known now, by code.
        at: only what was final before this instant; None for all that is final.
    """
    query = f"""
        WITH other AS (
            SELECT d.* FROM unnest(CAST(:codes AS int[]), CAST(:terms AS text[])) AS asked (customer, terms)
            JOIN final_document AS d ON d.customer = asked.customer AND d.terms <> asked.terms
            WHERE d.terms <> '' AND {FINAL_BEFORE}
        )
        SELECT d.customer, d.period, d.change, max(l.service_end) AS reach FROM other AS d
        LEFT JOIN document_line AS l ON l.document = d.id AND l.version = d.version AND l.kind = 'fee'
        WHERE d.kind IN ('opening', 'closing', 'delayed') GROUP BY d.customer, d.period, d.change
        UNION
        SELECT adjusted.customer, adjusted.period, d.change, max(l.service_end) FROM other AS d
        JOIN document_line AS l ON l.document = d.id AND l.version = d.version AND l.adjusts = 'fee'
        JOIN document AS adjusted ON adjusted.id = l.adjusts_document
        GROUP BY adjusted.customer, adjusted.period, d.change
    """  # noqa: S608 - column names
    rows = fetch(connection, query, codes=terms.keys(), terms=terms.values(), at=at)
    return [UnderOtherTerms(*row) for row in rows]


def finals(
    connection: Connection, of: Collection[CustomerPeriod], batch: int, at: datetime | None = None
) -> dict[CustomerPeriod, list[FinalDocument]]:
    """The final documents of these customers and periods, with what was billed for each so far.

    Of those that were issued again there is only what other documents billed for them.

    Args:
        connection: of the ledger.
        of: customers' periods.
        batch: usage after it counts as not received.
        at: only what was final before this instant; None for all that is final.
    """
    of = sorted(of)
    codes, periods = [code for code, _ in of], [period for _, period in of]
    rows = fetch(connection, _FINALS, codes=codes, periods=periods, batch=batch, at=at)
    finals: dict[CustomerPeriod, list[FinalDocument]] = defaultdict(list)
    for row, final in zip(rows, _with_lines(connection, rows, at), strict=True):
        finals[row.customer, row.period].append(final)
    return finals


def periods_of(connection: Connection, ids: Collection[UUID]) -> dict[UUID, CustomerPeriod]:
    """The customer and period of these documents."""
    query = "SELECT id, customer, period FROM document WHERE id = ANY(:ids)"
    return {row.id: (row.customer, row.period) for row in fetch(connection, query, ids=ids)} if ids else {}


def finals_by_id(connection: Connection, ids: Collection[UUID]) -> list[FinalDocument]:
    """These final documents, of any kind, with what was billed for each so far."""
    query = f"SELECT {_FINAL}, false AS late FROM final_document AS d {_OF_DOCUMENT} WHERE d.id = ANY(:ids)"  # noqa: S608
    return _with_lines(connection, fetch(connection, query, ids=ids, at=None), None)


_FINAL = """
    d.id, d.customer, c.id AS customer_id, d.kind, d.period, d.issue_date, d.window_end, d.reissue, d.currency,
    d.batch, d.change, d.terms, d.lock_at, d.covers, r.replaced_by IS NOT NULL AS replaced
"""
_OF_DOCUMENT = f"""
    JOIN customer AS c ON c.code = d.customer
    LEFT JOIN {VOID_BEFORE}
"""
_FINALS = f"""
    SELECT {_FINAL}, d.has_usage AND r.replaced_by IS NULL AND EXISTS (
            SELECT FROM late_usage AS l WHERE l.period = d.period AND l.customer = d.customer
            AND l.batch > d.batch AND l.batch <= :batch) AS late
    FROM unnest(CAST(:codes AS int[]), CAST(:periods AS date[])) AS asked (customer, period)
    JOIN final_document AS d ON d.customer = asked.customer AND d.period = asked.period {_OF_DOCUMENT}
    WHERE d.kind IN ('opening', 'closing', 'delayed')
      AND (r.replaced_by IS NULL OR EXISTS (SELECT FROM document_line WHERE adjusts_document = d.id))
      AND {FINAL_BEFORE}
    ORDER BY d.lock_at, d.issue_date, d.kind
"""  # noqa: S608 - column names


def _with_lines(connection: Connection, rows: Sequence[Any], at: datetime | None) -> list[FinalDocument]:
    own = _own_lines(connection, [row.id for row in rows if not row.replaced])
    corrected = corrections(connection, [row.id for row in rows], at)
    finals = []
    for row in rows:
        plan = DocumentPlan(identity_of(row), row.currency, row.lock_at, keys_from(row.covers))
        lines, by = tuple(own.get(row.id, ())), tuple(corrected.get(row.id, ()))
        finals.append(FinalDocument(plan, lines, by, row.batch, row.change, row.terms, row.late, row.replaced))
    return finals


def _own_lines(connection: Connection, ids: Collection[UUID]) -> Mapping[UUID, list[RatedLine]]:
    query = f"""
        SELECT {_LINES}, l.document, d.currency FROM final_document AS d
        JOIN document_line AS l ON l.document = d.id AND l.version = d.version
        WHERE d.id = ANY(:ids) ORDER BY l.document, l.line
    """  # noqa: S608 - column names
    return _by_document(fetch(connection, query, ids=ids))


def corrections(connection: Connection, ids: Collection[UUID], at: datetime | None) -> Mapping[UUID, list[RatedLine]]:
    """The lines that correct these documents: adjustments on other final ones, and credit notes that correct."""
    query = f"""
        SELECT {_LINES}, l.adjusts_document, d.currency {_CORRECTING} AND l.adjusts_document = ANY(:ids)
        ORDER BY d.cutoff, l.document, l.line
    """
    return _by_document(fetch(connection, query, ids=ids, at=at))


def credited_lines(connection: Connection, document: UUID) -> list[RatedLine]:
    """The lines of all credit notes that lower a document."""
    query = f"""
        SELECT {_LINES}, n.credits, d.currency FROM credit_note AS n
        JOIN final_document AS d ON d.id = n.document
        JOIN document_line AS l ON l.document = d.id AND l.version = d.version
        WHERE n.credits = :document ORDER BY d.finalized_at, l.document, l.line
    """  # noqa: S608 - column names
    return list(_by_document(fetch(connection, query, document=document)).get(document, ()))


def _by_document(rows: Iterable[Any]) -> Mapping[UUID, list[RatedLine]]:
    """The lines of each document; a row ends with the document and its currency."""
    lines: dict[UUID, list[RatedLine]] = defaultdict(list)
    for row in rows:
        *_, document, currency = row
        lines[document].append(stored_line(row, currency))
    return lines


def others(
    connection: Connection, codes: Collection[int], period: date | None, at: datetime | None = None
) -> dict[int, list[OtherDocument]]:
    """Customers' documents of all periods but one that are not final, or were not before ``at``."""
    query = """
        SELECT customer, customer_id, kind, period, issue_date, window_end, reissue, lock_at,
               customer_credit_applied_minor AS used
        FROM current_document
        WHERE customer = ANY(:codes) AND period IS DISTINCT FROM :period
          AND kind IN ('opening', 'closing', 'delayed', 'adjustment')
          AND reissue = 0  -- one issued again was never a draft
          -- What nothing calls for any more, and waits to be final without a number, carries nothing.
          AND (kind IN ('closing', 'adjustment') OR covers <> '[]')
          AND (status = 'draft' OR cutoff >= :at)
    """
    by_customer: dict[int, list[OtherDocument]] = defaultdict(list)
    for row in fetch(connection, query, codes=codes, period=period, at=at):
        identity = identity_of(row)
        own = identity.kind == DocumentKind.ADJUSTMENT
        by_customer[row.customer].append(OtherDocument(identity.order(row.lock_at), int(row.used), own))
    return by_customer


def receipts(connection: Connection, codes: Collection[int], period: date) -> set[int]:
    """Those of the customers that have a document of its own, not final, for late usage received in the period."""
    query = """
        SELECT customer FROM current_document
        WHERE customer = ANY(:codes) AND period = :period AND kind = 'adjustment' AND status = 'draft'
    """
    return {row.customer for row in fetch(connection, query, codes=codes, period=period)}
