"""Dagster's web page and daemon as one process group: started together, ended together, whoever asks.

Dagster started in the background ignores INT and TERM; so the group is asked, told, and in the end killed.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import psutil

from billing_pipeline.core.private_files import make_private_folder

_LADDER = ((signal.SIGINT, 15.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class DagsterGroup:
    """A running group, as ``up.json`` in Dagster's home names it.

    Attributes:
        group: its process group's id.
        home: DAGSTER_HOME; who has it in the environment and is in the group belongs to it.
    """

    group: int
    home: str
    address: str

    def members(self) -> list[psutil.Process]:
        """The processes that are alive. A recycled id is never taken for one of ours."""
        return [process for process in psutil.process_iter() if self._is_member(process)]

    def _is_member(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error, OSError):
            return os.getpgid(process.pid) == self.group and process.environ().get("DAGSTER_HOME") == self.home
        return False

    def end(self, hurried: Callable[[], bool] = lambda: False) -> bool:
        """INT, then TERM, then KILL, until nobody is left; whether anybody was there.

        Args:
            hurried: asked while waiting; true moves on to the next signal.
        """
        ran = bool(self.members())
        for number, patience in _LADDER:
            self._send(number)
            deadline = time.monotonic() + patience
            while self.members() and time.monotonic() < deadline:
                if number is signal.SIGKILL:
                    self._send(number)  # again, to whom a killed one had just started
                elif hurried():
                    break
                time.sleep(_LOOK_SECONDS)
        return ran

    def _send(self, number: signal.Signals) -> None:
        for member in self.members():
            with suppress(psutil.Error):
                member.send_signal(number)


def running(home: Path) -> DagsterGroup | None:
    """The group that runs with this Dagster home, or None."""
    group = remembered(home)
    return group if group and group.members() else None


def remembered(home: Path) -> DagsterGroup | None:
    """The group that was noted last; it may have ended."""
    try:
        return DagsterGroup(**json.loads((home / "up.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def remember(group: DagsterGroup) -> None:
    """Note that it runs, for those who come later."""
    (Path(group.home) / "up.json").write_text(json.dumps(asdict(group)))


def forget(home: Path) -> None:
    """Nothing runs here any more."""
    (home / "up.json").unlink(missing_ok=True)


def prepare(folder: Path) -> Path:
    """Make Dagster's home with the configuration that ships with the package; returns the workspace's file."""
    make_private_folder(folder)
    for name in ("dagster.yaml", "workspace.yaml"):
        (folder / name).write_text((files("billing_pipeline") / name).read_text())
    return folder / "workspace.yaml"
