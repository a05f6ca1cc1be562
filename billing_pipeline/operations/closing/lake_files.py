"""Lake files that are lost, or not as they were accepted: only the customers in them wait, held and named.

The size is looked at whenever usage is read, the sha256 where documents are locked. Who is held for a file that is as
it was again is released, and measured again.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import holds, late_usage, revisits
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.closing.lasting_usage import earlier_files, lasting_meters
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.unit import Work
from billing_pipeline.usage.event import LakeFile
from billing_pipeline.usage.lake import Lake

CAUSE = "lake_files"  # of the holds


def faults(billing: Billing, files: Iterable[LakeFile], *, content: bool = False) -> dict[str, str]:
    """What is wrong with files of the manifest, by path; with ``content`` their sha256 is computed, too."""
    lake = Lake.at(billing.settings.lake)
    known = {} if content else billing.unsound
    found = (
        (file.path, known.get(file.path) or lake.fault(file.path, file.bytes, file.sha256 if content else None))
        for file in files
    )
    return {path: fault for path, fault in found if fault is not None}


def sound(billing: Billing, files: Iterable[LakeFile]) -> list[LakeFile]:
    """The files that have the size with which they were accepted."""
    files = list(files)
    unsound = faults(billing, files)
    return [file for file in files if file.path not in unsound]


def without(
    billing: Billing, connection: Connection, files: Collection[LakeFile], codes: Collection[int]
) -> list[LakeFile]:
    """The files without the unsound ones that hold nothing of these customers (codes); who reads others is refused."""
    customers = manifest.customers_of(connection, unsound) if (unsound := faults(billing, files)) else {}
    return [file for file in files if file.path not in unsound or customers[file.path].intersection(codes)]


def held_in(work: Work, batch: int) -> set[int]:
    """Hold the customers (codes) of these buckets whose usage through a batch cannot be read; returns them."""
    unsound = _reasons(work, _files(work, batch), faults)
    _apply(work, unsound, released=())
    return set(unsound)


def examine(billing: Billing, period: BillingPeriod) -> list[str]:
    """Look at the content of all files that the period's documents hang on: hold, and release who was held for them.

    Returns:
        Ids of the customers who were released; their usage is measured again by the next close.
    """
    with billing.ledger.begin() as connection:
        work = Work(billing, connection, period, tuple(billing.buckets))
        files = _files(work, manifest.newest_batch(connection))
    found = faults(billing, files, content=True)  # may take a while: nobody waits for it
    sound_now = {file.path for file in files} - found.keys()
    billing.unsound = {path: fault for path, fault in billing.unsound.items() if path not in sound_now} | found
    with billing.ledger.begin() as connection:
        work = Work(billing, connection, period, tuple(billing.buckets))
        held = holds.open_holds(connection, period.first_day, CAUSE)
        unsound = _reasons(work, files, lambda _billing, _files: found)
        released = held.keys() - unsound.keys()
        _apply(work, unsound, released)
        revisits.ask_again(connection, [(period.first_day, code, None) for code in sorted(released)])
        return sorted(held[code].customer for code in released)


def explains(billing: Billing, period: BillingPeriod) -> bool:
    """Whether a file has other content than was accepted, of which nobody knew: why usage could not be read."""
    before = dict(billing.unsound)
    examine(billing, period)
    return billing.unsound != before


def held_periods(billing: Billing) -> list[BillingPeriod]:
    """The periods in which somebody waits for a file to be restored, oldest first."""
    with billing.ledger.begin() as connection:
        days = sorted({hold.period for hold in holds.placed(connection) if hold.cause == CAUSE})
    return [billing.calendar.period(day.isoformat()) for day in days]


def _files(work: Work, batch: int) -> list[LakeFile]:
    """The usage files that documents of a period's buckets are computed from, each once.

    The period's own, earlier ones whose usage lasts into it, and those of periods with late usage to be billed.
    """
    connection = work.connection
    files = manifest.files(connection, work.first_day, batch, buckets=work.buckets)
    files += earlier_files(work, lasting_meters(connection, ledger_catalog.newest_change(connection)), batch)
    for day in _late(work):
        files += manifest.files(connection, day, batch, buckets=work.buckets)
    return list({file.path: file for file in files}.values())


def _late(work: Work) -> set[date]:
    days = late_usage.unsettled_periods(work.connection, list(work.codes().values())).values()
    return {day for of_customer in days for day in of_customer} - {work.first_day}


def _reasons(
    work: Work, files: Collection[LakeFile], look: Callable[[Billing, Collection[LakeFile]], Mapping[str, str]]
) -> dict[int, str]:
    """Why customers (codes) of these buckets have to wait."""
    unsound = look(work.billing, files)
    if not unsound:
        return {}
    customers = manifest.customers_of(work.connection, unsound)
    own = set(work.codes().values())
    return {
        code: f"the lake file {path} {unsound[path]}; restore it from a backup"
        for path in sorted(unsound)
        for code in sorted(customers[path] & own)
    }


def _apply(work: Work, unsound: Mapping[int, str], released: Collection[int]) -> None:
    holds.apply_check(
        work.connection,
        period=work.first_day,
        cause=CAUSE,
        checked=released,
        failed=unsound,
        at=work.billing.now(work.connection),
        actor=work.billing.actor,
    )
