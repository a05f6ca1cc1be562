"""A lake whose disk is full: landing says so, and nothing is recorded or left behind."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing_pipeline.core.errors import UsageError
from billing_pipeline_tests.sandbox import MONTH, Row, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """64 KiB of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder = tmp_path / "small disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, MONTH) as made:
        yield made


def many(day: int, rows: int) -> list[Row]:
    """So many that they do not fit, however well they are packed."""
    start = datetime(2026, 1, day, tzinfo=UTC)
    return [
        use("acme", "api", (start + timedelta(seconds=n)).isoformat(), n * 7919 % 100_003, f"region-{n * n % 10_007}")
        for n in range(rows)
    ]


def test_landing_on_a_full_lake_says_so_and_records_nothing(sandbox: Sandbox, small_disk: Path) -> None:
    sandbox.billing.settings = sandbox.billing.settings.model_copy(update={"lake": str(small_disk / "lake")})
    sandbox.land(use("acme", "api", "2026-01-05", 10))
    with pytest.raises(UsageError, match="cannot be written: No space left on device") as raised:
        sandbox.land(*many(6, 20_000))
    assert "nothing was recorded" in raised.value.hint
    assert [row.number for row in sandbox.query("SELECT number FROM batch")] == [1]
    lake = small_disk / "lake"
    files = [str(path.relative_to(lake)) for path in lake.rglob("*") if path.is_file()]
    assert files == [row.path for row in sandbox.query("SELECT path FROM lake_file")]
    sandbox.close()  # what was accepted can be billed
    assert sandbox.documents("acme")[0].lines


def test_a_home_without_space_for_the_preparation_says_so(sandbox: Sandbox, small_disk: Path) -> None:
    sandbox.billing.settings = sandbox.billing.settings.model_copy(update={"home": small_disk})
    with pytest.raises(UsageError, match="no space left to prepare the delivery"):
        sandbox.land(*many(6, 20_000))
    assert sandbox.query("SELECT FROM batch") == []
    assert not [path for path in small_disk.rglob("*") if path.is_file()]
