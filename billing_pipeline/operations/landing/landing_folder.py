"""Land the files that wait in the landing folder: ``<landing>/<source id>/<file>``, a local folder or any fsspec URL.

Files are neither moved nor deleted; each is landed once. A file refused as a whole is shown with its error and tried
again when it, or its source in the catalog, changes. Names that start with a dot or end in .part or .tmp are left
alone: write under such a name, then rename. Only regular files inside the folder are read: a pipe never ends, and a
link may lead anywhere, so links are followed only where BILLING_LANDING_LINKS says so.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from billing_pipeline.catalog import Source
from billing_pipeline.core.errors import BillingError, LedgerError, NoSpace, UsageError, unexpected
from billing_pipeline.core.plain_json import JsonFields
from billing_pipeline.core.plain_text import printable, shortened
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger import clock
from billing_pipeline.ledger.usage import landing_files
from billing_pipeline.ledger.usage.landing_files import SeenFile
from billing_pipeline.operations.context import Billing
from billing_pipeline.usage.batch import LandingProgress, LandingResult

# Told the file's URL when its turn comes; returns whom to tell how far it is.
Watch = Callable[[str], LandingProgress]

NOT_REGULAR = "It is no regular file: a folder, pipe, socket or device is no delivery. Give a file."
_UNFINISHED = (".part", ".tmp")
_AGAIN = " again"
_LONGEST_ERROR = 2_000  # characters that are kept and shown


@dataclass(frozen=True, slots=True, order=True)
class WaitingFile:
    """A file that has not landed as it is.

    Attributes:
        modified: when it was last written to; files are landed in this order.
        url: where it lies.
        source: id of the source, the name of its folder.
        etag: its state.
        source_state: its source's, as the catalog has it.
        fault: why it is not even opened; None where it is.
    """

    modified: str
    url: str
    source: str
    etag: str
    source_state: str
    fault: str | None = None

    def seen(self, batch: int | None, error: str | None, *, again: bool = False) -> SeenFile:
        """The file as it is remembered: a refused one is new once its source has changed, or is to be tried again."""
        state = f"{self.etag} {self.source_state}" if error else self.etag
        return SeenFile(self.url, f"{state}{_AGAIN * again}", batch, error)


@dataclass(frozen=True, slots=True)
class WaitingResult(JsonFields):
    """The files that waited, landed or refused; false where there were none.

    Attributes:
        landed: one for each file that became a batch, or had been one already.
        refused: URL → why.
    """

    landed: tuple[LandingResult, ...]
    refused: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.landed or self.refused)


def land_waiting(billing: Billing, *, watch: Watch | None = None) -> WaitingResult:
    """Land every waiting file, the oldest first. A file that is refused does not stop the others."""
    waiting = waiting_files(billing)
    if not waiting:
        return WaitingResult((), {})
    from billing_pipeline.operations.landing.land import land  # with the engine, which an empty folder never needs

    landed: list[LandingResult] = []
    refused: dict[str, str] = {}
    for file in waiting:
        batch, error, again = None, file.fault, False
        try:
            if error is None:
                result = land(billing, file.source, file.url, progress=watch(file.url) if watch else None)
                batch = result.batch
                landed.append(result)
        except LedgerError:
            raise  # no fault of the file's: it waits
        except BillingError as problem:
            error, again = str(problem), isinstance(problem, NoSpace)
        except Exception as problem:  # noqa: BLE001 - one file must not keep all that come after it; it is shown
            error, again = str(unexpected(problem)), True
        if error is not None:
            refused[file.url] = error = shortened(printable(error), _LONGEST_ERROR)
        with billing.ledger.begin() as connection:
            landing_files.record(connection, file.seen(batch, error, again=again), clock.now(connection))
    return WaitingResult(tuple(landed), refused)


def waiting_files(billing: Billing) -> list[WaitingFile]:
    """The files that have not landed as they are, the oldest first. Cheap: nothing is read but the listing."""
    with billing.ledger.begin() as connection:
        change = ledger_catalog.newest_change(connection)
        catalog = billing.view(connection, change, customers=()).catalog  # sources only: there may be many customers
    sources = {source: _state(known) for source, known in catalog.sources.items()} if catalog else {}
    present = list(_present(billing.settings.landing, sources, follow=billing.settings.landing_links))
    with billing.ledger.begin() as connection:
        seen = landing_files.seen(connection)
        landing_files.forget(connection, seen.keys() - {file.url for file in present})
    return sorted(file for file in present if _is_new(file, seen.get(file.url)))


def _is_new(file: WaitingFile, seen: SeenFile | None) -> bool:
    return seen is None or seen.etag != file.seen(seen.batch, seen.error).etag


def _present(url: str, sources: Mapping[str, str], *, follow: bool) -> Iterator[WaitingFile]:
    """Every finished file of the folder. Raises UsageError where the folder cannot be listed.

    Args:
        url: the folder's.
        sources: the state of each in the catalog.
        follow: whether links in a local folder are followed.
    """
    nowhere = _state(None)
    for file in _listed(url, follow=follow):
        source, separator, name = file.path.partition("/")
        if (separator or file.fault) and _is_finished(name or source):
            etag = f"{file.size}:{file.etag or file.modified}"
            yield WaitingFile(file.modified, file.url, source, etag, sources.get(source, nowhere), file.fault)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file as the folder lists it; ``path`` is relative to the folder."""

    path: str
    url: str
    size: object
    modified: str
    etag: object = None
    fault: str | None = None


