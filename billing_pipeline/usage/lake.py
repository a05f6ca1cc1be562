"""The lake: where usage files lie, a local folder or any fsspec URL. A file counts only once the ledger names it."""

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from billing_pipeline.core.errors import UsageError
from billing_pipeline.core.private_files import make_private_folder, open_private

# A file that the ledger does not name may belong to a batch that is being accepted; after a day it does not.
ORPHAN_AGE = timedelta(days=1)
_SUFFIX = ".parquet"
_BLOCK = 1 << 20


class Sink:
    """A new file: counts and hashes what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = sha256()
        self.bytes = 0
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        """Write some bytes."""
        view = memoryview(data)
        self._digest.update(view)
        self._file.write(view)
        self.bytes += view.nbytes
        return view.nbytes

    def flush(self) -> None:
        """No bytes are kept back here."""

    def tell(self) -> int:
        """How many bytes were written."""
        return self.bytes

    @property
    def sha256(self) -> str:
        """The hash of what was written, in hex."""
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Lake:
    """The lake in its place; paths are relative to it.

    Attributes:
        filesystem: local, S3, … as fsspec knows it.
        root: its folder there.
    """

    filesystem: AbstractFileSystem
    root: str

    @classmethod
    def at(cls, url: str) -> "Lake":
        """The lake at a folder or URL. Raises UsageError where fsspec has no driver for it."""
        try:
            filesystem, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise UsageError(
                f"The lake {url!r} cannot be reached: {error}", hint="Install fsspec's driver for it, or use a folder."
            ) from error
        return cls(filesystem, root.rstrip("/"))

    @contextmanager
    def new_file(self, path: str) -> Iterator[Sink]:
        """Write a file. It is on disk when the block ends; a block that fails leaves none.

        Raises:
            UsageError: there is no space left, or the lake cannot be written.
        """
        full = f"{self.root}/{path}"
        try:
            with self._opened(full) as file:
                yield Sink(file)
                file.flush()
                self._sync(file)
            self._sync_folder(full.rpartition("/")[0])
        except OSError as error:
            self.remove([path])
            raise UsageError(
                f"The usage lake at {self.root} cannot be written: {error.strerror or error}.",
                hint="Make room, or let this user write there, and land it again; nothing was recorded.",
            ) from error
        except BaseException:
            self.remove([path])
            raise

    def fault(self, path: str, size: int, digest: str | None = None) -> str | None:
        """What is wrong with a file accepted with this size, and with this sha256 where it is given; None: nothing.

        Raises:
            UsageError: the lake cannot be reached, so that nothing can be said.
        """
        full = f"{self.root}/{path}"
        try:
            there = self.filesystem.size(full)
            if there != size:
                return f"has {there} bytes, not the {size} that were accepted"
            if digest is not None and self._sha256(full) != digest:
                return "has other content than was accepted"
        except FileNotFoundError:
            return "is lost"
        except OSError as error:
            if isinstance(self.filesystem, LocalFileSystem):
                return f"cannot be read ({error.strerror or error})"
            raise UsageError(
                f"The usage lake at {self.root} cannot be reached: {error}.", hint="Nothing was changed; try again."
            ) from error
        return None

    def _sha256(self, full: str) -> str:
        digest = sha256()
        with self.filesystem.open(full, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files; one that is gone already is no error."""
        for path in paths:
            try:
                self.filesystem.rm_file(f"{self.root}/{path}")
            except FileNotFoundError:
                continue

    def files(self) -> Iterator[tuple[str, datetime]]:
        """(path, last change) of every usage file that there is, named by the ledger or not."""
        if not self.filesystem.exists(self.root):
            return
        for full in self.filesystem.find(self.root):
            if full.endswith(_SUFFIX):
                yield full[len(self.root) :].lstrip("/"), _in_utc(self.filesystem.modified(full))

    def orphans(self, now: datetime, older_than: timedelta = ORPHAN_AGE) -> list[str]:
        """Files old enough to belong to no landing under way. List them before reading the manifest, never after."""
        return [path for path, changed in self.files() if now - changed > older_than]

    def sweep(self, orphans: Iterable[str], named: Collection[str]) -> list[str]:
        """Remove orphaned files that the manifest does not name; returns them."""
        unnamed = [path for path in orphans if path not in named]
        self.remove(unnamed)
        return unnamed

    def _opened(self, full: str) -> Any:
        """The new file, below folders that are there; on local disks its owner's alone."""
        folder = full.rpartition("/")[0]
        if isinstance(self.filesystem, LocalFileSystem):
            make_private_folder(Path(folder))
            return open_private(full, "wb")
        self.filesystem.makedirs(folder, exist_ok=True)
        return self.filesystem.open(full, "wb")

    def _sync(self, file: BinaryIO) -> None:
        """The ledger's commit survives a power failure, so the file that it names has to."""
        if isinstance(self.filesystem, LocalFileSystem):
            os.fsync(file.fileno())

    def _sync_folder(self, folder: str) -> None:
        if isinstance(self.filesystem, LocalFileSystem):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
