"""Holds: a document whose customer and period is held does not lock. Placed and released, never edited."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import Connection, Select, select, text

from billing_pipeline.core.errors import Refused
from billing_pipeline.core.period import MOMENT
from billing_pipeline.ledger.database import among, copy_rows, lock_key
from billing_pipeline.ledger.tables import customer, hold, hold_release


class HoldInterval(NamedTuple):
    """From when to when something held; ``released_at`` None: it still does."""

    created_at: datetime
    released_at: datetime | None
    cause: str
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold of one customer's documents of one period.

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
    """Hold the period's documents of these customers (codes); returns how many are newly held.

    Who is held already, by the same cause, stays as they are.
    """
    lock_key(connection, f"hold {period}")  # two checks at once must not both find nothing
    fresh = sorted(set(customers) - active(connection, period, cause).keys())
    return copy_rows(
        connection,
        hold,
        ("customer", "period", "cause", "reason", "created_at", "actor"),
        ((code, period, cause, reason, at, actor) for code in fresh),
    )


def active(connection: Connection, period: date, cause: str) -> dict[int, int]:
    """Id of the hold of each customer (code) that ``cause`` holds now."""
    query = (
        select(hold.c.customer, hold.c.id)
        .outerjoin(hold_release, hold_release.c.hold == hold.c.id)
        .where(hold.c.period == period, hold.c.cause == cause, hold_release.c.hold.is_(None))
    )
    return {row.customer: row.id for row in connection.execute(query)}


def release(connection: Connection, holds: Collection[int], reason: str, *, at: datetime, actor: str) -> int:
    """Release holds by id; returns how many held until now. A released one stays as it was released.

    Raises:
        Refused: there is no such hold; none is released.
    """
    wanted = sorted(set(holds))
    known = set(connection.scalars(select(hold.c.id).where(among(hold.c.id, wanted))))
    if missing := [one for one in wanted if one not in known]:
        raise Refused(f"There is no hold {', '.join(map(str, missing))}.", hint="List them with: billing hold list")
    released = connection.execute(
        text("""
            INSERT INTO hold_release (hold, released_at, actor, reason)
            SELECT id, greatest(created_at, :at), :actor, :reason FROM hold WHERE id = ANY(:holds)
            ON CONFLICT (hold) DO NOTHING
        """),
        {"holds": wanted, "at": at, "actor": actor, "reason": reason},
    )
    return released.rowcount


def known(connection: Connection, *, period: date | None = None, released: bool = False) -> list[Hold]:
    """Holds in the order they were placed: those that hold, or with ``released`` all there ever were."""
    query = _holds()
    if period is not None:
        query = query.where(hold.c.period == period)
    if not released:
        query = query.where(hold_release.c.hold.is_(None))
    return [Hold(**row._mapping) for row in connection.execute(query.order_by(hold.c.id))]  # noqa: SLF001 - its public name


def _holds() -> Select[tuple[object, ...]]:
    columns = (
        *(hold.c.id, customer.c.id.label("customer"), hold.c.period, hold.c.cause, hold.c.reason),
        *(hold.c.created_at, hold.c.actor, hold_release.c.released_at),
        *(hold_release.c.actor.label("released_by"), hold_release.c.reason.label("release_reason")),
    )
    held = hold.join(customer, customer.c.code == hold.c.customer)
    return select(*columns).select_from(held.outerjoin(hold_release, hold_release.c.hold == hold.c.id))


def intervals(
    connection: Connection, period: date, customers: Collection[int] | None = None
) -> Mapping[int, list[HoldInterval]]:
    """What holds and held each customer (code) in a period, in the order it was placed.

    Args:
        connection: of the ledger.
        period: the period's first local day.
        customers: whom to look at; None: everyone.

    Returns:
        Only those who are or were held.
    """
    query = (
        select(hold.c.customer, hold.c.created_at, hold_release.c.released_at, hold.c.cause, hold.c.reason)
        .outerjoin(hold_release, hold_release.c.hold == hold.c.id)
        .where(hold.c.period == period)
    )
    if customers is not None:
        query = query.where(among(hold.c.customer, customers))
    found = defaultdict[int, list[HoldInterval]](list)
    for code, *interval in connection.execute(query.order_by(hold.c.id)):
        found[code].append(HoldInterval(*interval))
    return dict(found)


def hold_since(
    connection: Connection,
    period: date,
    reasons: Mapping[int, tuple[str, datetime]],
    *,
    cause: str,
    at: datetime,
    actor: str,
) -> None:
    """Hold customers from an instant on that is past, where it turns out that the cause held already then.

    Args:
        connection: of the ledger.
        period: the period's first local day.
        reasons: customer (code) → why, and since when. Who is not held by this cause now was held until now.
        cause: the check's name.
        at: the ledger's clock.
        actor: who found out.
    """
    lock_key(connection, f"hold {period}")
    standing = active(connection, period, cause)
    query = select(hold.c.id, hold.c.created_at).where(among(hold.c.id, standing.values()))
    began = {row.id: row.created_at for row in connection.execute(query)}
    fresh = {code: found for code, found in reasons.items() if code not in standing or began[standing[code]] > found[1]}
    release(connection, [standing[code] for code in fresh if code in standing], "held earlier", at=at, actor=actor)
    columns = ("customer", "period", "cause", "reason", "created_at", "actor")
    rows = ((code, period, cause, reason, since, actor) for code, (reason, since) in fresh.items())
    copy_rows(connection, hold, columns, rows)
    now_held = active(connection, period, cause)
    over = [now_held[code] for code in fresh if code not in standing]
    release(connection, over, "passes now", at=at + MOMENT, actor=actor)


def reasons(connection: Connection, period: date, cause: str) -> dict[int, str]:
    """Why each customer (code) is held that ``cause`` holds now."""
    query = select(hold.c.customer, hold.c.reason).where(among(hold.c.id, active(connection, period, cause).values()))
    return {row.customer: row.reason for row in connection.execute(query)}


def settle(
    connection: Connection,
    *,
    period: date,
    cause: str,
    checked: Collection[int],
    failed: Mapping[int, str],
    at: datetime,
    actor: str,
) -> None:
    """After a check: hold the customers (codes) that failed, each with their reason, release those that no longer do.

    Args:
        connection: of the ledger.
        period: the period's first local day.
        cause: the check's name.
        checked: whom the check looked at; others keep what they have.
        failed: customer → reason.
        at: the ledger's clock.
        actor: who checked.
    """
    if not failed and not active(connection, period, cause):
        return  # as nearly always; nobody waits for anybody
    lock_key(connection, f"hold {period}")
    held = active(connection, period, cause)
    copy_rows(
        connection,
        hold,
        ("customer", "period", "cause", "reason", "created_at", "actor"),
        ((code, period, cause, failed[code], at, actor) for code in sorted(failed.keys() - held.keys())),
    )
    mended = [held[code] for code in held.keys() & set(checked) - failed.keys()]
    if mended:
        # Held through this instant: what mended it may have been received at it, and must not be late.
        release(connection, mended, "passes now", at=at + MOMENT, actor=actor)


def held(connection: Connection, period: date) -> set[int]:
    """Codes of the customers that anything holds now."""
    query = (
        select(hold.c.customer)
        .outerjoin(hold_release, hold_release.c.hold == hold.c.id)
        .where(hold.c.period == period, hold_release.c.hold.is_(None))
    )
    return set(connection.scalars(query))
