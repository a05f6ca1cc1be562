"""The server's main process, found through the file that it writes, and told from the dead and from strangers."""

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil


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
