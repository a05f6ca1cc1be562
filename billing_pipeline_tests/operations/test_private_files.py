"""Whatever the umask: usage, payments and reports are readable by their owner alone."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.operations.initialize import initialize
from billing_pipeline.operations.payments.deliver import deliver
from billing_pipeline.operations.reading.period_report import write_period_report
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.sandbox import MONTH, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    before = os.umask(0)
    with open_sandbox(postgres, tmp_path, MONTH) as made:
        yield made
    os.umask(before)


def open_to_others(home: Path) -> set[str]:
    """Files that others can read, and folders of ours that others can enter, below home."""
    own = ("lake", "payments", "reports", "staging", "spill", "dagster")
    paths = [path for name in own for path in [home / name, *(home / name).rglob("*")] if path.exists()]
    assert paths
    return {str(path.relative_to(home)) for path in paths if path.stat().st_mode & 0o077}


def test_what_a_month_leaves_on_disk_is_its_owners(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 140))
    sandbox.at("2026-02-06").lock()
    assert deliver(sandbox.billing).submitted == 1
    tick(sandbox.billing)
    written = [write_period_report(sandbox.billing, sandbox.period()), *sandbox.billing.settings.outbox.glob("*.json")]
    written += Path(sandbox.billing.settings.lake).rglob("*.parquet")
    assert len(written) == 3
    assert open_to_others(sandbox.billing.settings.home) == set()
    assert (sandbox.billing.settings.home / "swept").stat().st_mode & 0o077 == 0


def test_init_closes_the_folders_that_an_earlier_version_made(sandbox: Sandbox) -> None:
    home = sandbox.billing.settings.home
    for name in ("lake", "payments", "reports", "dagster"):
        (home / name).mkdir()
    initialize(sandbox.billing.settings, sandbox=True)
    assert open_to_others(home) == set()
    assert (home / "landing").stat().st_mode & 0o077 == 0o077, "others deliver there"
