"""Reading quarantine: the rows that wait to be mended. What a replay took over waits no more, but stays on record."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, select

from billing_pipeline.core.plain_json import Json, fields_json
from billing_pipeline.ledger.tables import batch, quarantine, quarantine_replay
from billing_pipeline.usage.quarantine import QuarantinedRow


@dataclass(frozen=True, slots=True)
class RowSelection:
    """Which rows of the quarantine are meant; what is None does not matter."""

    source: str | None = None
    batch: int | None = None
    code: str | None = None
    ids: Collection[int] | None = None


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A row that waits, and the delivery that brought it.

    Attributes:
        id: names it in corrections.
        batch: number of the batch.
        source: id of the source.
        name: of the delivered file.
        received_at: when it was received.
        row: what is wrong with it.
    """

    id: int
    batch: int
    source: str
    name: str
    received_at: datetime
    row: QuarantinedRow

    def to_json(self) -> Json:
        """As the command line prints it."""
        return {
            **fields_json(self, "id", "batch", "source", "name"),
            "received_at": self.received_at.isoformat(),
            **fields_json(self.row, "row", "column", "value", "code", "reason", "raw"),
        }


def waiting(
    connection: Connection, which: RowSelection, *, after: int = 0, limit: int | None = None
) -> list[WaitingRow]:
    """The waiting rows with an id beyond ``after``, in the order of their ids."""
    columns = (quarantine, batch.c.source, batch.c.name, batch.c.received_at)
    query = _selected(select(*columns), which).where(quarantine.c.id > after).order_by(quarantine.c.id).limit(limit)
    return [_row(row) for row in connection.execute(query)]


def batches_with(connection: Connection, which: RowSelection) -> list[tuple[str, int, str]]:
    """(source, batch, name) of the batches that have waiting rows, the oldest first."""
    query = _selected(select(batch.c.source, batch.c.number, batch.c.name).distinct(), which)
    return [(row.source, row.number, row.name) for row in connection.execute(query.order_by(batch.c.number))]


def count(connection: Connection, which: RowSelection) -> int:
    """How many rows wait."""
    return connection.scalar(_selected(select(func.count()), which)) or 0


def _selected(query: Select[Any], which: RowSelection) -> Select[Any]:
    replayed = exists().where(quarantine_replay.c.quarantine_id == quarantine.c.id)
    query = query.select_from(quarantine.join(batch, batch.c.number == quarantine.c.batch)).where(~replayed)
    conditions = (
        (batch.c.source, which.source),
        (quarantine.c.batch, which.batch),
        (quarantine.c.code, which.code),
    )
    for column, value in conditions:
        if value is not None:
            query = query.where(column == value)
    return query if which.ids is None else query.where(quarantine.c.id.in_(list(which.ids)))


def _row(row: Row[tuple[object, ...]]) -> WaitingRow:
    what = QuarantinedRow(row.row, row.column, row.value, row.code, row.reason, row.raw, row.parsed)
    return WaitingRow(row.id, row.batch, row.source, row.name, row.received_at, what)
