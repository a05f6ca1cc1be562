"""The manifest of the lake: which usage files there are as of a batch. Readers ask here, never a directory listing."""

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import ColumnElement, Connection, func, or_, select, text, true

from billing_pipeline.ledger.database import among, lock_key
from billing_pipeline.ledger.tables import batch, batch_period, lake_file, snapshot_delivery
from billing_pipeline.usage.event import LakeFile

ARRIVAL_LOCK = "arrival"  # held while a batch gets its number and instant, until it is committed


def wait_for_landings(connection: Connection) -> None:
    """Return when no batch is being accepted; one that is accepted later is received at a later instant."""
    lock_key(connection, ARRIVAL_LOCK)


def newest_batch(connection: Connection) -> int:
    """Number of the last accepted batch; 0 for none. Batches commit in the order of their numbers."""
    return connection.scalar(select(func.max(batch.c.number))) or 0


def batch_before(connection: Connection, instant: datetime) -> int:
    """Number of the last batch received before ``instant``; 0 for none."""
    return connection.scalar(select(func.max(batch.c.number)).where(batch.c.received_at < instant)) or 0


def received_at(connection: Connection, numbers: Collection[int]) -> dict[int, datetime]:
    """When each of these batches was received."""
    query = select(batch.c.number, batch.c.received_at).where(among(batch.c.number, numbers))
    return {row.number: row.received_at for row in connection.execute(query)}


def touching(connection: Connection, period: date, after: int, through: int) -> list[int]:
    """Batches in ``(after, through]`` that have rows in the period, or replace rows in it."""
    query = select(batch_period.c.batch).where(batch_period.c.period == period)
    query = query.where(batch_period.c.batch > after, batch_period.c.batch <= through)
    return list(connection.scalars(query.order_by(batch_period.c.batch)))


def days_after(connection: Connection, after: Collection[int], through: int) -> dict[int, set[date]]:
    """For each batch of ``after``, the periods that later ones through a batch have rows in, or replace rows in."""
    query = text("""
        SELECT DISTINCT a.after, p.period FROM unnest(CAST(:after AS bigint[])) AS a (after)
        JOIN batch_period AS p ON p.batch > a.after AND p.batch <= :through
    """)
    days: dict[int, set[date]] = {batch: set() for batch in after}
    for row in connection.execute(query, {"after": list(after), "through": through}):
        days[row.after].add(row.period)
    return days


def files(
    connection: Connection,
    period: date,
    through: int,
    *,
    after: int = 0,
    buckets: Collection[int] | None = None,
    batches: Collection[int] | None = None,
) -> list[LakeFile]:
    """Files of the period with batches in ``(after, through]``, oldest first.

    Args:
        connection: of the ledger.
        period: first day of the period.
        through: number of the last batch to include.
        after: number of the last batch to leave out.
        buckets: files that hold only other buckets are left out.
        batches: only these batches.
    """
    of_period = lake_file.c.period == period
    return read_files(connection, of_period, through, after=after, buckets=buckets, batches=batches)


def files_between(connection: Connection, after: int, through: int, buckets: Collection[int]) -> list[LakeFile]:
    """Files of all periods with batches in ``(after, through]``, without those that hold only other buckets."""
    return read_files(connection, true(), through, after=after, buckets=buckets, batches=None)


def read_files(
    connection: Connection,
    which: ColumnElement[bool],
    through: int,
    *,
    after: int,
    buckets: Collection[int] | None,
    batches: Collection[int] | None,
) -> list[LakeFile]:
    """Files of the manifest for which a condition holds; the other arguments are those of :func:`files`."""
    query = select(lake_file).where(which, lake_file.c.batch > after, lake_file.c.batch <= through)
    if buckets is not None:
        query = query.where(or_(lake_file.c.bucket.is_(None), lake_file.c.bucket.in_(list(buckets))))
    if batches is not None:
        query = query.where(among(lake_file.c.batch, batches))
    rows = connection.execute(query.order_by(lake_file.c.batch, lake_file.c.path))
    return [
        LakeFile(
            path=row.path,
            batch=row.batch,
            period=row.period,
            bucket=row.bucket,
            rows=row.rows,
            retractions=row.retractions,
            sha256=row.sha256,
            bytes=row.bytes,
            dimensions=tuple(row.dimensions),
            meters=tuple(row.meters),
        )
        for row in rows
    ]


def paths(connection: Connection) -> set[str]:
    """The files that the manifest names, by path; all others of the lake belong to nobody."""
    return set(connection.scalars(select(lake_file.c.path)))


def customers_of(connection: Connection, paths: Collection[str]) -> dict[str, set[int]]:
    """Codes of the customers with events in these files, by path; where that was not kept, of all who may have some."""
    query = text("""
        SELECT path, coalesce(f.customers, ARRAY(
            SELECT code FROM customer AS c WHERE f.bucket IS NULL OR c.bucket = f.bucket
        )) AS customers
        FROM lake_file AS f WHERE path = ANY(:paths)
    """)
    return {row.path: set(row.customers) for row in connection.execute(query, {"paths": list(paths)})}


def deliveries(connection: Connection, through: int) -> dict[int, list[int]]:
    """Snapshot scope → batches of all its deliveries through a batch, oldest first; each replaces the one before.

    A batch that another replaces as a whole is a scope of its own, by its number below zero; so are the rows that were
    mended of it, whenever that was.
    """
    query = select(snapshot_delivery.c.scope, snapshot_delivery.c.batch).where(snapshot_delivery.c.batch <= through)
    by_scope: dict[int, list[int]] = {}
    for row in connection.execute(query.order_by(snapshot_delivery.c.scope, snapshot_delivery.c.batch)):
        by_scope.setdefault(row.scope, []).append(row.batch)
    for replaced, by in connection.execute(_REPLACED_WHOLE, {"through": through}):
        by_scope[-replaced] = [replaced, by]
    return by_scope


def replaced_by(connection: Connection, numbers: Collection[int]) -> dict[int, int]:
    """Earlier deliveries whose rows these batches replace: earlier batch → the batch that replaces it."""
    query = text("""
        SELECT earlier.batch, max(later.batch) AS later
        FROM snapshot_delivery AS later JOIN snapshot_delivery AS earlier USING (scope)
        WHERE later.batch = ANY(:numbers) AND earlier.batch < later.batch GROUP BY earlier.batch
        UNION ALL
        SELECT earlier.number, later.number FROM batch AS later
        JOIN batch AS earlier ON later.replaces IN (earlier.number, earlier.replay_of)
        WHERE later.number = ANY(:numbers) AND earlier.number < later.number
    """)
    return {row.batch: row.later for row in connection.execute(query, {"numbers": list(numbers)})}


_REPLACED_WHOLE = text("""
    SELECT earlier.number, later.number FROM batch AS later
    JOIN batch AS earlier ON later.replaces IN (earlier.number, earlier.replay_of)
    WHERE later.replaces IS NOT NULL AND later.number <= :through AND earlier.number <= :through
    ORDER BY earlier.number
""")
