"""How far each period's buckets are computed, what is pending, and the results between the stages."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, Table, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from billing_pipeline.ledger.database import among, copy_rows
from billing_pipeline.ledger.tables import (
    customer,
    customer_period,
    metered_quantity,
    period_bucket,
    rated_line,
    stage_run,
    usage_count,
)


@dataclass(frozen=True, slots=True)
class BucketProgress:
    """How far one bucket of a period is metered."""

    bucket: int
    through_batch: int
    through_change: int
    closed: bool


@dataclass(frozen=True, slots=True)
class CustomerState:
    """Where one customer stands in a period.

    Attributes:
        terms: fingerprint of the terms that the stored quantities were measured by.
        pending: the next stage, rate or invoice; None when everything is on documents.
        batches: what arrived since the documents were last computed.
        changes: what changed in the catalog since then.
    """

    code: int
    id: str
    bucket: int
    terms: str
    pending: str | None
    batches: tuple[int, ...]
    changes: tuple[int, ...]


def lock_buckets(connection: Connection, period: date, buckets: Sequence[int]) -> list[BucketProgress]:
    """The buckets' progress, locked until the transaction ends: whoever computes or locks them goes one by one."""
    rows = [{"period": period, "bucket": bucket} for bucket in sorted(buckets)]
    connection.execute(upsert(period_bucket).on_conflict_do_nothing(), rows)
    query = select(period_bucket).where(period_bucket.c.period == period, period_bucket.c.bucket.in_(list(buckets)))
    locked = connection.execute(query.order_by(period_bucket.c.bucket).with_for_update())
    return [BucketProgress(row.bucket, row.through_batch, row.through_change, row.closed) for row in locked]


def lock_everywhere(connection: Connection, buckets: Sequence[int]) -> None:
    """Lock these buckets in every period that knows them, in the order in which a run of several periods does."""
    query = select(period_bucket.c.bucket).where(period_bucket.c.bucket.in_(list(buckets)))
    connection.execute(query.order_by(period_bucket.c.period, period_bucket.c.bucket).with_for_update())


def advance(connection: Connection, period: date, buckets: Sequence[int], batch: int, change: int) -> None:
    """Note that the buckets are metered through a batch and a catalog change."""
    connection.execute(
        update(period_bucket)
        .where(period_bucket.c.period == period, period_bucket.c.bucket.in_(list(buckets)))
        .values(through_batch=batch, through_change=change)
    )


def customers(
    connection: Connection, period: date, buckets: Sequence[int], *, pending: str | None = None
) -> dict[str, CustomerState]:
    """The customers of these buckets that the period knows, by id; with ``pending``, those that wait for that stage."""
    query = (
        select(customer_period, customer.c.id)
        .join(customer, customer.c.code == customer_period.c.customer)
        .where(customer_period.c.period == period, customer_period.c.bucket.in_(list(buckets)))
    )
    if pending is not None:
        query = query.where(customer_period.c.pending == pending)
    return {
        row.id: CustomerState(
            row.customer, row.id, row.bucket, row.terms, row.pending, tuple(row.batches), tuple(row.changes)
        )
        for row in connection.execute(query.order_by(customer.c.id))
    }


def mark(connection: Connection, period: date, states: Iterable[CustomerState]) -> None:
    """Write these customers' states, replacing what they were."""
    states = list(states)
    columns = ("period", "customer", "bucket", "terms", "pending", "batches", "changes")
    _replace(
        connection,
        customer_period,
        period,
        [one.code for one in states],
        columns,
        ((period, one.code, one.bucket, one.terms, one.pending, one.batches, one.changes) for one in states),
    )


def advance_customers(connection: Connection, period: date, codes: Collection[int], pending: str | None) -> None:
    """Hand these customers to the next stage; with None there is none."""
    _update_customers(connection, period, codes, pending=pending)


def forget_causes(connection: Connection, period: date, codes: Collection[int]) -> None:
    """These customers' documents say all that is known: why they were dirty matters no more."""
    _update_customers(connection, period, codes, batches=[], changes=[])


def _update_customers(connection: Connection, period: date, codes: Collection[int], **values: object) -> None:
    of_customers = (customer_period.c.period == period, among(customer_period.c.customer, codes))
    connection.execute(update(customer_period).where(*of_customers).values(**values))


QUANTITY_COLUMNS = (
    "period", "customer", "subscription", "phase_start", "price", "start", "cut", "dimensions", "quantity", "events",
    "provisional", "counted_to", "measures",
)  # fmt: skip
COUNT_COLUMNS = ("period", "customer", "meter", "landed", "accepted", "superseded", "retracted", "unpriced", "pending")
LINE_COLUMNS = (
    "period", "customer", "kind", "subscription", "plan", "plan_version", "price", "product", "description",
    "service_start", "service_end", "dimensions", "quantity", "amount_minor", "phase_start", "start",
)  # fmt: skip


