"""How far each period's buckets are computed, and where its customers stand between the stages."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from billing_pipeline.ledger.database import among, replace_rows
from billing_pipeline.ledger.tables import customer, customer_period, period_bucket


class Stage(StrEnum):
    """Stages of a period, in their order. Customers wait for one of them: to be rated, or to be invoiced."""

    METER = "meter"
    RATE = "rate"
    INVOICE = "invoice"
    CHECK = "check"
    LOCK = "lock"


@dataclass(frozen=True, slots=True)
class BucketProgress:
    """How far a bucket of a period is metered."""

    bucket: int
    through_batch: int
    through_change: int
    closed: bool


@dataclass(frozen=True, slots=True)
class CustomerState:
    """A customer's state: where they stand in a period.

    Attributes:
        terms: fingerprint of the terms that the stored quantities were measured by.
        pending: the next stage, to rate or to invoice; None when everything is on documents.
        batches: what arrived since the documents were last computed.
        changes: what changed in the catalog since then.
    """

    code: int
    id: str
    bucket: int
    terms: str
    pending: Stage | None
    batches: tuple[int, ...]
    changes: tuple[int, ...]


def lock_buckets(connection: Connection, period: date, buckets: Sequence[int]) -> list[BucketProgress]:
    """The progress of a period's buckets, locked until the transaction ends: who computes or locks them takes turns."""
    rows = [{"period": period, "bucket": bucket} for bucket in sorted(buckets)]
    connection.execute(upsert(period_bucket).on_conflict_do_nothing(), rows)
    query = select(period_bucket).where(*_of_buckets(period, buckets)).order_by(period_bucket.c.bucket)
    locked = connection.execute(query.with_for_update())
    return [BucketProgress(row.bucket, row.through_batch, row.through_change, row.closed) for row in locked]


def _of_buckets(period: date, buckets: Collection[int]) -> tuple[ColumnElement[bool], ...]:
    return period_bucket.c.period == period, among(period_bucket.c.bucket, buckets)


def lock_everywhere(connection: Connection, buckets: Sequence[int]) -> None:
    """Lock these buckets in every period that knows them, in the order in which a run of several periods does."""
    query = select(period_bucket.c.bucket).where(among(period_bucket.c.bucket, buckets))
    connection.execute(query.order_by(period_bucket.c.period, period_bucket.c.bucket).with_for_update())


def advance(connection: Connection, period: date, buckets: Sequence[int], batch: int, change: int) -> None:
    """Note that the buckets are metered through a batch and a catalog change."""
    progress = {"through_batch": batch, "through_change": change}
    connection.execute(update(period_bucket).where(*_of_buckets(period, buckets)).values(progress))


def customers(
    connection: Connection, period: date, buckets: Sequence[int], *, pending: Stage | None = None
) -> dict[str, CustomerState]:
    """The customers of these buckets that the period knows, by id; with ``pending``, those that wait for that stage."""
    query = (
        select(customer_period, customer.c.id)
        .join(customer, customer.c.code == customer_period.c.customer)
        .where(customer_period.c.period == period, among(customer_period.c.bucket, buckets))
    )
    if pending is not None:
        query = query.where(customer_period.c.pending == pending)
    return {
        row.id: CustomerState(
            code=row.customer,
            id=row.id,
            bucket=row.bucket,
            terms=row.terms,
            pending=Stage(row.pending) if row.pending else None,
            batches=tuple(row.batches),
            changes=tuple(row.changes),
        )
        for row in connection.execute(query.order_by(customer.c.id))
    }


def mark(connection: Connection, period: date, states: Iterable[CustomerState]) -> None:
    """Write customers' states, in place of what they were."""
    states = list(states)
    columns = ("period", "customer", "bucket", "terms", "pending", "batches", "changes")
    replace_rows(
        connection,
        customer_period,
        period,
        [state.code for state in states],
        columns,
        (
            (period, state.code, state.bucket, state.terms, state.pending, state.batches, state.changes)
            for state in states
        ),
    )


def advance_customers(connection: Connection, period: date, codes: Collection[int], pending: Stage | None) -> None:
    """Hand these customers to the next stage; with None there is none."""
    _update_customers(connection, period, codes, pending=pending)


def forget_causes(connection: Connection, period: date, codes: Collection[int]) -> None:
    """Forget why these customers were dirty: their documents say all that is known."""
    _update_customers(connection, period, codes, batches=[], changes=[])


def _update_customers(connection: Connection, period: date, codes: Collection[int], **values: object) -> None:
    of_customers = (customer_period.c.period == period, among(customer_period.c.customer, codes))
    connection.execute(update(customer_period).where(*of_customers).values(**values))


def not_final(connection: Connection) -> list[date]:
    """The periods with documents that are not final, or usage of which nothing is final; oldest first."""
    query = text("""
        SELECT period FROM open_document UNION
        SELECT b.period FROM batch_period AS b
        WHERE NOT EXISTS (SELECT FROM final_document AS f WHERE f.period = b.period)
        ORDER BY period
    """)
    return list(connection.scalars(query))


def computed(connection: Connection) -> list[date]:
    """The first days of all periods that were ever computed, in order."""
    return list(connection.scalars(text("SELECT DISTINCT period FROM period_bucket ORDER BY period")))


def reached(connection: Connection, period: date) -> int:
    """The batch through which all buckets of the period are metered; 0 for none."""
    query = select(func.min(period_bucket.c.through_batch)).where(period_bucket.c.period == period)
    return connection.scalar(query) or 0


def waiting(connection: Connection, period: date, stage: Stage) -> int:
    """How many customers of the period wait for a stage."""
    query = select(func.count()).select_from(customer_period)
    query = query.where(customer_period.c.period == period, customer_period.c.pending == stage)
    return connection.scalar(query) or 0


def note_closed(connection: Connection, period: date, buckets: Sequence[int]) -> None:
    """Note that the buckets' documents were computed at or after the period's end."""
    connection.execute(update(period_bucket).where(*_of_buckets(period, buckets)).values(closed=True))
