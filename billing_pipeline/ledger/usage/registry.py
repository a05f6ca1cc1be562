"""Batches, dimensions, customers and scopes that the ledger has: what landing another delivery needs to know."""

from datetime import date

import pyarrow as pa
from sqlalchemy import Connection, Row, select, text

from billing_pipeline.ledger.tables import batch, batch_period, customer, dimension
from billing_pipeline.usage.batch import Batch


def find(connection: Connection, source: str, content_hash: str) -> Batch | None:
    """The newest batch of the source with this content."""
    query = select(batch).where(batch.c.source == source, batch.c.content_hash == content_hash)
    row = connection.execute(query.order_by(batch.c.number.desc()).limit(1)).one_or_none()
    return _batch(row) if row is not None else None


def named(connection: Connection, source: str, name: str) -> Batch | None:
    """The newest batch of the source from a file of this name."""
    query = select(batch).where(batch.c.source == source, batch.c.name == name, batch.c.replay_of.is_(None))
    row = connection.execute(query.order_by(batch.c.number.desc()).limit(1)).one_or_none()
    return _batch(row) if row is not None else None


def numbered(connection: Connection, number: int) -> Batch | None:
    """The batch of this number."""
    row = connection.execute(select(batch).where(batch.c.number == number)).one_or_none()
    return _batch(row) if row is not None else None


def replacement(connection: Connection, number: int) -> int | None:
    """The batch that stands in the place of a batch as a whole."""
    return connection.scalar(select(batch.c.number).where(batch.c.replaces == number))


def periods_of(connection: Connection, number: int) -> tuple[date, ...]:
    """First days of the periods that a batch has rows in or took rows from."""
    query = select(batch_period.c.period).where(batch_period.c.batch == number).order_by(batch_period.c.period)
    return tuple(connection.scalars(query))


def dimensions(connection: Connection) -> list[str]:
    """Names of the dimensions that any batch has brought."""
    return list(connection.scalars(select(dimension.c.name).order_by(dimension.c.name)))


def customers(connection: Connection) -> pa.Table:
    """All customers: id, code, bucket."""
    rows = connection.execute(select(customer.c.id, customer.c.code, customer.c.bucket)).all()
    ids, codes, buckets = zip(*rows, strict=True) if rows else ((), (), ())
    kinds = (pa.string(), pa.int32(), pa.int16())
    arrays = [pa.array(values, kind) for values, kind in zip((ids, codes, buckets), kinds, strict=True)]
    return pa.table(arrays, names=["id", "code", "bucket"])


def scope_code(connection: Connection, source: str, key: str) -> int:
    """The code of a snapshot scope, given once; in a transaction of its own, before files name it."""
    values = {"source": source, "key": key}
    connection.execute(
        text("INSERT INTO snapshot_scope (source, key) VALUES (:source, :key) ON CONFLICT DO NOTHING"), values
    )
    code: int = connection.execute(
        text("SELECT code FROM snapshot_scope WHERE source = :source AND key = :key"), values
    ).scalar_one()
    return code


def _batch(row: Row[tuple[object, ...]]) -> Batch:
    return Batch(
        number=row.number,
        source=row.source,
        content_hash=row.content_hash,
        name=row.name,
        received_at=row.received_at,
        rows=row.rows,
        quarantined=row.quarantined,
        replay_of=row.replay_of,
        replaces=row.replaces,
    )
