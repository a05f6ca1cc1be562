"""Waiting for what happens, never for time to pass: a busy machine takes longer, and proves the same."""

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from billing_pipeline.ledger.database import Ledger

PATIENCE_SECONDS = 600  # so that what hangs ends; nothing that works takes as long, however busy the machine


def until(happened: Callable[[], object], otherwise: str) -> None:
    """Go on as soon as ``happened()`` is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


def until_somebody_waits(ledger: Ledger) -> None:
    """Go on as soon as a session of this ledger waits for what another one has locked."""
    query = text("""
        SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE datname = current_database() AND NOT granted
    """)

    def waits() -> bool:
        with ledger.begin() as connection:
            return bool(connection.scalar(query))

    until(waits, "nobody waits")


def what_was_written(path: Path) -> tuple[int, int, int]:
    """Tells a file that was written again from one that was only read."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
