"""billing up and down: two processes, one group, one end; with Dagster once, else with stand-ins that start fast."""

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy.engine import make_url

from billing_pipeline.cli.dagster_group import DagsterGroup, prepare, running
from billing_pipeline.cli.dagster_launcher import Launcher, free_port
from billing_pipeline.core.errors import Refused
from billing_pipeline_tests.cli.command_line import CommandLine
from billing_pipeline_tests.patience import PATIENCE_SECONDS, until
from billing_pipeline_tests.sandbox import Sandbox, administer
from billing_pipeline_tests.servers import Server


@pytest.fixture
def home(sandbox: Sandbox) -> Path:
    return sandbox.billing.settings.dagster_home


WEB_PAGE = """
import http.server, sys
class Page(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("-p") + 1])), Page).serve_forever()
"""
DAEMON = "import time\nwhile True: time.sleep(1)\n"


@pytest.fixture
def stand_in(sandbox: Sandbox, home: Path, tmp_path: Path) -> Iterator[CommandLine]:
    """The command line with stand-ins for Dagster's two programs; whatever is started is ended."""
    for name, program in (("dagster_webserver", WEB_PAGE), ("dagster/_daemon", DAEMON)):
        folder = tmp_path / "programs" / name
        folder.mkdir(parents=True)
        (folder / "__main__.py").write_text(program)
        for package in (folder, folder.parent):
            (package / "__init__.py").touch()
    yield CommandLine(sandbox.environment | {"PYTHONPATH": str(tmp_path / "programs")})
    if group := running(home):
        group.end()


