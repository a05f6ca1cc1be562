"""Opening a delivery's file: decompressed by its suffix, and counting what was read of it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pyarrow as pa

from billing_pipeline.core.errors import UsageError

_COMPRESSIONS: dict[str, Literal["gzip", "bz2", "zstd"]] = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


class Opened(io.RawIOBase):
    """A readable file that knows how many bytes of the (compressed) original were consumed."""

    def __init__(self, path: Path) -> None:
        self._original = path.open("rb")
        compression = _COMPRESSIONS.get(path.suffix.lower())
        self._content = (
            pa.CompressedInputStream(pa.PythonFile(self._original, "r"), compression) if compression else self._original
        )
        self._name = path.name

    @property
    def bytes_read(self) -> int:
        """How far into the original reading has come."""
        return self._original.tell()

    def readable(self) -> bool:
        """Reading is all it is for."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next ``size`` bytes, fewer only at the end. Raises UsageError for a broken compressed file."""
        try:
            return self._content.read(size) if size >= 0 else self._content.read()
        except (OSError, pa.ArrowException) as error:
            raise UsageError(
                f"{self._name} cannot be read to its end: {error}",
                hint="It is truncated or damaged; deliver it again. Nothing was recorded.",
            ) from error

    def close(self) -> None:
        """Close both."""
        self._content.close()
        self._original.close()
        super().close()


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """The file, closed at the end. Raises UsageError where it is empty."""
    if path.stat().st_size == 0:
        raise UsageError(
            f"{path.name} is empty.",
            hint="An empty file is more often a failed export than a time without usage; nothing was recorded.",
        )
    file = Opened(path)
    try:
        yield file
    finally:
        file.close()
