"""The server's main process: launched, and found through the file that it writes, told from the dead and strangers."""

import contextlib
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.programs import Programs

PATIENCE_SECONDS = 60  # a server that was killed replays its log before it answers
_SETTINGS = {"max_connections": "200", "timezone": "UTC", "log_timezone": "UTC", "log_checkpoints": "off"}
# Tests drop many small databases; a vacuum worker that happens to be in one belongs to nobody who could be asked out.
_CAREFREE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The main process of one data folder, alive or not."""

    data: Path

    def process(self) -> psutil.Process | None:
        """The live server of THIS data folder: neither a zombie nor a stranger with a recycled pid."""
        pid = self._recorded_pid()
        if pid is None:
            return None
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                program, *arguments = process.cmdline() or [""]
                return process if Path(program).name == "postgres" and str(self.data) in arguments else None
        return None

    def ready(self) -> bool:
        """Whether it runs and takes connections: what the server itself says, on the eighth line of its file."""
        lines = self._lines()
        return len(lines) > 7 and lines[7].strip() == "ready" and self.process() is not None  # noqa: PLR2004 - above

    def ask_to_stop(self) -> None:
        """PostgreSQL's word for a fast shutdown: sessions end, everything is written."""
        process = self.process()
        if process:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGINT)

    def forget_a_stranger(self) -> None:
        """PostgreSQL itself sees to a pid that is dead, but believes one that is alive or a zombie."""
        pid = self._recorded_pid()
        if pid is not None and psutil.pid_exists(pid) and self.process() is None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _recorded_pid(self) -> int | None:
        lines = self._lines()
        return int(lines[0]) if lines and lines[0].isdecimal() else None

    def _lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []


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
