"""Holds: a document whose customer and period is held does not lock. Placed and released, never edited."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import ColumnElement, Connection, select, text

from billing_pipeline.core.errors import Refused
from billing_pipeline.core.period import MOMENT
from billing_pipeline.ledger.database import among, copy_rows, lock_key
from billing_pipeline.ledger.tables import customer, hold, hold_release

# Whether the hold ``h`` keeps the document ``d``: one of its period, or one that may carry what came late for that.
KEEPS = """(h.period = d.period OR EXISTS (
    SELECT FROM late_usage AS l JOIN batch AS b ON b.number = l.batch
    WHERE l.customer = h.customer AND l.period = h.period AND l.settled_by IS NULL AND b.received_at < d.lock_at
))"""

_MENDED, _EARLIER = "passes now", "held earlier"  # why the product itself releases a hold


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold of one customer's documents of one period.

    Attributes:
        customer: the customer's id.
        period: the period's first local day.
        cause: the check that failed, or ``manual``.
        actor: who placed it.
        released_at: None while it holds.
        release_reason: why it was released.
    """

    id: int
    customer: str
    period: date
    cause: str
    reason: str
    created_at: datetime
    actor: str
    released_at: datetime | None = None
    released_by: str | None = None
    release_reason: str | None = None


def place(
    connection: Connection,
    customers: Collection[int],
    period: date,
    cause: str,
    reason: str,
    *,
    at: datetime,
    actor: str,
) -> int:
    """Hold the documents that these customers (codes) have in a period; returns how many are newly held.

    Who is held already, by the same cause, stays as they are.
    """
    lock_key(connection, f"hold {period}")  # two checks at once must not both find nothing
    fresh = sorted(set(customers) - open_holds(connection, period, cause).keys())
    return _add(connection, period, cause, dict.fromkeys(fresh, (reason, at)), actor)


def _add(
    connection: Connection, period: date, cause: str, reasons: Mapping[int, tuple[str, datetime]], actor: str
) -> int:
    """Add a hold of each customer (code), with why and since when."""
    columns = ("customer", "period", "cause", "reason", "created_at", "actor")
    rows = ((code, period, cause, reason, since, actor) for code, (reason, since) in reasons.items())
    return copy_rows(connection, hold, columns, rows)


def open_holds(connection: Connection, period: date, cause: str | None = None) -> dict[int, Hold]:
    """The open hold of each customer (code) that is held now by ``cause``; without one, by anything."""
    conditions = [hold.c.period == period, hold_release.c.hold.is_(None)]
    return dict(_select(connection, *conditions, *([] if cause is None else [hold.c.cause == cause])))


def _select(connection: Connection, *conditions: ColumnElement[bool]) -> list[tuple[int, Hold]]:
    """Holds with their customer's code, in the order they were placed."""
    columns = (
        *(hold.c.customer.label("code"), hold.c.id, customer.c.id.label("customer"), hold.c.period, hold.c.cause),
        *(hold.c.reason, hold.c.created_at, hold.c.actor, hold_release.c.released_at),
        *(hold_release.c.actor.label("released_by"), hold_release.c.reason.label("release_reason")),
    )
    of_customers = hold.join(customer, customer.c.code == hold.c.customer)
    with_release = of_customers.outerjoin(hold_release, hold_release.c.hold == hold.c.id)
    query = select(*columns).select_from(with_release).where(*conditions).order_by(hold.c.id)
    return [(code, Hold(*fields)) for code, *fields in connection.execute(query)]


def release(connection: Connection, holds: Collection[int], reason: str, *, at: datetime, actor: str) -> int:
    """Release holds by id; returns how many held until now. A released one stays as it was released.

    Raises:
        Refused: there is no such hold; none is released.
    """
    ids = sorted(set(holds))
    existing = set(connection.scalars(select(hold.c.id).where(among(hold.c.id, ids))))
    if missing := [str(number) for number in ids if number not in existing]:
        raise Refused(f"There is no hold {', '.join(missing)}.", hint="List them with: billing hold list")
    released = connection.execute(
        text("""
            INSERT INTO hold_release (hold, released_at, actor, reason)
            SELECT id, greatest(created_at, :at), :actor, :reason FROM hold WHERE id = ANY(:holds)
            ON CONFLICT (hold) DO NOTHING
        """),
        {"holds": ids, "at": at, "actor": actor, "reason": reason},
    )
    return released.rowcount


def placed(connection: Connection, *, period: date | None = None, released: bool = False) -> list[Hold]:
    """Holds in the order they were placed: those that hold, or with ``released`` all there ever were."""
    conditions = [] if period is None else [hold.c.period == period]
    if not released:
        conditions.append(hold_release.c.hold.is_(None))
    return [of_customer for _, of_customer in _select(connection, *conditions)]


