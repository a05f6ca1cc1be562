"""Run a program and measure it: time, processor time of all its processes and of the database, and memory at its peak.

Memory is the sum over the program's processes, sampled; what they share is counted in each, so it is rather too much.
The database's processes share their buffers, which are counted once.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psutil

_EVERY = 0.05  # seconds


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run took.

    Attributes:
        seconds: by the wall's clock.
        processor: seconds of all its processes, user and system.
        database: seconds of PostgreSQL's processes.
        memory: bytes at the peak, of all its processes.
        database_memory: bytes at the peak, of PostgreSQL's.
    """

    seconds: float
    processor: float
    database: float
    memory: int
    database_memory: int

    @property
    def work(self) -> float:
        """Processor seconds in all."""
        return self.processor + self.database


def run(command: Sequence[str], environment: Mapping[str, str], server: Callable[[], psutil.Process | None]) -> Usage:
    """Run a command to its end. Raises CalledProcessError where it fails.

    Args:
        command: program and arguments.
        environment: of the program.
        server: finds PostgreSQL's main process.
    """
    main = server()
    before, peak, database_peak = _database_seconds(main), 0, 0
    started = time.monotonic()
    process = subprocess.Popen(command, env={**environment}, stdout=subprocess.DEVNULL)
    watched = psutil.Process(process.pid)
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, _memory(watched))
        database_peak = max(database_peak, _database_memory(main))
        time.sleep(_EVERY)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Usage(
        seconds,
        used.ru_utime + used.ru_stime,
        _database_seconds(main) - before,
        max(peak, used.ru_maxrss * 1024),
        database_peak,
    )


def _with_children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def _memory(process: psutil.Process) -> int:
    total = 0
    for one in _with_children(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total


def _database_memory(main: psutil.Process | None) -> int:
    own, shared = 0, 0
    for one in _with_children(main) if main else []:
        with contextlib.suppress(psutil.NoSuchProcess):
            memory = one.memory_info()
            own, shared = own + memory.rss - memory.shared, max(shared, memory.shared)
    return own + shared


def _database_seconds(main: psutil.Process | None) -> float:
    """Sessions that ended are in the main process's children's times."""
    if main is None:
        return 0.0
    ended = main.cpu_times()
    total = ended.children_user + ended.children_system
    for one in _with_children(main):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total
