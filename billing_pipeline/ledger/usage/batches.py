"""Accepting batches: one transaction gives a batch its number and instant, and makes its files visible.

Files are written first, under names that nobody else uses; a crash before the commit leaves files that nobody sees.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from billing_pipeline.core.errors import Refused, UsageError
from billing_pipeline.ledger.database import copy_rows, lock_key
from billing_pipeline.ledger.tables import (
    batch,
    batch_period,
    dimension,
    finalization,
    lake_file,
    on_demand_window,
    quarantine,
    quarantine_replay,
    snapshot_delivery,
)
from billing_pipeline.ledger.usage.manifest import ARRIVAL_LOCK
from billing_pipeline.ledger.usage.registry import dimensions, find, named, numbered, periods_of, replacement
from billing_pipeline.usage.batch import Batch
from billing_pipeline.usage.event import LakeFile
from billing_pipeline.usage.quarantine import QuarantinedRow


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery whose files are written and which is ready to become a batch.

    Attributes:
        source: id of the source.
        content_hash: sha256 of what was delivered.
        name: of the file, or ``frame``.
        rows: input rows.
        bytes: its size.
        actor: who landed it.
        files: as written to the lake; their batch is filled in.
        quarantined: the rows that are no events.
        quarantined_rows: how many.
        scopes: of a snapshot, each scope that it restates → the periods that it has rows in.
        replay_of: the batch whose quarantined rows these are, or None.
        replaces: the batch in whose place it stands as a whole, or None.
        single: whether rows of it are events of their own, so that a file landed twice would count twice.
        replayed: ids of these rows in quarantine.
    """

    source: str
    content_hash: str
    name: str
    rows: int
    bytes: int
    actor: str
    files: Sequence[LakeFile] = ()
    quarantined: Iterable[QuarantinedRow] = ()
    quarantined_rows: int = 0
    scopes: Mapping[int, frozenset[date]] = field(default_factory=dict)
    replay_of: int | None = None
    replaces: int | None = None
    single: bool = False
    replayed: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """What accepting a delivery came to.

    Attributes:
        batch: the new one, or the earlier one with the same content.
        already: whether it is the earlier one; then nothing was written.
        periods: first days of the periods that the batch has rows in or takes rows from.
    """

    batch: Batch
    already: bool
    periods: tuple[date, ...]


def accept(
    connection: Connection,
    delivery: Delivery,
    now: Callable[[Connection], datetime],
    *,
    again: bool = False,
    received_at: datetime | None = None,
) -> Accepted:
    """Make a delivery a batch, unless its source has delivered the same content before.

    Args:
        connection: a transaction; everything becomes visible when it commits.
        delivery: what was delivered.
        now: the ledger's clock, read once it is this delivery's turn.
        again: accept the same content once more: a restatement that is meant.
        received_at: for history that is imported; not before anything recorded and not in the future.

    Raises:
        Refused: ``received_at`` is out of order, a row was replayed by somebody else meanwhile, what is to be replaced
            cannot be, or a file with rows that are events of their own has a name that has landed before.
        UsageError: another delivery has just introduced a dimension that differs in case only.
    """
    lock_key(connection, ARRIVAL_LOCK)
    earlier = find(connection, delivery.source, delivery.content_hash)
    if earlier is not None and not again:
        return Accepted(earlier, already=True, periods=periods_of(connection, earlier.number))
    _refuse_replayed(connection, delivery.replayed)
    _refuse_replacing(connection, delivery)
    if delivery.single and delivery.replaces is None and not again:
        _refuse_name(connection, delivery)
    new_batch = Batch(
        number=(connection.scalar(select(func.max(batch.c.number))) or 0) + 1,
        source=delivery.source,
        content_hash=delivery.content_hash,
        name=delivery.name,
        received_at=_received_at(connection, now(connection), received_at),
        rows=delivery.rows,
        quarantined=delivery.quarantined_rows,
        replay_of=delivery.replay_of,
        replaces=delivery.replaces,
    )
    _insert_batch(connection, new_batch, delivery)
    _insert_dimensions(connection, delivery.files)
    _insert_files(connection, [replace(file, batch=new_batch.number) for file in delivery.files])
    periods = _insert_periods(connection, new_batch.number, delivery)
    _insert_scopes(connection, new_batch.number, delivery.scopes)
    _insert_quarantine(connection, new_batch.number, delivery)
    return Accepted(new_batch, already=False, periods=tuple(sorted(periods)))


def _received_at(connection: Connection, now: datetime, stated: datetime | None) -> datetime:
    """The instant of receipt: it never goes back, and nothing is received before a cutoff that has passed."""
    last = connection.scalar(select(func.max(batch.c.received_at)))
    if stated is None:
        return max(now, last) if last else now
    cutoff = connection.scalar(select(func.max(finalization.c.cutoff)))
    window = connection.scalar(select(func.max(on_demand_window.c.window_end)))
    floor = max((instant for instant in (last, cutoff, window) if instant is not None), default=None)
    if floor is not None and stated < floor:
        raise Refused(
            f"Usage cannot be received at {stated.isoformat()}: others were received or locked at {floor.isoformat()}.",
            hint=f"Import history in its order, from {floor.isoformat()} on.",
        )
    if stated > now:
        raise Refused(f"Usage cannot be received in the future; it is {now.isoformat()}.", hint="Omit received_at.")
    return stated


