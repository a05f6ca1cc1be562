"""Why a document changed: the batches and catalog changes that its versions name, as a person knows them."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select

from billing_pipeline.ledger.tables import batch, catalog_change, catalog_entry


@dataclass(frozen=True, slots=True)
class CauseBatch:
    """A batch: whose, which file, when it arrived."""

    number: int
    source: str
    name: str
    received_at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class CauseChange:
    """A catalog change. ``entries``: (kind, id) of what it changed that may concern the customer."""

    number: int
    recorded_at: datetime
    actor: str
    action: str
    entries: tuple[tuple[str, str], ...]


def batches(connection: Connection, numbers: Collection[int]) -> list[CauseBatch]:
    """These batches, in the order of their arrival."""
    query = select(batch.c.number, batch.c.source, batch.c.name, batch.c.received_at, batch.c.actor)
    rows = connection.execute(query.where(batch.c.number.in_(list(numbers))).order_by(batch.c.number))
    return [CauseBatch(*row) for row in rows]


def catalog_changes(connection: Connection, numbers: Collection[int], customer: str) -> list[CauseChange]:
    """These changes, oldest first, with what of them may concern the customer."""
    listed = list(numbers)
    entries = defaultdict[int, list[tuple[str, str]]](list)
    query = select(catalog_entry.c.change, catalog_entry.c.kind, catalog_entry.c.id).where(
        catalog_entry.c.change.in_(listed),
        or_(catalog_entry.c.customer.is_(None), catalog_entry.c.customer == customer),
    )
    for row in connection.execute(query.order_by(catalog_entry.c.kind, catalog_entry.c.id)):
        entries[row.change].append((row.kind, row.id))
    changes = connection.execute(
        select(catalog_change).where(catalog_change.c.number.in_(listed)).order_by(catalog_change.c.number)
    )
    return [
        CauseChange(row.number, row.recorded_at, row.actor, row.action, tuple(entries[row.number])) for row in changes
    ]