def _listed(url: str, *, follow: bool) -> Iterator[_Listed]:
    try:
        filesystem, root = url_to_fs(url)
        if isinstance(filesystem, LocalFileSystem):
            yield from _local(root, "", follow=follow, seen=frozenset()) if Path(root).is_dir() else ()
            return
        filesystem.invalidate_cache()
        listed = filesystem.find(root, detail=True) if filesystem.exists(root) else {}
    except (OSError, ImportError, ValueError) as error:
        raise UsageError(f"The landing folder {url} cannot be read: {error}", hint="Check BILLING_LANDING.") from error
    for path, info in listed.items():
        where, relative = filesystem.unstrip_protocol(path), path[len(root) :].lstrip("/")
        modified = _modified(filesystem, path, info)
        yield _Listed(printable(relative), printable(where), info["size"], modified, info.get("ETag"), _misnamed(path))


def _local(folder: str, path: str, *, follow: bool, seen: frozenset[tuple[int, int]]) -> Iterator[_Listed]:
    """The files of a local folder and of those in it, none of them opened; ``seen`` are the folders around it."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            state, inside = entry.stat(follow_symlinks=False), f"{path}{entry.name}"
            fault = _misnamed(entry.name)
            if stat.S_ISLNK(state.st_mode):
                state, fault = _followed(entry, state, fault) if follow else (state, fault or _LINK)
            listed = _Listed(printable(inside), printable(entry.path), state.st_size, f"{state.st_mtime:020.6f}")
            if stat.S_ISDIR(state.st_mode) and fault is None:
                place = state.st_dev, state.st_ino
                if place not in seen:  # a link may lead back to where it lies
                    try:
                        yield from _local(entry.path, f"{inside}/", follow=follow, seen=seen | {place})
                    except OSError as error:
                        yield replace(
                            listed, fault=f"The folder cannot be read: {error.strerror}. Check its permissions."
                        )
            elif fault is None and not stat.S_ISREG(state.st_mode):
                yield replace(listed, fault=NOT_REGULAR)
            else:
                yield replace(listed, fault=fault)


def _followed(entry: "os.DirEntry[str]", link: os.stat_result, fault: str | None) -> tuple[os.stat_result, str | None]:
    """What a link leads to, and why that is nothing to read."""
    try:
        return entry.stat(), fault
    except OSError as error:
        return link, fault or f"The link leads nowhere: {error.strerror}. Mend or remove it."


_LINK = "It is a link, which may lead anywhere. Put the file itself here, or set BILLING_LANDING_LINKS=true."


def _misnamed(name: str) -> str | None:
    """Why a file cannot be recorded by its name."""
    if printable(name) == name:
        return None
    return "The file's name is not UTF-8, or holds control characters. Rename it."


def _is_finished(name: str) -> bool:
    return not any(part.startswith(".") for part in name.split("/")) and not name.lower().endswith(_UNFINISHED)


def _modified(filesystem: AbstractFileSystem, path: str, info: Mapping[str, object]) -> str:
    """A text that sorts in the order of time, to the digit that the store keeps."""
    seconds = info.get("mtime")
    if isinstance(seconds, float | int):
        return f"{seconds:020.6f}"
    moment = filesystem.modified(path)
    return moment.isoformat() if isinstance(moment, datetime) else str(moment)


def _state(source: Source | None) -> str:
    return sha256(repr(source).encode()).hexdigest()[:12]