def replace_quantities(
    connection: Connection, period: date, codes: Collection[int], rows: Iterable[Sequence[object]]
) -> int:
    """Store these customers' quantities (QUANTITY_COLUMNS) in place of the ones before."""
    return _replace(connection, metered_quantity, period, codes, QUANTITY_COLUMNS, rows)


def replace_counts(
    connection: Connection, period: date, codes: Collection[int], rows: Iterable[Sequence[object]]
) -> int:
    """Store these customers' usage counts (COUNT_COLUMNS) in place of the ones before."""
    return _replace(connection, usage_count, period, codes, COUNT_COLUMNS, rows)


def replace_lines(
    connection: Connection, period: date, codes: Collection[int], rows: Iterable[Sequence[object]]
) -> int:
    """Store these customers' rated lines (LINE_COLUMNS) in place of the ones before."""
    return _replace(connection, rated_line, period, codes, LINE_COLUMNS, rows)


def _replace(
    connection: Connection,
    table: Table,
    period: date,
    codes: Collection[int],
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> int:
    connection.execute(
        text(f'DELETE FROM "{table.name}" WHERE period = :period AND customer = ANY(:codes)'),  # noqa: S608 - a table's name
        {"period": period, "codes": list(codes)},
    )
    return copy_rows(connection, table, columns, rows)


def quantities(connection: Connection, period: date, codes: Collection[int]) -> dict[int, list[Mapping[str, object]]]:
    """Stored quantities by customer code, as mappings of QUANTITY_COLUMNS."""
    return _by_customer(connection, metered_quantity, period, codes)


def lines(connection: Connection, period: date, codes: Collection[int]) -> dict[int, list[Mapping[str, object]]]:
    """Stored rated lines by customer code, as mappings of LINE_COLUMNS."""
    return _by_customer(connection, rated_line, period, codes)


def _by_customer(
    connection: Connection, table: Table, period: date, codes: Collection[int]
) -> dict[int, list[Mapping[str, object]]]:
    query = text(f'SELECT * FROM "{table.name}" WHERE period = :period AND customer = ANY(:codes)')  # noqa: S608 - a table's name
    found: dict[int, list[Mapping[str, object]]] = {code: [] for code in codes}
    result = connection.execute(query, {"period": period, "codes": list(codes)})
    names = tuple(result.keys())
    for row in result.all():  # one by one takes three times as long
        mapping = dict(zip(names, row, strict=True))
        found[mapping["customer"]].append(mapping)
    return found


def note_run(
    connection: Connection,
    *,
    period: date,
    stage: str,
    at: datetime,
    seconds: float,
    through_batch: int,
    counts: Mapping[str, int | str],
    actor: str,
) -> None:
    """Keep what a stage did, for people: what ran, when, how long, how much."""
    connection.execute(
        insert(stage_run).values(
            period=period,
            stage=stage,
            at=at,
            seconds=seconds,
            through_batch=through_batch,
            counts=dict(counts),
            actor=actor,
        )
    )


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Where every row that landed in a period ended; quarantined ones are counted by batch.

    Attributes:
        files: rows of the manifest's files, i.e. what landed in the period and was not quarantined.
    """

    files: int
    accepted: int
    superseded: int
    retracted: int
    unpriced: int

    @property
    def balanced(self) -> bool:
        """Whether no row is lost and none is counted twice."""
        return self.files == self.accepted + self.superseded + self.retracted


def reconciliation(connection: Connection, period: date) -> Reconciliation:
    """Count the period's rows in the manifest, and in what metering said of them."""
    row = connection.execute(
        text("""
            WITH reached AS (
                SELECT coalesce(min(through_batch), 0) AS batch FROM period_bucket WHERE period = :period
            )
            SELECT (SELECT coalesce(sum(rows), 0) FROM lake_file, reached
                    WHERE period = :period AND lake_file.batch <= reached.batch) AS files,
                   coalesce(sum(accepted), 0) AS accepted, coalesce(sum(superseded), 0) AS superseded,
                   coalesce(sum(retracted), 0) AS retracted, coalesce(sum(unpriced), 0) AS unpriced
            FROM usage_count WHERE period = :period
        """),
        {"period": period},
    ).one()
    return Reconciliation(*(int(value) for value in row))


def reached(connection: Connection, period: date) -> int:
    """The batch through which all buckets of the period are metered; 0 for none."""
    query = select(func.min(period_bucket.c.through_batch)).where(period_bucket.c.period == period)
    return connection.scalar(query) or 0


def waiting(connection: Connection, period: date, stage: str) -> int:
    """How many customers of the period wait for a stage."""
    query = select(func.count()).select_from(customer_period)
    query = query.where(customer_period.c.period == period, customer_period.c.pending == stage)
    return connection.scalar(query) or 0


def note_closed(connection: Connection, period: date, buckets: Sequence[int]) -> None:
    """These buckets' documents were computed at or after the period's end."""
    connection.execute(
        update(period_bucket)
        .where(period_bucket.c.period == period, period_bucket.c.bucket.in_(list(buckets)))
        .values(closed=True)
    )
