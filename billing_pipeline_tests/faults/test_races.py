"""Runs at once, and runs against landings and locks: whoever comes first, each event is on one document or late."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.parquet as pq
import pytest

from billing_pipeline.ledger.periods import periods
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.closing.invoice import invoice_unit
from billing_pipeline.operations.closing.meter import meter_unit
from billing_pipeline.operations.closing.rate import rate_unit
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.locking.lock import lock, lock_unit
from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.patience import until_somebody_waits
from billing_pipeline_tests.sandbox import JANUARY, MONTH, Sandbox, note_checked, open_sandbox, use
from billing_pipeline_tests.servers import Server, with_our_code

T = TypeVar("T")
CUSTOMERS = 12
CROWD = "\n".join(
    [
        MONTH.replace("grace: 3 days", "grace: 0"),
        "  - {id: more-0, customer: more-0, plan: mixed, start: 2026-01-01}",
        *(f"  - {{id: more-{n}, customer: more-{n}, plan: mixed, start: 2026-01-01}}" for n in range(1, CUSTOMERS)),
    ]
).replace("{id: beta}]", "{id: beta}, " + ", ".join(f"{{id: more-{n}}}" for n in range(CUSTOMERS)) + "]")


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, CROWD, buckets=4) as made:
        made.land(*(use(f"more-{n}", "api", "2026-01-05", 10 * (n + 1)) for n in range(CUSTOMERS)))
        yield made


def at_once(sandbox: Sandbox, works: list[Callable[[Billing], T]]) -> list[T]:
    """Each in a thread of its own, with connections of its own, all starting together."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[Billing], T]) -> T:
        billing = sandbox.another()
        try:
            start.wait()
            return work(billing)
        finally:
            billing.ledger.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def closing(billing: Billing) -> None:
    close(billing, billing.period(JANUARY))


def locking(billing: Billing) -> None:
    note_checked(billing)
    lock(billing, billing.period(JANUARY))


def numbers(sandbox: Sandbox) -> list[str]:
    return [
        row.number for row in sandbox.query("SELECT number FROM finalization WHERE number IS NOT NULL ORDER BY number")
    ]


def assert_final(sandbox: Sandbox) -> None:
    """Each closing document is final, once, for what its customer used."""
    totals = {doc.customer: doc.total for doc in sandbox.documents(key=JANUARY) if doc.kind == "closing" and doc.lines}
    assert totals == {f"more-{n}": Decimal(n + 1) for n in range(CUSTOMERS)}
    assert numbers(sandbox) == [f"2026-{number:06}" for number in range(1, CUSTOMERS + 1)]
    assert len(sandbox.query("SELECT FROM payment")) == CUSTOMERS


def test_two_closes_at_once_write_what_one_would(sandbox: Sandbox) -> None:
    with sandbox.fork() as alone:
        alone.at("2026-02-01").close()
        expected = alone.documents()
    sandbox.at("2026-02-01")
    at_once(sandbox, [closing] * 4)
    assert sandbox.documents() == expected
    assert {row.version for row in sandbox.query("SELECT version FROM document_version")} == {1}


