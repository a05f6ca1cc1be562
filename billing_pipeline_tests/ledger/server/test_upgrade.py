"""Data of an older PostgreSQL: brought over by the very command that the refusal names."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.binaries import SYSTEM, find_binaries, major_version
from billing_pipeline.ledger.server.embedded import EmbeddedPostgres
from billing_pipeline_tests.servers import embedded, with_our_code

NEW = major_version(find_binaries())
OLDER = [path for path in SYSTEM.glob("*/bin") if (path / "pg_dump").exists() and major_version(path) < NEW]


@pytest.fixture
def aged(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A ledger whose data an older PostgreSQL made, with a row in it."""
    if not OLDER:
        pytest.skip(f"No PostgreSQL older than {NEW} is installed in {SYSTEM}.")
    with embedded(tmp_path / "postgres") as server:
        old = EmbeddedPostgres(server.root, bindir=OLDER[0], durable=False)
        old.start()
        with psycopg.connect(old.owner_url()) as connection:
            connection.execute("CREATE TABLE fact (amount numeric(38, 12))")
            connection.execute("INSERT INTO fact VALUES ('12345678901234567890.000000000001')")
            connection.execute("GRANT SELECT ON fact TO billing_app")
        old.stop()
        yield server


def test_the_command_in_the_refusal_brings_the_ledger_over(aged: EmbeddedPostgres) -> None:
    with pytest.raises(LedgerError, match="Nothing was changed") as refused:
        aged.start()
    command = shlex.split(refused.value.hint.splitlines()[1])
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=with_our_code()).stdout
    assert f"kept in {aged.data}.{major_version(OLDER[0])}" in answer
    aged.start()
    with psycopg.connect(aged.app_url()) as connection:
        assert connection.execute("SELECT amount::text FROM fact").fetchall() == [
            ("12345678901234567890.000000000001",)
        ]
        assert connection.info.server_version // 10000 == NEW
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO fact VALUES (1)")
    with psycopg.connect(aged.dagster_url()) as connection:
        connection.execute("CREATE TABLE dagsters_own (id int)")


def test_an_upgrade_with_the_wrong_programs_changes_nothing(aged: EmbeddedPostgres) -> None:
    with pytest.raises(LedgerError, match="are not of PostgreSQL"):
        aged.upgrade(find_binaries())
    EmbeddedPostgres(aged.root, bindir=OLDER[0]).start()
    assert aged.running()
