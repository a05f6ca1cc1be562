"""Launching the server on data that exist."""

import time
from pathlib import Path

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.postmaster import Postmaster
from billing_pipeline.ledger.server.programs import Programs

PATIENCE_SECONDS = 60  # a server that was killed replays its log before it answers
_SETTINGS = {"max_connections": "200", "timezone": "UTC", "log_timezone": "UTC", "log_checkpoints": "off"}
# Tests drop many small databases; a vacuum worker that happens to be in one belongs to nobody who could be asked out.
_CAREFREE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


def launch(data: Path, log: Path, port: int, programs: Programs, *, durable: bool) -> None:
    """Start a server on loopback, and nowhere else, in the background.

    Raises:
        LedgerError: it did not start; what it said is in the message.
    """
    Postmaster(data).forget_a_stranger()
    log.touch(mode=0o600)
    if programs.user:
        programs.user.own(log)
    settings = _SETTINGS if durable else _SETTINGS | _CAREFREE
    options = f"-h 127.0.0.1 -p {port} -k '' " + " ".join(f"-c {name}={value}" for name, value in settings.items())
    arguments = ("-D", data, "-l", log, "-o", options, "-t", PATIENCE_SECONDS, "-w", "start")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _started(programs, log, *arguments, final=time.monotonic() > deadline):
        time.sleep(0.2)


def _started(programs: Programs, log: Path, *arguments: object, final: bool) -> bool:
    """Whether it started; False while sessions of a server that was killed have not noticed yet."""
    seen = log.stat().st_size
    try:
        programs.run("pg_ctl", *arguments)
    except LedgerError as error:
        said = log.read_bytes()[seen:].decode(errors="replace")
        if "still in use" in said and not final:
            return False
        raise LedgerError(f"{error.message}\n{said[-800:]}", hint=f"The whole log is {log}.") from error
    return True
