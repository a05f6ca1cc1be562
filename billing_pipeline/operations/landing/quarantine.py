"""What waits in quarantine: list it, mend it, replay it.

A replayed row becomes an event of a new batch of its source, received now, that names the batch it replays. It then
counts as accepted, not as quarantined, and not as landed again: the input rows of all batches that are no replays are
the events of all batches and the rows that still wait.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256

import pyarrow as pa

from billing_pipeline.core.plain_json import Json, fields_json
from billing_pipeline.ledger.usage import quarantine
from billing_pipeline.ledger.usage.batches import Delivery
from billing_pipeline.ledger.usage.quarantine import RowSelection, WaitingRow
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.accept import accept, staged
from billing_pipeline.operations.landing.delivery import working_folder
from billing_pipeline.operations.landing.land import source_of
from billing_pipeline.usage.batch import LandingProgress
from billing_pipeline.usage.mapping import columns_of
from billing_pipeline.usage.quarantine import corrected_values
from billing_pipeline.usage.sources.chunk import Chunk
from billing_pipeline.usage.sources.json_text import columns_of as text_columns

_PAGE = 20_000  # rows read at once


@dataclass(frozen=True, slots=True)
class ReplayedBatch:
    """One batch's rows that were taken over.

    Attributes:
        batch: number of the new batch.
        replay_of: the batch that had brought the rows.
        rows: how many.
        periods: that they touch.
    """

    batch: int
    replay_of: int
    source: str
    rows: int
    periods: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The rows of a replay: what became of them.

    Attributes:
        batches: one for each batch of which rows were taken over.
        waiting: rows of the selection that still wait.
        reasons: why, by code.
        snapshots: of these, rows by snapshot source: it restates everything, so its delivery is landed again.
    """

    batches: tuple[ReplayedBatch, ...]
    waiting: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    snapshots: Mapping[str, int] = field(default_factory=dict)

    @property
    def replayed(self) -> int:
        """Rows that are events now."""
        return sum(batch.rows for batch in self.batches)

    def to_json(self) -> Json:
        """As the command line prints it."""
        return fields_json(self, "replayed", "waiting", "reasons", "snapshots", "batches")


def waiting(billing: Billing, which: RowSelection | None = None, *, limit: int | None = None) -> list[WaitingRow]:
    """The rows that wait, the oldest first."""
    with billing.ledger.begin() as connection:
        return quarantine.waiting(connection, which or RowSelection(), limit=limit)


def count(billing: Billing, which: RowSelection | None = None) -> int:
    """How many rows wait."""
    with billing.ledger.begin() as connection:
        return quarantine.count(connection, which or RowSelection())


def replay(
    billing: Billing,
    which: RowSelection | None = None,
    *,
    corrected: Mapping[int, Mapping[str, str]] | None = None,
    overrides: Mapping[str, str] | None = None,
    progress: LandingProgress | None = None,
) -> ReplayResult:
    """Read waiting rows again, by the catalog as it is now. Those that are still bad stay; repeating changes nothing.

    Args:
        billing: of the ledger.
        which: the rows; all by default.
        corrected: the columns of mended rows, by id; see ``usage.quarantine.read_corrections``.
        overrides: column → value for all selected rows; '' removes it.
        progress: told the rows read so far.

    Raises:
        Refused: somebody else replays the same rows.
    """
    which = which or RowSelection()
    if corrected is not None and which.ids is None:
        which = replace(which, ids=list(corrected))
    with billing.ledger.begin() as connection:
        concerned = quarantine.batches_with(connection, which)
    replayed: list[ReplayedBatch] = []
    reasons: Counter[str] = Counter()
    snapshots: Counter[str] = Counter()
    for source, number, name in concerned:
        batch_replay = _Replay(
            billing, replace(which, batch=number), source, number, name, corrected or {}, overrides or {}
        )
        if source_of(billing, source)[1].mode == "snapshot":
            snapshots[source] += count(billing, batch_replay.which)
            continue
        taken, left = batch_replay.run(progress)
        replayed += [taken] if taken else []
        reasons += left
    return ReplayResult(tuple(replayed), reasons.total() + snapshots.total(), dict(reasons), dict(snapshots))


@dataclass(slots=True)
class _Replay:
    """The replay of one batch's rows.

    Attributes:
        ids: row number → id in quarantine, of the rows that are read again.
        unread: why others are not, by code: they are no columns, and nobody has mended them.
    """

    billing: Billing
    which: RowSelection
    source: str
    batch: int
    name: str
    corrected: Mapping[int, Mapping[str, str]]
    overrides: Mapping[str, str]
    ids: dict[int, int] = field(default_factory=dict)
    unread: Counter[str] = field(default_factory=Counter)

    def run(self, progress: LandingProgress | None) -> tuple[ReplayedBatch | None, Counter[str]]:
        """Take over the rows that can be billed now; returns their batch, and why the rest cannot."""
        catalog, source = source_of(self.billing, self.source)
        columns = replace(columns_of(source), required=())  # a row that lacks a column is a bad row, not a bad file
        with (
            working_folder(self.billing) as folder,
            staged(self.billing, catalog, source, columns, self._chunks(), folder, progress) as staged_rows,
        ):
            for row in staged_rows.quarantined:
                del self.ids[row.row]
            left = self.unread + staged_rows.quarantined.reasons
            if not self.ids:
                return None, left
            accepted = accept(self.billing, staged_rows.events, self._delivery())
            return ReplayedBatch(
                accepted.batch.number, self.batch, self.source, accepted.batch.rows, accepted.periods
            ), left

    def _chunks(self) -> Iterator[Chunk]:
        after = 0
        while page := self._page(after):
            after = page[-1].id
            rows, values = list[int](), list[Mapping[str, object]]()
            for waiting_row in page:
                says = corrected_values(waiting_row.id, waiting_row.row, self.corrected, self.overrides)
                if waiting_row.row.parsed or waiting_row.id in self.corrected:
                    rows.append(waiting_row.row.row)
                    values.append(says)
                    self.ids[waiting_row.row.row] = waiting_row.id
                else:
                    self.unread[waiting_row.row.code] += 1
            yield Chunk(text_columns(values), pa.array(rows, pa.int64()))

    def _page(self, after: int) -> list[WaitingRow]:
        with self.billing.ledger.begin() as connection:
            return quarantine.waiting(connection, self.which, after=after, limit=_PAGE)

    def _delivery(self) -> Delivery:
        ids = sorted(self.ids.values())
        return Delivery(
            source=self.source,
            content_hash=sha256(f"replay {ids}".encode()).hexdigest(),
            name=f"replay of {self.name}",
            rows=len(ids),
            bytes=0,
            actor=self.billing.actor,
            replay_of=self.batch,
            replayed=ids,
        )
