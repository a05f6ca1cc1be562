"""Bytes to blocks of whole lines, whatever the encoding: shared by the formats that are text."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

from billing_pipeline.core.errors import UsageError
from billing_pipeline.usage.sources.chunk import LARGEST_LINE, LONGEST_LINE

BLOCK = 8 << 20
# UTF-32's little-endian mark begins with UTF-16's, so it is looked for first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes:
        """The next ``size`` bytes, fewer only at the end."""


def utf8_blocks(file: Readable, size: int = BLOCK) -> Iterator[bytes]:
    """The file's bytes as UTF-8, without its byte order mark; bytes that are no UTF-8 are left for later.

    Raises:
        UsageError: a file that says it is UTF-16 or UTF-32 is not.
    """
    first = file.read(size)
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            yield from _recoded(file, first[len(mark) :], encoding, size)
            return
    yield first.removeprefix(codecs.BOM_UTF8)
    while block := file.read(size):
        yield block


def _recoded(file: Readable, block: bytes, encoding: str, size: int) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while block:
            yield decoder.decode(block).encode()
            block = file.read(size)
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise UsageError(
            f"The file begins as {encoding} but does not stay so: {error}.",
            hint="Export it again, best as UTF-8; nothing was recorded.",
        ) from error


def whole_lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, cut after a newline; the last block may lack one.

    Raises:
        UsageError: a line is too long for any text file.
    """
    waiting: list[bytes] = []
    size = 0
    for block in blocks:
        cut = block.rfind(b"\n") + 1
        if cut:
            yield b"".join([*waiting, block[:cut]])
            waiting, size = [], 0
        waiting.append(block[cut:])
        size += len(block) - cut
        refuse_absurd_line(size)
    if size:
        yield b"".join(waiting)


def refuse_absurd_line(size: int) -> None:
    """A file without newlines is no file of lines."""
    if size > LARGEST_LINE:
        raise UsageError(
            f"A line is longer than {LARGEST_LINE >> 20} MB: this is no file of lines.",
            hint="Check the source's format; nothing was recorded.",
        )


def has_long_line(data: bytes) -> bool:
    """Whether any line has more than ``LONGEST_LINE`` bytes; looks at few of them."""
    start = 0
    while len(data) - start > LONGEST_LINE:
        newline = data.rfind(b"\n", start, start + LONGEST_LINE + 1)
        if newline < 0:
            return True
        start = newline + 1
    return False


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def shown(data: bytes) -> str:
    r"""A line as text: what is no UTF-8 as ``\xNN``, so that nothing of it is lost."""
    return data.rstrip(b"\r\n").decode(errors="backslashreplace")


def fault(line: bytes) -> tuple[str, str] | None:
    """(code, reason) of a line that no parser should see."""
    if len(line) > LONGEST_LINE:
        return "line_too_long", f"The line has {len(line):,} bytes; an event has at most {LONGEST_LINE:,}."
    if not is_utf8(line):
        return "not_utf8", "The line is not UTF-8; bytes that are not are shown as \\xNN. Export the file as UTF-8."
    return None


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
        """How many bytes of the original have been read."""
        return self._original.tell()

    def readable(self) -> bool:
        """The file is there to be read."""
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
        """Close the original file and its decompression."""
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
