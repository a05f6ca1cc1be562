"""Land the files that wait in the landing folder: ``<landing>/<source id>/<file>``, a local folder or any fsspec URL.

Files are neither moved nor deleted; each is landed once. A file refused as a whole is shown with its error and tried
again when it, or its source in the catalog, changes. Names that start with a dot or end in .part or .tmp are left
alone: write under such a name, then rename.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from billing_pipeline.catalog import Source
from billing_pipeline.core.errors import Refused, UsageError
from billing_pipeline.core.plain_json import JsonFields
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger import clock
from billing_pipeline.ledger.usage import landing_files
from billing_pipeline.ledger.usage.landing_files import SeenFile
from billing_pipeline.operations.context import Billing
from billing_pipeline.usage.batch import LandingProgress, LandingResult

# Told the file's URL when its turn comes; returns whom to tell how far it is.
Watch = Callable[[str], LandingProgress]

_UNFINISHED = (".part", ".tmp")


@dataclass(frozen=True, slots=True, order=True)
class WaitingFile:
    """A file that has not landed as it is.

    Attributes:
        modified: when it was last written to; files are landed in this order.
        url: where it lies.
        source: id of the source, the name of its folder.
        etag: its state.
        source_state: its source's, as the catalog has it.
    """

    modified: str
    url: str
    source: str
    etag: str
    source_state: str

    def seen(self, batch: int | None, error: str | None) -> SeenFile:
        """The file as it is remembered: a refused one is new once its source has changed."""
        return SeenFile(self.url, f"{self.etag} {self.source_state}" if error else self.etag, batch, error)


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
        batch, error = None, None
        try:
            result = land(billing, file.source, file.url, progress=watch(file.url) if watch else None)
            batch = result.batch
            landed.append(result)
        except (UsageError, Refused) as problem:
            error = refused[file.url] = str(problem)
        with billing.ledger.begin() as connection:
            landing_files.record(connection, file.seen(batch, error), clock.now(connection))
    return WaitingResult(tuple(landed), refused)


def waiting_files(billing: Billing) -> list[WaitingFile]:
    """The files that have not landed as they are, the oldest first. Cheap: nothing is read but the listing."""
    with billing.ledger.begin() as connection:
        change = ledger_catalog.newest_change(connection)
        catalog = billing.view(connection, change, customers=()).catalog  # sources only: there may be many customers
    present = _present(billing.settings.landing, catalog.sources if catalog else {})
    with billing.ledger.begin() as connection:
        seen = landing_files.seen(connection)
        landing_files.forget(connection, seen.keys() - {file.url for file in present})
    return sorted(file for file in present if _is_new(file, seen.get(file.url)))


def _is_new(file: WaitingFile, seen: SeenFile | None) -> bool:
    return seen is None or seen.etag != file.seen(seen.batch, seen.error).etag


def _present(url: str, sources: Mapping[str, Source]) -> list[WaitingFile]:
    """Every finished file of the folder. Raises UsageError where the folder cannot be listed."""
    try:
        filesystem, root = url_to_fs(url)
        filesystem.invalidate_cache()
        listed = filesystem.find(root, detail=True) if filesystem.exists(root) else {}
    except (OSError, ImportError, ValueError) as error:
        raise UsageError(f"The landing folder {url} cannot be read: {error}", hint="Check BILLING_LANDING.") from error
    files = []
    for path, info in listed.items():
        source, separator, name = path[len(root) :].lstrip("/").partition("/")
        if separator and _is_finished(name):
            where = path if isinstance(filesystem, LocalFileSystem) else filesystem.unstrip_protocol(path)
            modified = _modified(filesystem, path, info)
            etag = f"{info['size']}:{info.get('ETag') or modified}"
            files.append(WaitingFile(modified, where, source, etag, _state(sources.get(source))))
    return files


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
