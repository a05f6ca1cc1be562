"""A delivery that is being landed: a local file, a file at a URL, or a frame; known by the hash of its content."""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import fsspec

from billing_pipeline.core.errors import NoSpace, UsageError
from billing_pipeline.core.private_files import make_private_folder
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.landing_folder import NOT_REGULAR
from billing_pipeline.usage.sources import SourceFormat
from billing_pipeline.usage.sources.chunk import Chunk
from billing_pipeline.usage.sources.frame import frame_hash, frame_table, read_frame

FRAME = "frame"


@dataclass(frozen=True, slots=True)
class OpenDelivery:
    """A delivery that can be read.

    Attributes:
        name: of the file, or ``frame``.
        size: bytes, or the rows of a frame.
        content_hash: sha256 of the file's bytes, or of the frame's text.
        chunks: reads it; raises UsageError where it cannot be read as a whole.
        refuse_changed: raises UsageError where a file was written to since its content was hashed.
        is_frame: whether it is a frame.
    """

    name: str
    size: int
    content_hash: str
    chunks: Callable[[], Iterator[Chunk]]
    refuse_changed: Callable[[], None]
    is_frame: bool = False


@contextmanager
def working_folder(billing: Billing) -> Iterator[Path]:
    """A local folder of this process's own, removed at the end. Raises NoSpace where there is none left."""
    parent = billing.staging_folder
    folder = parent / "not made"
    try:
        make_private_folder(parent)
        folder = Path(mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
        yield folder
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise NoSpace(
            f"There is no space left to prepare the delivery in {parent}.",
            hint="Make room there, or set BILLING_HOME to a larger disk; nothing was recorded.",
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def open_delivery(delivered: Any, source_format: SourceFormat, folder: Path) -> OpenDelivery:
    """Open a delivery: a path, an fsspec URL, a pandas frame or an Arrow table.

    Args:
        delivered: the delivery.
        source_format: of its deliveries.
        folder: where a file from elsewhere is copied to, so that it is read once and cannot change meanwhile.

    Raises:
        UsageError: there is no such file, or it cannot be read.
    """
    if not isinstance(delivered, str | Path):
        return _frame(delivered)
    if "://" in str(delivered):
        return _file(_fetched(str(delivered), folder), source_format)
    return _file(Path(delivered), source_format)


def _frame(delivered: Any) -> OpenDelivery:
    table = frame_table(delivered)
    return OpenDelivery(
        FRAME, table.num_rows, frame_hash(table), lambda: read_frame(table), lambda: None, is_frame=True
    )


def _file(path: Path, source_format: SourceFormat) -> OpenDelivery:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123 - a pipe would be waited for
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise UsageError(f"{path} cannot be read. {NOT_REGULAR}")
            content_hash = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}.", hint="Check the path; nothing was recorded."
        ) from error

    def refuse_changed() -> None:
        now = path.stat()
        if (now.st_size, now.st_mtime_ns, now.st_ino) != (before.st_size, before.st_mtime_ns, before.st_ino):
            raise UsageError(
                f"{path.name} was written to while it was read.",
                hint="Land it again once it is complete; write under another name and rename. Nothing was recorded.",
            )

    name = path.name.encode(errors="backslashreplace").decode()
    return OpenDelivery(name, before.st_size, content_hash, lambda: source_format.read(path), refuse_changed)


def _fetched(url: str, folder: Path) -> Path:
    path = folder / (url.rstrip("/").rpartition("/")[2] or "delivery")
    try:
        with fsspec.open(url, "rb") as remote, path.open("wb") as local:
            shutil.copyfileobj(remote, local, 1 << 20)
    except (OSError, ImportError, ValueError) as error:
        raise UsageError(f"{url} cannot be read: {error}", hint="Check the URL; nothing was recorded.") from error
    return path
