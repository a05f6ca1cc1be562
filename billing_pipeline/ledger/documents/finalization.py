"""Finalizing documents: each gets its number and its fingerprint once; what is billed, and what may lock now."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert as upsert

from billing_pipeline.invoicing.document import Billed, keys_from
from billing_pipeline.ledger.database import copy_rows, fetch
from billing_pipeline.ledger.documents.states import identity_of
from billing_pipeline.ledger.tables import finalization, input_set
from billing_pipeline.usage.event import LakeFile

# Of a finalization (f): it is one that stood before ``:at``; with None each does.
FINAL_BEFORE = "(CAST(:at AS timestamptz) IS NULL OR d.cutoff < :at)"


@dataclass(frozen=True, slots=True)
class Finalization:
    """A document's finalization, of one version, before it has a number.

    Attributes:
        issued: the document has lines that are not all zero, or is issued all the same: it gets a number.
        inputs: fingerprint of its input set.
        batch, change: the last ones before the cutoff.
        terms: fingerprint of the customer's terms as known then.
    """

    id: UUID
    version: int
    issued: bool
    cutoff: datetime
    inputs: str
    batch: int
    change: int
    terms: str


def keep_inputs(connection: Connection, batch: int, files: Iterable[LakeFile]) -> str:
    """The usage files that documents of one cutoff are computed from, kept once; returns their fingerprint.

    Args:
        connection: of the ledger.
        batch: the last one before the cutoff.
        files: a file that is named twice counts once.
    """
    contents = {file.path: file.sha256 for file in files}
    content = {"batch": batch, "files": [list(file) for file in contents.items()]}
    fingerprint = sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
    connection.execute(upsert(input_set).values(fingerprint=fingerprint, content=content).on_conflict_do_nothing())
    return fingerprint


def finalize(
    connection: Connection,
    finalizations: Sequence[Finalization],
    *,
    at: datetime,
    year: int,
    number_format: str,
    code_version: str,
    actor: str,
) -> dict[UUID, str]:
    """Finalize documents for good, each with a fingerprint over its inputs, terms and code; returns the numbers given.

    Only those that are issued get one. The block of numbers is taken in one statement, last, and given back with the
    transaction: no gaps, and other transactions wait only from here to the commit.
    """
    issued = [final.id for final in finalizations if final.issued]
    first = _take_numbers(connection, year, len(issued)) if issued else 0
    numbers = {
        document: number_format.format(year=year, number=number) for number, document in enumerate(issued, start=first)
    }
    columns = (
        "document", "version", "number", "cutoff", "finalized_at", "fingerprint", "inputs", "actor", "batch", "change",
        "terms",
    )  # fmt: skip
    rows = (
        (
            final.id, final.version, numbers.get(final.id), final.cutoff, at,
            sha256(f"{final.inputs} {final.terms} {code_version}".encode()).hexdigest(), final.inputs, actor,
            final.batch, final.change, final.terms,
        )
        for final in finalizations
    )  # fmt: skip
    copy_rows(connection, finalization, columns, rows)
    return numbers


def of_zero_lines(connection: Connection, versions: Collection[tuple[UUID, int]]) -> set[UUID]:
    """Those of these documents' versions all of whose lines are zero."""
    query = """
        SELECT a.document FROM unnest(CAST(:documents AS uuid[]), CAST(:versions AS int[])) AS a (document, version)
        WHERE NOT EXISTS (
            SELECT FROM document_line AS l
            WHERE l.document = a.document AND l.version = a.version AND l.amount_minor <> 0
        )
    """
    documents, numbers = [document for document, _ in versions], [version for _, version in versions]
    rows = fetch(connection, query, documents=documents, versions=numbers) if versions else []
    return {row.document for row in rows}


def _take_numbers(connection: Connection, year: int, count: int) -> int:
    """The first number of a block of ``count``."""
    query = """
        INSERT INTO number_counter AS c (year, last) VALUES (:year, :count)
        ON CONFLICT (year) DO UPDATE SET last = c.last + :count RETURNING last - :count + 1 AS first
    """
    return int(fetch(connection, query, year=year, count=count)[0].first)


def billed(
    connection: Connection, period: date, codes: Collection[int], at: datetime | None = None
) -> dict[int, Billed]:
    """What of a period is final, by customer code. What a void document billed stays billed, unless issued again.

    With ``at``, only of what was final before that instant.
    """
    query = f"""
        SELECT d.customer, c.id AS customer_id, d.kind, d.period, d.issue_date, d.window_end, d.reissue,
               CASE WHEN r.replaced_by IS NULL THEN d.covers ELSE '[]' END AS covers
        FROM final_document AS d JOIN customer AS c ON c.code = d.customer
        LEFT JOIN document_void AS r ON r.document = d.id
        WHERE d.period = :period AND d.customer = ANY(:codes) AND {FINAL_BEFORE}
    """  # noqa: S608 - a condition on a column
    by_customer = dict.fromkeys(codes, Billed())
    for row in fetch(connection, query, period=period, codes=codes, at=at):
        before = by_customer[row.customer]
        by_customer[row.customer] = Billed(before.keys | keys_from(row.covers), before.documents | {identity_of(row)})
    return by_customer


def due(connection: Connection, period: date, now: datetime) -> int:
    """How many documents of the period may lock now, as they stand."""
    query = """
        SELECT count(*) AS documents FROM current_document
        WHERE period = :period AND status = 'draft' AND lock_at <= :now
    """
    return int(fetch(connection, query, period=period, now=now)[0].documents)


def due_periods(connection: Connection, period: date, buckets: Collection[int], now: datetime) -> set[date]:
    """Other periods with documents that may lock now, of customers with such documents in ``period``."""
    query = """
        WITH due AS (
            SELECT customer, period FROM current_document
            WHERE bucket = ANY(:buckets) AND status = 'draft' AND lock_at <= :now
        )
        SELECT DISTINCT o.period FROM due AS o JOIN due AS own ON own.customer = o.customer
        WHERE own.period = :period AND o.period <> :period
    """
    return {row.period for row in fetch(connection, query, period=period, buckets=buckets, now=now)}
