"""Quoting a stream of cases: a result a line, in order, on all processors where there are many.

What arrives slowly is answered at once: a program may write a case and wait for its result. What arrives fast is dealt
to processes in chunks. Either way memory does not grow with the number of cases.
"""

import os
import select
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from io import BufferedIOBase, UnsupportedOperation
from multiprocessing import get_context

from billing_pipeline.core.money import Rounding
from billing_pipeline.rating.quote.quote import quote_lines

SMALL = 2 << 20  # bytes; starting processes costs as much as rating these here
_CHUNK = 128 << 10  # bytes at most; a pipe gives less
_WAITING = 3  # chunks a process, rated or on their way, that nobody has taken yet
_A_WHILE = 0.01  # seconds
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Rate = Callable[[bytes], bytes]


def quote_cases(
    file: BufferedIOBase, currency: str, rounding: Rounding, workers: Callable[[], int]
) -> Generator[bytes, None, None]:
    """Results of JSON lines, some lines at a time; a bad line has its ``error`` and stops no other.

    Close it where not all are wanted: processes may be at work.

    Args:
        file: UTF-8, a case a line.
        currency: for cases that name none.
        rounding: likewise.
        workers: how many processes may work at once; asked where there is much to do.

    Raises:
        WorkerLost: a process died.
    """
    rate = partial(rate_lines, currency=currency, rounding=rounding)
    chunks, seen = whole_lines(file), _size(file)
    while seen < SMALL:
        chunk = next(chunks, None)
        if chunk is None:
            return
        yield rate(chunk)
        seen += len(chunk)
    count = workers()
    yield from map(rate, chunks) if count == 1 else _in_parallel(chunks, rate, count, partial(_is_idle, file))


def rate_lines(chunk: bytes, currency: str, rounding: Rounding) -> bytes:
    """A result a line. What no encoding has (half of a surrogate pair) is written as JSON escapes it."""
    lines = chunk.removesuffix(b"\n").split(b"\n")
    results = quote_lines(lines, currency=currency, rounding=rounding)
    return "".join([f"{result}\n" for result in results]).encode("utf-8", "backslashreplace")


def whole_lines(file: BufferedIOBase) -> Iterator[bytes]:
    """What a file gives, as soon as it gives it, cut behind the end of a line; without a byte order mark."""
    parts: list[bytes] = []
    is_start = True
    while data := file.read1(_CHUNK):
        if is_start:
            data, is_start = data.removeprefix(_BYTE_ORDER_MARK), False
        end = data.rfind(b"\n") + 1
        if end:
            yield b"".join([*parts, data[:end]])
            parts = []
        parts.append(data[end:])
    if rest := b"".join(parts):
        yield rest


def _in_parallel(chunks: Iterator[bytes], rate: Rate, workers: int, is_idle: Callable[[], bool]) -> Iterator[bytes]:
    with _pool(workers) as pool:
        waiting: deque[Future[bytes]] = deque()
        for chunk in chunks:
            waiting.append(pool.submit(rate, chunk))
            while waiting and (len(waiting) > workers * _WAITING or is_idle()):
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with this one, also when it is interrupted or nobody reads on."""
    # spawn: a forked process would share what this one has open
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_leave_interrupts_to_us)
    try:
        yield pool
    except BrokenProcessPool as error:
        from billing_pipeline.operations.parallel import WorkerLost

        hint = "Was memory short? Lower BILLING_WORKERS and run it again."
        raise WorkerLost("A process that rated cases died.", hint=hint) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_us() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _size(file: BufferedIOBase) -> int:
    """Bytes in all; 0 of a pipe, which does not say."""
    try:
        return os.fstat(file.fileno()).st_size
    except UnsupportedOperation:  # held in memory
        return 0


def _is_idle(file: BufferedIOBase) -> bool:
    """Whether nothing more has come for a while: who sends may be waiting for us. A file on disk never is."""
    try:
        return not select.select([file], [], [], _A_WHILE)[0]
    except UnsupportedOperation:
        return False
