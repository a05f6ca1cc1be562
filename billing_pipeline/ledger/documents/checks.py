"""What checks found, and the holds that follow from it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from billing_pipeline.ledger.database import among, fetch
from billing_pipeline.ledger.documents import holds
from billing_pipeline.ledger.tables import check_result, customer

ACTOR = "check"  # who places and releases the holds of checks
FAILING = "failing"  # in the details of a result: the places, among the values of its figure, of those that failed


@dataclass(frozen=True, slots=True)
class StoredResult:
    """The result of one check of a period.

    Attributes:
        outcome: passed, failed, or error where it could not be computed.
        summary: what was found, in a sentence.
        details: what a report shows, as JSON.
        question: fingerprint of all that the outcome hangs on; None where it could not be computed.
    """

    name: str
    severity: str
    outcome: str
    summary: str
    details: Mapping[str, Any]
    ran_at: datetime
    question: str | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason for which a check holds a customer.

    Attributes:
        text: what was found about the customer.
        since: from when on the hold counts: when the usage it names was received, whenever the check ran.
    """

    text: str
    since: datetime


def store(connection: Connection, period: date, results: Iterable[StoredResult]) -> None:
    """Append the results of a period's checks in one run."""
    rows = [
        {
            "period": period,
            "name": result.name,
            "ran_at": result.ran_at,
            "severity": result.severity,
            "outcome": result.outcome,
            "summary": result.summary,
            "details": dict(result.details),
            "question": result.question,
        }
        for result in results
    ]
    connection.execute(insert(check_result), rows)


def newest(connection: Connection, period: date) -> dict[str, StoredResult]:
    """The last result of each check of a period, by name."""
    query = (
        select(check_result)
        .distinct(check_result.c.name)
        .where(check_result.c.period == period)
        .order_by(check_result.c.name, check_result.c.id.desc())
    )
    return {
        row.name: StoredResult(
            row.name, row.severity, row.outcome, row.summary, row.details, row.ran_at, row.question
        )
        for row in connection.execute(query)
    }  # fmt: skip


def answers(connection: Connection, questions: Iterable[str]) -> dict[str, list[int]]:
    """By question, the places that failed where a check of any period was asked it the last time."""
    query = (
        select(check_result.c.question, check_result.c.details[FAILING].label(FAILING))
        .distinct(check_result.c.question)
        .where(among(check_result.c.question, questions))
        .order_by(check_result.c.question, check_result.c.id.desc())
    )
    return {row.question: row.failing for row in connection.execute(query)}


def hold(connection: Connection, period: date, cause: str, reasons: Mapping[int, Reason], now: datetime) -> None:
    """Hold the customers (codes) that a check names, and release those whom it held and no longer names.

    Whom a person has released for the very same reason stays free: they looked, and let it go.
    """
    let_go = _released_by_people(connection, period, cause)
    by_instant = defaultdict[datetime, dict[int, str]](dict)
    for code, reason in reasons.items():
        if let_go.get(code) != reason.text:
            by_instant[reason.since][code] = reason.text
    for since, failed in sorted(by_instant.items()):
        holds.apply_check(connection, period=period, cause=cause, checked=(), failed=failed, at=since, actor=ACTOR)
    mended = holds.open_holds(connection, period, cause).keys() - reasons.keys()
    holds.apply_check(connection, period=period, cause=cause, checked=mended, failed={}, at=now, actor=ACTOR)


def _released_by_people(connection: Connection, period: date, cause: str) -> dict[int, str]:
    """The reason of each customer's last hold by the cause, where not the check itself released it."""
    query = """
        SELECT DISTINCT ON (hold.customer) hold.customer, hold.reason, r.actor
        FROM hold LEFT JOIN hold_release AS r ON r.hold = hold.id
        WHERE hold.period = :period AND hold.cause = :cause ORDER BY hold.customer, hold.id DESC
    """
    rows = fetch(connection, query, period=period, cause=cause)
    return {row.customer: row.reason for row in rows if row.actor not in {None, ACTOR}}


def names(connection: Connection, codes: Sequence[int]) -> dict[int, str]:
    """The ids of these customers, by code."""
    query = select(customer.c.code, customer.c.id).where(among(customer.c.code, codes))
    return {row.code: row.id for row in connection.execute(query)}