@pytest.fixture
def up(sandbox: Sandbox, postgres: Server, home: Path) -> Iterator[CommandLine]:
    """The command line of a ledger with a database for Dagster beside it; whatever is started is ended."""
    name = f"dagster_{sandbox.folder.name}"
    administer(postgres.owner_url(), f'CREATE DATABASE "{name}"')
    administer(postgres.owner_url(), f'GRANT ALL ON DATABASE "{name}" TO PUBLIC')
    url = make_url(postgres.owner_url()).set(database=name).render_as_string(hide_password=False)
    yield CommandLine(sandbox.environment | {"BILLING_DAGSTER_DATABASE_URL": url})
    if group := running(home):
        group.end()
    administer(postgres.owner_url(), f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def started(command: CommandLine) -> Iterator[tuple["subprocess.Popen[str]", DagsterGroup]]:
    """``billing up``, answering."""
    with command.started("up", "--json") as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not (lines and lines[-1].rstrip() == "}"):
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            lines.append(line)
        yield process, DagsterGroup(**json.loads("".join(lines)))


def ended(group: DagsterGroup) -> bool:
    until(lambda: not group.members(), "the group lives on")
    return not group.members()


@pytest.mark.slow
def test_what_lies_in_the_working_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can write a file where somebody says ``billing up`` could run it as them."""
    (tmp_path / "timeit.py").write_text("raise SystemExit(7)")
    (tmp_path / "linecache.py").write_text("raise SystemExit(8)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep)
    launcher = Launcher(tmp_path, 3000)
    child = "import subprocess, sys; subprocess.check_call([sys.executable, '-m', 'timeit', '-n1', '-r1', 'pass'])"
    launcher._spawn("webserver", "timeit", "-n1", "-r1", child)
    assert launcher._processes["webserver"].wait() == 0, launcher.log("webserver").read_text()


def test_dagster_itself_starts_answers_and_ends(up: CommandLine, home: Path) -> None:
    with started(up) as (process, group):
        with urllib.request.urlopen(f"{group.address}/server_info") as answer:  # noqa: S310 - our own address
            assert json.load(answer)["dagster_version"]
        assert len(group.members()) >= 2
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0, process.stderr and process.stderr.read()
    assert ended(group)
    assert running(home) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_everything(stand_in: CommandLine, home: Path, number: signal.Signals) -> None:
    with started(stand_in) as (process, group):
        assert len(group.members()) == 2
        assert "runs already, at http://127.0.0.1" in stand_in.error("up")["message"]
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert ended(group)
    assert running(home) is None


def test_down_ends_it_from_elsewhere(stand_in: CommandLine) -> None:
    with started(stand_in) as (process, group):
        assert stand_in.json("down") == {"stopped": {"dagster": True, "postgresql": False}}
        assert process.wait(PATIENCE_SECONDS) == 0
    assert ended(group)


def test_down_ends_what_a_killed_launcher_left(stand_in: CommandLine, home: Path) -> None:
    with started(stand_in) as (process, group):
        process.kill()
    assert running(home) == group
    assert stand_in.json("down") == {"stopped": {"dagster": True, "postgresql": False}}
    assert ended(group)
    assert "nothing ran" in stand_in("down").stdout


def test_a_process_that_ends_by_itself_ends_the_others_and_is_named(stand_in: CommandLine) -> None:
    with started(stand_in) as (process, group):
        (daemon,) = [one for one in group.members() if "dagster._daemon" in one.cmdline()]
        daemon.kill()
        assert process.wait(PATIENCE_SECONDS) == 1
        assert process.stderr is not None
        assert "The daemon ended." in process.stderr.read()
    assert ended(group)


def test_one_that_cannot_start_is_shown_with_its_log(stand_in: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "programs" / "dagster" / "_daemon" / "__main__.py").write_text("raise SystemExit('no storage')")
    (tmp_path / "programs" / "dagster_webserver" / "__main__.py").write_text(DAEMON)
    with stand_in.started("up", "--json") as process:
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 2
    assert json.loads(printed)["error"]["message"].endswith("no storage\n")


def test_a_stubborn_group_is_killed(tmp_path: Path) -> None:
    """Dagster started in the background ignores INT and TERM."""
    stubborn = "trap '' INT TERM; echo deaf; while true; do sleep 1; done"
    environment = os.environ | {"DAGSTER_HOME": str(tmp_path)}
    with subprocess.Popen(
        ["/bin/sh", "-c", stubborn], env=environment, process_group=0, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"deaf\n"
        group = DagsterGroup(process.pid, str(tmp_path), "http://127.0.0.1:1")
        assert group.end(hurried=lambda: True)
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert not group.end()


def test_a_recycled_id_is_nobody_of_ours(tmp_path: Path) -> None:
    group = DagsterGroup(os.getpgid(0), str(tmp_path), "http://127.0.0.1:1")
    assert group.members() == []
    assert not group.end()
    assert psutil.Process().is_running()


def test_what_is_written_down_but_does_not_run_does_not_run(tmp_path: Path) -> None:
    assert running(tmp_path) is None
    (tmp_path / "up.json").write_text('{"group": 999999, "home": "x", "address": "y"}')
    assert running(tmp_path) is None
    (tmp_path / "up.json").write_text("{half")
    assert running(tmp_path) is None


def test_dagsters_home_is_prepared_and_can_be_again(tmp_path: Path) -> None:
    for _ in range(2):
        assert prepare(tmp_path / "dagster").read_text().startswith("load_from:")
    assert "telemetry" in (tmp_path / "dagster" / "dagster.yaml").read_text()


def test_the_next_free_port_is_taken() -> None:
    first = free_port(None)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert free_port(None) > first
        with pytest.raises(Refused, match=f"Port {first} is taken"):
            free_port(first)


def test_without_a_ledger_nothing_starts(tmp_path: Path, postgres: Server) -> None:
    billing = CommandLine({"BILLING_DATABASE_URL": postgres.app_url(), "BILLING_HOME": str(tmp_path)})
    assert billing.error("up")["hint"] == "Run: billing init"
    with suppress(FileNotFoundError):
        assert not list((tmp_path / "dagster").iterdir())


def test_down_stops_the_embedded_server(tmp_path: Path) -> None:
    billing = CommandLine({"BILLING_HOME": str(tmp_path / "home"), "BILLING_NOW": "2026-01-01T00:00:00Z"})
    billing("init", "--sandbox")
    assert billing.json("down") == {"stopped": {"dagster": False, "postgresql": True}}
    assert billing.json("down") == {"stopped": {"dagster": False, "postgresql": False}}
    assert billing.json("clock")["sandbox"], "any command starts it again"
    billing("down")
