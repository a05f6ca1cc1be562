"""The way from chunks to a batch, the same for landing and for replaying: normalise, sort, write, accept."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from billing_pipeline.catalog import Catalog, Source
from billing_pipeline.core.errors import Refused, UsageError
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger import clock
from billing_pipeline.ledger.usage import batches, registry
from billing_pipeline.ledger.usage.batches import Accepted, Delivery
from billing_pipeline.operations.context import Billing
from billing_pipeline.usage.batch import LandingProgress
from billing_pipeline.usage.event import LakeFile
from billing_pipeline.usage.lake import Lake
from billing_pipeline.usage.mapping import Columns
from billing_pipeline.usage.normalize import Normalizer, Registered
from billing_pipeline.usage.quarantine import Spool
from billing_pipeline.usage.sources.chunk import Chunk
from billing_pipeline.usage.staging import Limits, Staging, within_memory


@dataclass(slots=True)
class Staged:
    """A delivery's rows, typed and on local disk.

    Attributes:
        events: the rows that are events.
        quarantined: the others.
        rows: how many there are of both.
    """

    events: Staging
    quarantined: Spool
    rows: int = 0


@contextmanager
def staged(
    billing: Billing,
    catalog: Catalog,
    source: Source,
    columns: Columns,
    chunks: Iterable[Chunk],
    folder: Path,
    progress: LandingProgress | None = None,
    total_bytes: int = 0,
) -> Iterator[Staged]:
    """Normalise all chunks into ``folder``. Raises UsageError where the delivery cannot be read as a whole."""
    settings = billing.settings
    limits = Limits(settings.memory, settings.staging_disk, settings.delivery_rows)
    staged_rows = Staged(Staging(folder, limits), Spool(folder / "quarantined.jsonl"))
    normalize = Normalizer(columns, _registered(billing, catalog, source))
    try:
        with within_memory(settings.memory):
            for chunk in chunks:
                normalized = normalize(chunk)
                staged_rows.events.add(normalized.table)
                staged_rows.quarantined.add(normalized.quarantined)
                staged_rows.rows += len(chunk.rows) + len(chunk.bad)
                if progress is not None:
                    progress(staged_rows.rows, chunk.bytes_read, total_bytes)
            yield staged_rows
    finally:
        normalize.close()
        staged_rows.events.close()


def accept(
    billing: Billing, events: Staging, delivery: Delivery, *, again: bool = False, received_at: datetime | None = None
) -> Accepted:
    """Write the events to the lake and make the delivery a batch.

    Files of a delivery that turned out to have landed already, or was refused, are removed at once. After any other
    failure they stay: whether the transaction was committed is not known then, and the sweep can tell later.
    """
    lake = Lake.at(billing.settings.lake)
    files: list[LakeFile] = []
    try:
        for file in events.write(lake):  # one by one, so that those before a failure are known
            files.append(file)  # noqa: PERF402
    except BaseException:
        lake.remove(file.path for file in files)
        raise
    complete = replace(delivery, files=files)
    try:
        with billing.ledger.begin() as connection:
            accepted = batches.accept(
                connection,
                complete,
                lambda connection: clock.now(connection, billing.settings.now),
                again=again,
                received_at=received_at,
            )
    except (Refused, UsageError):
        lake.remove(file.path for file in files)
        raise
    if accepted.already:
        lake.remove(file.path for file in files)
    return accepted


def _registered(billing: Billing, catalog: Catalog, source: Source) -> Registered:
    """What the rows are checked against, as it stands now."""
    calendar = billing.calendar
    periods = list(calendar.until(billing.now())) or [calendar.period(calendar.first_day.isoformat())]
    with billing.ledger.begin() as connection:
        codes = ledger_catalog.meter_codes(connection)
        return Registered(
            customers=registry.customers(connection),
            meters=catalog.meters,
            meter_codes={meter: codes[meter] for meter in catalog.meters},
            periods=[*periods, calendar.next(periods[-1])],
            dimensions=registry.dimensions(connection),
            scope_code=lambda key: scope_code(billing, source.id, key),
        )


def scope_code(billing: Billing, source: str, key: str) -> int:
    """The code of a snapshot scope; committed before any file names it."""
    with billing.ledger.begin() as connection:
        return registry.scope_code(connection, source, key)
