"""The embedded server as root and as an ordinary user, and both over the same ledger."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.binaries import find_binaries, reachable_binaries
from billing_pipeline.ledger.server.embedded import EmbeddedPostgres
from billing_pipeline.ledger.server.place import SYSTEM_PLACE
from billing_pipeline_tests.servers import embedded, with_our_code

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Only root can be somebody else; all other tests ran as you.")

NOBODY = 65534
# Imports come first: the ordinary user may not be able to read the code or Python's own folder.
AS_NOBODY = f"""
import os, sys, psycopg
from pathlib import Path
from billing_pipeline.ledger.server.embedded import EmbeddedPostgres
psycopg.pq.version()
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
server = EmbeddedPostgres(Path(sys.argv[1]), bindir=Path(sys.argv[2]), durable=False)
server.start()
with psycopg.connect(server.owner_url()) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS kept (id int)")
    connection.execute("INSERT INTO kept VALUES (1)")
"""


@pytest.fixture
def home_of_nobody() -> Iterator[Path]:
    """Not pytest's own temporary folder: that one is closed to others."""
    home = Path(tempfile.mkdtemp(prefix="billing-test-"))
    os.chown(home, NOBODY, NOBODY)
    yield home
    EmbeddedPostgres(home / "postgres").stop()
    shutil.rmtree(home)


def start_as_nobody(home: Path) -> None:
    binaries = reachable_binaries(find_binaries(), SYSTEM_PLACE / "programs")
    command = [sys.executable, "-c", AS_NOBODY, str(home / "postgres"), str(binaries)]
    subprocess.run(command, check=True, cwd="/", env=with_our_code())


def test_an_ordinary_user_runs_the_server_himself(home_of_nobody: Path) -> None:
    start_as_nobody(home_of_nobody)
    server = EmbeddedPostgres(home_of_nobody / "postgres")
    assert server.running()
    assert server.place == server.root
    assert {path.stat().st_uid for path in server.root.rglob("*")} == {NOBODY}


def test_root_runs_an_ordinary_users_server_as_that_user(home_of_nobody: Path) -> None:
    start_as_nobody(home_of_nobody)
    server = EmbeddedPostgres(home_of_nobody / "postgres", durable=False)
    server.stop()
    server.start()
    with psycopg.connect(server.owner_url()) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)
    server.stop()
    start_as_nobody(home_of_nobody)
    assert {path.stat().st_uid for path in server.data.rglob("*")} == {NOBODY}


def test_root_drops_to_a_system_user_and_leaves_a_closed_folder_closed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with embedded(closed / "postgres") as server:
        server.start()
        assert server.place.parent == SYSTEM_PLACE
        assert pwd.getpwuid(server.data.stat().st_uid).pw_name in {"billing-pg", "postgres"}
        assert closed.stat().st_mode & 0o777 == 0o700


def test_root_keeps_the_data_at_home_where_others_may_pass(home_of_nobody: Path) -> None:
    home_of_nobody.chmod(0o755)
    server = EmbeddedPostgres(home_of_nobody / "postgres", durable=False)
    server.start()
    assert server.data == home_of_nobody / "postgres" / "data"
    home_of_nobody.chmod(0o700)
    assert EmbeddedPostgres(home_of_nobody / "postgres").data == server.data, "a place once chosen is kept"


def test_a_ledger_moves_with_its_home_but_a_copy_is_refused(tmp_path: Path) -> None:
    with embedded(tmp_path / "first" / "postgres") as server:
        server.start()
        url = server.owner_url()
        shutil.copytree(tmp_path / "first", tmp_path / "copy")
        with pytest.raises(LedgerError, match="is a copy of"):
            EmbeddedPostgres(tmp_path / "copy" / "postgres").start()
        (tmp_path / "first").rename(tmp_path / "moved")
        moved = EmbeddedPostgres(tmp_path / "moved" / "postgres")
        moved.start()
        assert moved.owner_url() == url
        moved.stop()


def test_a_home_made_anew_at_the_same_path_starts_empty(tmp_path: Path) -> None:
    with embedded(tmp_path / "postgres") as first:
        first.start()
        with psycopg.connect(first.owner_url()) as connection:
            connection.execute("CREATE TABLE old (id int)")
        first.stop()
        shutil.rmtree(tmp_path / "postgres")
        with embedded(tmp_path / "postgres") as second:
            second.start()
            assert second.place != first.place
            with psycopg.connect(second.owner_url()) as connection:
                assert connection.execute("SELECT to_regclass('old')").fetchone() == (None,)
