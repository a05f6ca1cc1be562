"""Documents whose time to lock has come and that something keeps: how many, and which; some examples of many."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from billing_pipeline.ledger.documents.holds import KEEPS


@dataclass(frozen=True, slots=True)
class DueDocuments:
    """How many documents of a period have a ``lock_at`` that has passed and are not final.

    Attributes:
        due: all of them.
        with_usage: those that wait for sources, where one has not delivered.
        kept: those that a hold keeps, or, where a source is awaited, that have usage; the rest lock with the next run.
        customers: how many customers have documents with usage.
        first_customers: ids of some of them, in order.
    """

    due: int
    with_usage: int
    kept: int
    customers: int
    first_customers: Sequence[str]


@dataclass(frozen=True, slots=True)
class HeldFor:
    """The due documents that one cause holds.

    Attributes:
        cause: a check's name, or ``manual``.
        customers: how many customers have them.
        first_customers: ids of some of these, in order.
    """

    cause: str
    documents: int
    customers: int
    first_customers: Sequence[str]


@dataclass(frozen=True, slots=True)
class KeptDocument:
    """One due document that waits.

    Attributes:
        due: its ``lock_at``.
        holds: [id, cause, reason] of what holds it, in the order it was placed.
    """

    customer: str
    kind: str
    issue_date: date
    due: datetime
    has_usage: bool
    holds: Sequence[tuple[int, str, str]]  # lists, as JSON has them


# Drafts alone: what is final is not looked at, however much of it there is.
_DUE = f"""
    due AS MATERIALIZED (
        SELECT d.id, c.id AS customer, d.customer AS code, d.kind, d.issue_date, d.lock_at, d.has_usage
        FROM open_document AS d JOIN customer AS c ON c.code = d.customer
        WHERE d.period = :period AND d.lock_at <= :now
    ), held AS (
        SELECT d.id AS document, h.id, h.cause, h.reason
        FROM (SELECT id, code, lock_at, CAST(:period AS date) AS period FROM due) AS d
        JOIN open_hold AS h ON h.customer = d.code AND {KEEPS}
    ), kept AS (
        SELECT * FROM due WHERE (has_usage AND :awaited) OR EXISTS (SELECT FROM held WHERE held.document = due.id)
    )
"""  # noqa: S608 - our own words


def counts(connection: Connection, period: date, now: datetime, *, awaited: bool, named: int) -> DueDocuments:
    """How many documents are due, and how many of them wait.

    Args:
        connection: of the ledger.
        period: the period's first local day.
        now: the ledger's clock.
        awaited: whether a required source has not delivered the period.
        named: how many customers to name at most.
    """
    query = f"""
        WITH {_DUE} SELECT count(*), count(*) FILTER (WHERE has_usage), (SELECT count(*) FROM kept),
               count(DISTINCT customer) FILTER (WHERE has_usage),
               coalesce((array_agg(DISTINCT customer ORDER BY customer) FILTER (WHERE has_usage))
                        [1:CAST(:named AS integer)], ARRAY[]::text[])
        FROM due
    """  # noqa: S608 - our own words
    return DueDocuments(*_rows(connection, query, period=period, now=now, awaited=awaited, named=named)[0])


def by_cause(connection: Connection, period: date, now: datetime, *, named: int) -> list[HeldFor]:
    """What holds due documents, by cause, the most documents first."""
    query = f"""
        WITH {_DUE} SELECT cause, count(DISTINCT due.id),
               count(DISTINCT customer), (array_agg(DISTINCT customer ORDER BY customer))[1:CAST(:named AS integer)]
        FROM due JOIN held ON held.document = due.id GROUP BY cause ORDER BY 2 DESC, cause
    """  # noqa: S608 - our own words
    return [HeldFor(*row) for row in _rows(connection, query, period=period, now=now, awaited=False, named=named)]


def documents(connection: Connection, period: date, now: datetime, *, awaited: bool, shown: int) -> list[KeptDocument]:
    """The first of the documents that wait, the one due longest first."""
    query = f"""
        WITH {_DUE} SELECT customer, kind, issue_date, lock_at, has_usage, coalesce((
            SELECT jsonb_agg(jsonb_build_array(id, cause, reason) ORDER BY id) FROM held WHERE held.document = kept.id
        ), '[]') FROM kept ORDER BY lock_at, customer, issue_date, kind LIMIT :shown
    """  # noqa: S608 - our own words
    rows = _rows(connection, query, period=period, now=now, awaited=awaited, shown=shown)
    return [KeptDocument(*row) for row in rows]


def _rows(connection: Connection, query: str, **values: object) -> Sequence[Any]:
    return connection.execute(text(query), values).all()
