"""Worker processes: one that dies costs its units, not the run."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.operations import parallel
from billing_pipeline.operations.parallel import SMALL, WorkerLost, run_units
from billing_pipeline_tests.faults import workers
from billing_pipeline_tests.patience import until
from billing_pipeline_tests.sandbox import MONTH, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server, with_our_code


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, MONTH, buckets=4) as made:
        made.billing.settings = made.billing.settings.model_copy(update={"workers": 2})
        yield made


def test_small_work_stays_in_this_process_as_one_unit(sandbox: Sandbox) -> None:
    assert run_units(sandbox.billing, lambda _, buckets: (os.getpid(), buckets), SMALL) == [(os.getpid(), (0, 1, 2, 3))]


def test_a_worker_that_dies_costs_its_unfinished_units(sandbox: Sandbox, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    results = run_units(
        sandbox.billing,
        workers.die_once_at_bucket_2,
        SMALL + 1,
        str(tmp_path),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert results == [0, 1, 2, 3]
    assert (tmp_path / "died").exists()
    assert seen == [(done, 4) for done in range(1, 5)]


def test_a_unit_that_kills_every_worker_stops_the_run_and_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(WorkerLost, match=r"at buckets .*2") as raised:
        run_units(sandbox.billing, workers.die_always_at_bucket_2, SMALL + 1, str(tmp_path))
    assert "BILLING_MEMORY" in raised.value.hint
    assert raised.value.exit_code == 1


def test_an_error_is_the_runs_error_and_no_reason_to_try_again(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be done"):
        run_units(sandbox.billing, workers.fail_at_bucket_2, SMALL + 1, str(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_workers_and_their_sessions_end_with_their_parent(
    sandbox: Sandbox, tmp_path: Path, number: signal.Signals
) -> None:
    """Asked by its own pid alone, as a supervisor asks: a terminal would ask its whole group."""
    command = [sys.executable, "-m", "billing_pipeline_tests.faults.workers", str(tmp_path)]
    environment = with_our_code() | sandbox.environment | {"BILLING_WORKERS": "2"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True) as parent:
        try:
            until(lambda: parent.poll() is not None or len(list(tmp_path.glob("worker *"))) == 2, "no workers")
            parent.send_signal(number)
            until(lambda: parent.poll() is not None, "the parent goes on")
        finally:
            parent.kill()  # what goes on must not keep the tests waiting for ever
    assert parent.returncode != 0
    pids = [int(path.name.split()[1]) for path in tmp_path.glob("worker *")]
    assert len(pids) == 2
    until(lambda: not any(_runs(pid) for pid in pids), "workers go on")
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in %'"
    until(lambda: sandbox.query(sessions) == [(0,)], "their sessions go on")


def _runs(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.thorough(instead="test_a_close_in_parallel_comes_to_the_same")
def test_a_large_close_is_in_parallel_by_itself(sandbox: Sandbox) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = SMALL + 10
    for customer in ("acme", "beta"):
        sandbox.land(*(use(customer, "api", (start + timedelta(seconds=n)).isoformat(), 1) for n in range(rows)))
    with sandbox.fork() as alone:
        alone.billing.settings = alone.billing.settings.model_copy(update={"workers": 1})
        alone.at("2026-02-06").lock()
        expected = [(doc.customer, doc.issue_date, doc.total, doc.lines) for doc in alone.documents()]
    sandbox.at("2026-02-06").lock()
    assert [(doc.customer, doc.issue_date, doc.total, doc.lines) for doc in sandbox.documents()] == expected
    assert sum(doc.total for doc in sandbox.documents()) == 2 * rows * Decimal("0.10")


def test_a_close_in_parallel_comes_to_the_same(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 140), use("beta", "gb", "2026-01-05", 7))
    with sandbox.fork() as alone:
        alone.at("2026-02-06").lock()
        expected = [(doc.customer, doc.issue_date, doc.total, doc.lines) for doc in alone.documents()]
    monkeypatch.setattr(parallel, "SMALL", 0)
    counts = sandbox.at("2026-02-06").lock()
    assert (counts["finalized"], counts["issued"]) == (3, 2)
    assert [(doc.customer, doc.issue_date, doc.total, doc.lines) for doc in sandbox.documents()] == expected
    assert sorted(doc.number for doc in sandbox.documents() if doc.number) == ["2026-000001", "2026-000002"]
    assert sum(doc.total for doc in sandbox.documents()) == Decimal(21)