def _refuse_replayed(connection: Connection, ids: Sequence[int]) -> None:
    query = select(func.count()).where(quarantine_replay.c.quarantine_id.in_(ids))
    if ids and connection.scalar(query):
        raise Refused("Some of these rows were replayed meanwhile.", hint="Run the replay again; nothing was changed.")


def _refuse_replacing(connection: Connection, delivery: Delivery) -> None:
    """What is replaced as a whole is a delivery of the same source that counts now."""
    if delivery.replaces is None:
        return
    replaced = numbered(connection, delivery.replaces)
    if replaced is None or replaced.source != delivery.source:
        raise Refused(
            f"Source {delivery.source!r} has no batch {delivery.replaces}.",
            hint="Name one of its own batches: landing a file answers with its batch.",
        )
    if replaced.replay_of is not None:
        raise Refused(
            f"Batch {replaced.number} holds rows of batch {replaced.replay_of} that were mended.",
            hint=f"Replace all of it: --replaces {replaced.replay_of}.",
        )
    if by := replacement(connection, replaced.number):
        raise Refused(
            f"Batch {replaced.number} was replaced by batch {by}.", hint=f"Replace that one: --replaces {by}."
        )


def _refuse_name(connection: Connection, delivery: Delivery) -> None:
    """A file whose name has landed with other content: mended or new, only the sender knows."""
    before = named(connection, delivery.source, delivery.name)
    if before is not None:
        number = replacement(connection, before.number) or before.number
        raise Refused(
            f"Source {delivery.source!r} has landed a file {delivery.name!r} with other content, as batch {number}; "
            "each row of this one would count beside it.",
            hint=f"Where it is to stand in its place: --replaces {number}. Where both count: --again.",
        )


def _insert_batch(connection: Connection, new_batch: Batch, delivery: Delivery) -> None:
    same = (batch.c.source == new_batch.source) & (batch.c.content_hash == new_batch.content_hash)
    connection.execute(
        insert(batch).values(
            number=new_batch.number,
            source=new_batch.source,
            content_hash=new_batch.content_hash,
            repeat=connection.scalar(select(func.count()).select_from(batch).where(same)),
            received_at=new_batch.received_at,
            name=new_batch.name,
            rows=new_batch.rows,
            quarantined=new_batch.quarantined,
            bytes=delivery.bytes,
            replay_of=new_batch.replay_of,
            replaces=new_batch.replaces,
            actor=delivery.actor,
        )
    )


def _insert_dimensions(connection: Connection, files: Sequence[LakeFile]) -> None:
    new = sorted({name for file in files for name in file.dimensions} - set(dimensions(connection)))
    if not new:
        return
    try:
        connection.execute(insert(dimension), [{"name": name} for name in new])
    except IntegrityError as error:
        raise UsageError(
            f"Another delivery has just brought a dimension that differs from one of {new} in case only.",
            hint="Land again: the rows concerned will be quarantined.",
        ) from error


def _insert_files(connection: Connection, files: Sequence[LakeFile]) -> None:
    columns = (
        "path", "batch", "period", "bucket", "rows", "retractions", "bytes", "sha256", "dimensions", "meters",
        "customers",
    )  # fmt: skip
    rows = ([getattr(file, column) for column in columns] for file in files)
    copy_rows(connection, lake_file, columns, rows)


def _insert_periods(connection: Connection, number: int, delivery: Delivery) -> set[date]:
    """The periods with rows of this batch, and those from which it takes an earlier delivery's rows."""
    rows: dict[date, int] = dict.fromkeys(_replaced_periods(connection, delivery), 0)
    for file in delivery.files:
        rows[file.period] = rows.get(file.period, 0) + file.rows
    counted = ((period, number, count) for period, count in sorted(rows.items()))
    copy_rows(connection, batch_period, ("period", "batch", "rows"), counted)
    return set(rows)


def _replaced_periods(connection: Connection, delivery: Delivery) -> set[date]:
    query = text("""
        SELECT DISTINCT ON (scope) periods FROM snapshot_delivery WHERE scope = ANY(:scopes) ORDER BY scope, batch DESC
    """)
    periods = {day for row in connection.execute(query, {"scopes": list(delivery.scopes)}) for day in row.periods}
    if delivery.replaces is None:
        return periods
    whole = text("""
        SELECT DISTINCT p.period FROM batch_period AS p JOIN batch AS b ON b.number = p.batch
        WHERE :replaces IN (b.number, b.replay_of)
    """)
    return periods | set(connection.scalars(whole, {"replaces": delivery.replaces}))


def _insert_scopes(connection: Connection, number: int, scopes: Mapping[int, frozenset[date]]) -> None:
    rows = ((scope, number, sorted(periods)) for scope, periods in sorted(scopes.items()))
    copy_rows(connection, snapshot_delivery, ("scope", "batch", "periods"), rows)


def _insert_quarantine(connection: Connection, number: int, delivery: Delivery) -> None:
    columns = ("batch", "row", "column", "value", "code", "reason", "raw", "parsed")
    rows = ((number, *[getattr(row, column) for column in columns[1:]]) for row in delivery.quarantined)
    copy_rows(connection, quarantine, columns, rows)
    replayed = ((row_id, number) for row_id in delivery.replayed)
    copy_rows(connection, quarantine_replay, ("quarantine_id", "batch"), replayed)