def test_two_locks_at_once_lock_once(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-01")
    at_once(sandbox, [locking] * 4)
    assert_final(sandbox)


def test_units_of_other_sizes_lock_once(sandbox: Sandbox) -> None:
    """One run goes bucket by bucket, in its own order, the other takes all at once."""
    sandbox.at("2026-02-01").close()
    at_once(sandbox, [locking, one_by_one, locking, one_by_one])
    assert_final(sandbox)


def one_by_one(billing: Billing) -> None:
    for bucket in (2, 0, 3, 1):
        lock_unit(billing, JANUARY, billing.now(), (bucket,))


def test_closes_racing_locks(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-01")
    at_once(sandbox, [closing, locking, closing, locking, closing])
    assert_final(sandbox)


def test_landings_racing_the_lock_are_on_the_document_or_late(sandbox: Sandbox) -> None:
    """What was received before the cutoff is on it, what was received at it or later is not; nothing is on both."""
    sandbox.at("2026-01-31T23:59:59")
    started, moved = threading.Barrier(4), threading.Event()

    def landing(worker: int) -> None:
        mine = Sandbox(sandbox.another(), sandbox.folder / f"worker {worker}")
        started.wait()
        for number in range(8):
            mine.land(use("acme", "api", f"2026-01-{worker + 1:02}T00:{number:02}", 2 ** (8 * worker + number)))
        mine.billing.ledger.close()

    def lock_in_between() -> None:
        mine = sandbox.another()
        started.wait()
        closing(mine)
        sandbox.at("2026-02-01")
        moved.set()
        for _ in range(3):
            locking(mine)
        mine.ledger.close()

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(landing, worker) for worker in range(3)] + [pool.submit(lock_in_between)]
        for future in futures:
            future.result()
    sandbox.lock()
    (doc,) = sandbox.documents("acme", JANUARY)
    assert (doc.status, moved.is_set()) == ("finalized", True)
    assert int(sum(line[2] or 0 for line in doc.lines)) == _received_before(sandbox, doc.cutoff)
    assert _received_before(sandbox, None) == 2**24 - 1


def _received_before(sandbox: Sandbox, cutoff: datetime | None) -> int:
    """The sum of what acme's batches brought before an instant: a bit for each event."""
    rows = sandbox.query(
        """
        SELECT f.path FROM lake_file AS f JOIN batch AS b ON b.number = f.batch
        WHERE b.number > 1 AND (b.received_at < CAST(:cutoff AS timestamptz)) IS NOT FALSE
        """,
        cutoff=cutoff,
    )
    values: list[list[Any]] = [_values(f"{sandbox.billing.settings.lake}/{row.path}") for row in rows]
    return int(sum(value for file in values for value in file))


def _values(path: str) -> list[Any]:
    return pq.read_table(path)["value"].to_pylist()


def test_a_period_that_ends_while_a_run_waits_gets_versions(sandbox: Sandbox) -> None:
    """The run looks at the clock when it has its buckets, not before: no draft appears beside versions."""
    sandbox.at("2026-01-31").close()
    sandbox.land(use("more-0", "api", "2026-01-06", 5))
    buckets = tuple(sandbox.billing.buckets)
    for stage in (meter_unit, rate_unit):
        stage(sandbox.billing, JANUARY, buckets)
    with ThreadPoolExecutor(1) as pool, ExitStack() as holding:
        other = sandbox.another()
        connection = holding.enter_context(other.ledger.begin())
        periods.lock_buckets(connection, sandbox.period().first_day, buckets)
        waiting = pool.submit(invoice_unit, sandbox.billing, JANUARY, buckets)
        until_somebody_waits(sandbox.billing.ledger)
        assert not waiting.done()
        sandbox.at("2026-02-01")
        holding.close()
        waiting.result()
        other.ledger.close()
    assert not any(doc.replaceable for doc in sandbox.documents())
    assert sandbox.query("SELECT FROM draft_document") == []


PROGRAM = """
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.locking.lock import lock
billing = Billing.open()
period = billing.period("2026-01-01")
close(billing, period)
from billing_pipeline_tests.sandbox import note_checked
note_checked(billing)
lock(billing, period)
"""


def test_processes_around_the_queue_lock_once(sandbox: Sandbox) -> None:
    """Two processes as the command line starts them, and a run of ours, on the real engine."""
    sandbox.at("2026-02-01")
    environment = os.environ | with_our_code() | sandbox.environment
    running = [subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment) for _ in range(2)]
    while any(process.poll() is None for process in running):
        sandbox.close()
    assert [process.returncode for process in running] == [0, 0]
    sandbox.lock()
    assert_final(sandbox)
