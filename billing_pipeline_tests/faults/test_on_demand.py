"""Windows on demand, raced and killed: each gives one invoice, and each arrival is in exactly one window."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.ledger.usage import batches
from billing_pipeline.operations.on_demand.windows import invoice_windows
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.faults.test_races import at_once
from billing_pipeline_tests.faults.test_tick_killed import killed_at, places
from billing_pipeline_tests.operations.on_demand.test_windows import CATALOG
from billing_pipeline_tests.patience import until_somebody_waits
from billing_pipeline_tests.sandbox import Sandbox, note_checked, open_sandbox, use
from billing_pipeline_tests.scenarios.plain_checks import use_plain_checks
from billing_pipeline_tests.servers import Server

CUSTOMERS = ("acme", "beta")
SUBSCRIPTIONS = "subscriptions:" + "".join(
    f"\n  - {{id: {name}, customer: {name}, plan: volume, start: 2026-01-01}}" for name in CUSTOMERS
)


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """Something came in three windows, of two customers; the third is not over."""
    with open_sandbox(
        postgres, tmp_path, CATALOG.replace(', tax: [{name: VAT, percent: "20"}]', ""), SUBSCRIPTIONS
    ) as made:
        for hour in (10, 11, 12):
            made.at(f"2026-01-10T{hour}:30")
            made.land(*(use(name, "api", f"2026-01-10T{hour}:20", 60) for name in CUSTOMERS))
        yield made


def assert_once(sandbox: Sandbox) -> None:
    """60 × 1.00, then 60 and 60 at 0.80: six documents, numbered one by one, in order for each customer."""
    rows = sandbox.query("""
        SELECT customer_id, total_minor, number FROM current_document
        WHERE kind = 'on_demand' AND status = 'finalized' ORDER BY customer_id, window_end
    """)
    assert [(row.customer_id, int(row.total_minor)) for row in rows] == [
        (name, amount) for name in CUSTOMERS for amount in (6000, 4800, 4800)
    ]
    numbers = [row.number for row in rows]
    assert sorted(numbers) == [f"2026-{number:06}" for number in range(1, 7)]
    assert all(sorted(some) == some for some in (numbers[:3], numbers[3:]))
    payments = sandbox.query("SELECT sum(amount_minor) AS asked, count(*) AS n FROM payment_request")
    assert (payments[0].asked, payments[0].n) == (31200, 6)
    assert sandbox.query("SELECT count(*) AS n FROM on_demand_due")[0].n == 0


def test_two_runs_at_once_give_one_invoice_a_window(sandbox: Sandbox) -> None:
    """O7."""
    sandbox.at("2026-01-10T13:00")
    note_checked(sandbox.billing)
    reports = at_once(sandbox, [invoice_windows] * 3)
    assert sum(report.issued for report in reports) == 6
    assert_once(sandbox)


def test_whatever_a_kill_leaves_is_made_up_for(sandbox: Sandbox, turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    use_plain_checks(monkeypatch)
    sandbox.at("2026-01-10T13:00")
    stopped = [killed_at(sandbox, statement) for statement in places(turn, (40, 120, 180, 230, 260))]
    assert turn or any(stopped)
    tick(sandbox.billing)
    assert_once(sandbox)
    assert tick(sandbox.billing).steps == []
    assert_once(sandbox)


def test_what_commits_while_its_window_closes_is_in_exactly_one(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O4: accepted before the window's end, and committed after a run began: the run waits for it."""
    accepted, commit, accept = threading.Event(), threading.Event(), batches.accept

    def slowly(*arguments: Any, **named: Any) -> Any:
        result = accept(*arguments, **named)
        accepted.set()
        commit.wait()
        return result

    monkeypatch.setattr(batches, "accept", slowly)
    with ThreadPoolExecutor(2) as pool:
        landing = pool.submit(sandbox.land, *(use(name, "api", "2026-01-10T12:25", 10) for name in CUSTOMERS))
        accepted.wait()
        sandbox.at("2026-01-10T13:00")
        run = pool.submit(_checked_windows, sandbox)
        until_somebody_waits(sandbox.billing.ledger)
        assert sandbox.query("SELECT count(*) AS n FROM on_demand_window")[0].n == 0
        commit.set()
        landing.result()
        run.result()
    _checked_windows(sandbox)
    sandbox.at("2026-01-10T14:00")
    _checked_windows(sandbox)
    rows = sandbox.query("SELECT window_end, total_minor FROM current_document WHERE kind = 'on_demand' ORDER BY 1")
    by_window = [(f"{row.window_end:%H:%M}", int(row.total_minor)) for row in rows]
    assert by_window == sorted(2 * [("11:00", 6000), ("12:00", 4800), ("13:00", 5600)])  # 70 × 0.80


def _checked_windows(sandbox: Sandbox) -> None:
    billing = sandbox.another()
    note_checked(billing)
    invoice_windows(billing)
    billing.ledger.close()
