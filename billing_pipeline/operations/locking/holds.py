"""Holds keep customers' documents of a period from locking, until they are released."""

from collections.abc import Collection

from billing_pipeline.core.errors import Refused, nearest
from billing_pipeline.ledger.catalog import customer_codes
from billing_pipeline.ledger.documents import holds
from billing_pipeline.ledger.documents.holds import Hold
from billing_pipeline.operations.context import Billing

MANUAL = "manual"


def place(billing: Billing, customers: Collection[str], period: str, reason: str, *, cause: str = MANUAL) -> int:
    """Hold the period's documents of these customers (ids); returns how many are newly held.

    Raises:
        Refused: no reason, an unknown customer, or no such period; nobody is held.
    """
    _require_reason(reason)
    first_day = billing.calendar.period(period).first_day
    now = billing.now()
    with billing.ledger.begin() as connection:
        codes = customer_codes(connection)
        if unknown := sorted(set(customers) - codes.keys()):
            raise Refused(f"There is no customer {unknown[0]!r}.", hint=nearest(unknown[0], tuple(codes)))
        held = [codes[customer] for customer in customers]
        return holds.place(connection, held, first_day, cause, reason, at=now, actor=billing.actor)


def release(billing: Billing, ids: Collection[int], reason: str) -> int:
    """Release holds; returns how many held until now. From then on their documents lock as their time has come.

    Raises:
        Refused: no reason, or no such hold; none is released.
    """
    _require_reason(reason)
    now = billing.now()
    with billing.ledger.begin() as connection:
        return holds.release(connection, ids, reason, at=now, actor=billing.actor)


def list_holds(billing: Billing, *, period: str | None = None, released: bool = False) -> list[Hold]:
    """The holds that hold now, in the order they were placed; with ``released`` also those that held before."""
    first_day = None if period is None else billing.calendar.period(period).first_day
    with billing.ledger.begin() as connection:
        return holds.placed(connection, period=first_day, released=released)


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise Refused("A hold is placed and released for a reason.", hint="Say it with --reason.")
