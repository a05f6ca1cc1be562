"""Starting Dagster's group, and staying with it: what ``billing up`` does."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import billing_pipeline
from billing_pipeline.cli.dagster_group import DagsterGroup, forget, prepare, remember, remembered
from billing_pipeline.core.errors import Refused
from billing_pipeline.core.private_files import open_private

HOST = "127.0.0.1"  # Dagster's page has no authentication of its own
FIRST_PORT, PORTS = 3000, 100
READY_SECONDS = 180  # the first start creates Dagster's tables
_LOOK_SECONDS = 0.1
_TAIL = 2000  # characters of a log that are shown


def free_port(number: int | None) -> int:
    """The port asked for, or the first free one from 3000 on."""
    for port in [number] if number else range(FIRST_PORT, FIRST_PORT + PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((HOST, port))
                return port
    raise Refused(f"Port {number or FIRST_PORT} is taken.", hint="Choose another with --port.")


def _python_path() -> str:
    """Dagster's processes import the package that runs now, installed or not, and nothing of the working folder."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)  # an empty part means the working folder
    return os.pathsep.join([str(Path(billing_pipeline.__file__).parents[1]), *filter(None, given)])


class Launcher:
    """Starts the group and stays with it until it ends."""

    def __init__(self, home: Path, port: int) -> None:
        """The group of a Dagster home, its page on a port."""
        self.home, self.port = home, port
        self.address = f"http://{HOST}:{port}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._asked_to_stop = 0

    def start(self) -> DagsterGroup:
        """Start both processes and note that they run.

        Raises:
            Refused: one of them ended before the page answered, or it did not answer in time.
        """
        workspace = prepare(self.home)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        self._spawn("webserver", "dagster_webserver", "-h", HOST, "-p", str(self.port), "-w", str(workspace))
        self._spawn("daemon", "dagster._daemon", "run", "-w", str(workspace))
        group = DagsterGroup(self._processes["webserver"].pid, str(self.home), self.address)
        remember(group)
        try:
            self._wait_until_ready()
        except BaseException:
            self._end(group)
            raise
        return group

    def stay(self, group: DagsterGroup) -> int:
        """Return when the group has ended: 0 where somebody asked for it, 1 where a process ended by itself."""
        while not self._asked_to_stop and not self._ended():
            time.sleep(_LOOK_SECONDS)
        was_asked = self._asked_to_stop or not remembered(self.home)  # 'billing down' forgets it first
        said = [] if was_asked else [f"The {name} ended. {self._tail(name)}" for name in self._ended()]
        self._end(group)
        for line in said:
            print(line, file=sys.stderr)
        return 0 if was_asked else 1

    def log(self, name: str) -> Path:
        """What a process says."""
        return self.home / f"{name}.log"

    def _spawn(self, name: str, module: str, *arguments: str) -> None:
        leader = self._processes["webserver"].pid if self._processes else 0
        with open_private(self.log(name), "wb") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments],
                env=os.environ | {"DAGSTER_HOME": str(self.home), "PYTHONPATH": _python_path(), "PYTHONSAFEPATH": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=leader,
            )

    def _stop(self, *_: object) -> None:
        self._asked_to_stop += 1

    def _ended(self) -> list[str]:
        return [name for name, process in self._processes.items() if process.poll() is not None]

    def _end(self, group: DagsterGroup) -> None:
        seen = self._asked_to_stop

        def hurried() -> bool:
            nonlocal seen
            before, seen = seen, self._asked_to_stop
            return seen > before

        group.end(hurried)
        for process in self._processes.values():
            process.wait()
        forget(self.home)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self._asked_to_stop:
                return
            if ended := self._ended():
                raise Refused(f"Dagster's {ended[0]} ended at once. {self._tail(ended[0])}")
            if time.monotonic() > deadline:
                raise Refused(f"Dagster's page did not answer in {READY_SECONDS} s. {self._tail('webserver')}")
            time.sleep(_LOOK_SECONDS)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/server_info", timeout=2):  # noqa: S310 - our own address
                return True
        except OSError:
            return False

    def _tail(self, name: str) -> str:
        text = self.log(name).read_text(errors="replace")
        return f"Its log, {self.log(name)}, ends with:\n{text[-_TAIL:]}"
