"""Watermarks: a source's word that everything up to an instant is delivered. Said once, never taken back."""

from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from billing_pipeline.core.errors import Refused
from billing_pipeline.ledger.database import lock_key
from billing_pipeline.ledger.tables import catalog_entry, watermark


def record(connection: Connection, source: str, instant: datetime, *, at: datetime, actor: str) -> bool:
    """Record that ``source`` has delivered everything before ``instant``; False where it had said exactly that.

    Raises:
        Refused: the source said more already: documents may have locked on it.
    """
    lock_key(connection, f"watermark {source}")
    highest = newest(connection).get(source)
    if highest is not None and instant < highest:
        raise Refused(
            f"The watermark of {source} stands at {highest.isoformat()} and never goes back to {instant.isoformat()}.",
            hint="Land what was missing: before the lock it changes the draft, after it the next document.",
        )
    if instant == highest:
        return False
    connection.execute(insert(watermark).values(source=source, instant=instant, recorded_at=at, actor=actor))
    return True


def newest(connection: Connection) -> dict[str, datetime]:
    """The watermark of each source that has one."""
    query = select(watermark.c.source, func.max(watermark.c.instant).label("highest")).group_by(watermark.c.source)
    return {row.source: row.highest for row in connection.execute(query)}


def passed_at(connection: Connection, source: str, instant: datetime) -> datetime | None:
    """When a source's watermark passed an instant: it was recorded that all before it is delivered. None: not yet."""
    query = select(watermark.c.recorded_at).where(watermark.c.source == source, watermark.c.instant >= instant)
    return connection.scalar(query.order_by(watermark.c.id).limit(1))


def sources(connection: Connection) -> list[str]:
    """Ids of the sources that the catalog has ever known, in order."""
    query = select(catalog_entry.c.id).where(catalog_entry.c.kind == "source").distinct()
    return sorted(connection.scalars(query))
