"""Usage of earlier periods that lasts into this one: levels that stand, and sessions that run on."""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, timedelta
from functools import partial

from billing_pipeline.catalog.content import from_content
from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.period import BillingCalendar, BillingPeriod
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.usage import lasting_usage, manifest
from billing_pipeline.ledger.usage.lasting_usage import LookBack
from billing_pipeline.operations.unit import Work
from billing_pipeline.usage.event import LakeFile


def look_back(meters: Mapping[int, Meter], period: BillingPeriod, calendar: BillingCalendar) -> LookBack:
    """Meters whose events may last into the period, and since when: as far as a session can run, or from the start."""
    return {code: _since(meter, period, calendar) for code, meter in meters.items() if meter.has_lasting_usage}


def _since(meter: Meter, period: BillingPeriod, calendar: BillingCalendar) -> date | None:
    if meter.max_session is None:
        return None
    longest = timedelta(days=meter.max_session.days, hours=meter.max_session.hours)
    earliest = calendar.period_of(period.start - longest)
    return earliest.first_day if earliest else None


def earlier_files(work: Work, meters: Mapping[int, Meter], batch: int) -> list[LakeFile]:
    """Files of earlier periods that the period's quantities depend on, through a batch.

    Args:
        work: names the period and the buckets.
        meters: by code.
        batch: the last one to include.
    """
    lasting = look_back(meters, work.period, work.billing.calendar)
    return lasting_usage.files(work.connection, work.first_day, lasting, batch, buckets=work.buckets)


def lasting_meters(connection: Connection, change: int) -> dict[int, Meter]:
    """The meters whose events last, by code, as the catalog stood after a change."""
    contents = lasting_usage.meters(connection, change)
    meters = {code: from_content("meter", content) for code, content in contents.items()}
    return {code: meter for code, meter in meters.items() if isinstance(meter, Meter)}


def touched_before(work: Work, meters: Mapping[int, Meter], after: int, through: int) -> Iterator[tuple[int, LakeFile]]:
    """Files of earlier periods whose events last into this one, each with the new batch that brings or replaces it.

    Args:
        work: names the period and the buckets.
        meters: those whose events last, by code.
        after: the last batch that is known.
        through: the last batch to look at.
    """
    lasting = look_back(meters, work.period, work.billing.calendar)
    new = lasting_usage.touching(work.connection, work.first_day, lasting, after, through)
    files = partial(lasting_usage.files, work.connection, work.first_day, lasting, through, buckets=work.buckets)
    return by_batch(work.connection, new, files, after)


def by_batch(
    connection: Connection, new: Collection[int], files: Callable[..., list[LakeFile]], after: int
) -> Iterator[tuple[int, LakeFile]]:
    """Files of new batches, each with its batch; and those whose rows these replace, each with the batch that does.

    Args:
        connection: of the ledger.
        new: numbers of the batches.
        files: the files of the batches after one, or of these batches: ``files(after=…)``, ``files(batches=…)``.
        after: the last batch that is known.
    """
    if new:
        replaced = manifest.replaced_by(connection, new)
        for file in [*files(after=after), *files(batches=replaced)]:
            if file.batch > after:
                yield file.batch, file
            if file.batch in replaced:
                yield replaced[file.batch], file