def intervals(
    connection: Connection, period: date, customers: Collection[int] | None = None
) -> Mapping[int, list[Hold]]:
    """The holds that hold or held each customer's (code) documents of a period, in the order in which they were placed.

    A hold of another period counts since late usage of that one was received which no final document carries yet.

    Args:
        connection: of the ledger.
        period: the period's first local day.
        customers: whom to look at; None: everyone.

    Returns:
        Only those who are or were held.
    """
    conditions = [] if customers is None else [among(hold.c.customer, customers)]
    by_customer = defaultdict[int, list[Hold]](list)
    for code, of_customer in _select(connection, hold.c.period == period, *conditions):
        by_customer[code].append(of_customer)
    late = _late_since(connection, period, customers)
    if late:
        for code, of_customer in _select(connection, among(hold.c.id, late)):
            since = max(of_customer.created_at, late[of_customer.id])
            if of_customer.released_at is None or of_customer.released_at > since:
                by_customer[code].append(replace(of_customer, created_at=since))
    return dict(by_customer)


def late_since(connection: Connection, period: date, customers: Collection[int]) -> dict[int, datetime]:
    """Since when usage is late for another period in which the customer (code) is held now; not yet carried."""
    held = _late_since(connection, period, customers)
    standing = _select(connection, among(hold.c.id, held), hold_release.c.hold.is_(None)) if held else []
    since: dict[int, datetime] = {}
    for code, of_customer in standing:
        since[code] = min(held[of_customer.id], since.get(code, held[of_customer.id]))
    return since


def _late_since(connection: Connection, period: date, customers: Collection[int] | None) -> dict[int, datetime]:
    """Holds (ids) of other periods with late usage that no final document carries, and when its first was received."""
    query = text("""
        SELECT h.id, min(b.received_at) FROM late_usage AS l JOIN batch AS b ON b.number = l.batch
        JOIN hold AS h ON h.customer = l.customer AND h.period = l.period
        WHERE l.settled_by IS NULL AND l.period <> :period
          AND (CAST(:customers AS int[]) IS NULL OR l.customer = ANY(:customers))
        GROUP BY h.id
    """)
    codes = None if customers is None else list(customers)
    return dict(connection.execute(query, {"period": period, "customers": codes}).tuples().all())


def waived(connection: Connection, period: date, cause: str) -> set[tuple[int, str]]:
    """The (customer, reason) of holds that a person released: the same holds nobody again, something else does."""
    query = text("""
        SELECT h.customer, h.reason FROM hold AS h JOIN hold_release AS r ON r.hold = h.id
        WHERE h.period = :period AND h.cause = :cause AND r.reason NOT IN (:mended, :earlier)
    """)
    values = {"period": period, "cause": cause, "mended": _MENDED, "earlier": _EARLIER}
    return {(row.customer, row.reason) for row in connection.execute(query, values)}


def hold_since(
    connection: Connection,
    period: date,
    reasons: Mapping[int, tuple[str, datetime]],
    *,
    cause: str,
    at: datetime,
    actor: str,
) -> None:
    """Hold customers from a past instant on, where it turns out that the cause held already then.

    Args:
        connection: of the ledger.
        period: the period's first local day.
        reasons: customer (code) → why, and since when. Who is not held by this cause now was held until now.
        cause: the check's name.
        at: the ledger's clock.
        actor: who found out.
    """
    lock_key(connection, f"hold {period}")
    standing = open_holds(connection, period, cause)
    earlier = {
        code: reason
        for code, reason in reasons.items()
        if code not in standing or standing[code].created_at > reason[1]
    }
    replaced = [standing[code].id for code in earlier if code in standing]
    release(connection, replaced, _EARLIER, at=at, actor=actor)
    _add(connection, period, cause, earlier, actor)
    # Who was not held when this was found out is not held any more: the hold that was missing ends here.
    over = [
        held.id
        for code, held in open_holds(connection, period, cause).items()
        if code in earlier and code not in standing
    ]
    release(connection, over, _MENDED, at=at + MOMENT, actor=actor)


def apply_check(
    connection: Connection,
    *,
    period: date,
    cause: str,
    checked: Collection[int],
    failed: Mapping[int, str],
    at: datetime,
    actor: str,
) -> None:
    """Hold the customers (codes) that failed a check, each with their reason, and release those that no longer do.

    Args:
        connection: of the ledger.
        period: the period's first local day.
        cause: the check's name.
        checked: whom the check looked at; others keep what they have.
        failed: customer → reason.
        at: the ledger's clock.
        actor: who checked.
    """
    if not failed and not open_holds(connection, period, cause):
        return  # as nearly always; nobody waits for anybody
    lock_key(connection, f"hold {period}")
    held = open_holds(connection, period, cause)
    fresh = {code: (failed[code], at) for code in sorted(failed.keys() - held.keys())}
    _add(connection, period, cause, fresh, actor)
    mended = [held[code].id for code in held.keys() & set(checked) - failed.keys()]
    if mended:
        # Held through this instant: what mended it may have been received at it, and must not be late.
        release(connection, mended, _MENDED, at=at + MOMENT, actor=actor)
