"""Whoever watches is told what long work begins, and how far it is."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.operations.changes.assign_plan import AssignPlan
from billing_pipeline.operations.changes.customer_change import change_customer
from billing_pipeline.operations.locking.check_and_lock import lock_checked
from billing_pipeline.operations.progress import Progress, no_watch
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.sandbox import JANUARY, MONTH, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

FIGURES = 13  # kinds of figures that a check measures


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, MONTH, now="2026-01-01") as made:
        made.at("2026-01-20").land(use("acme", "api", "2026-01-03", 10), use("beta", "gb", "2026-01-04", 3))
        yield made


def watched(sandbox: Sandbox) -> list[tuple[str, list[tuple[int, int]]]]:
    """What is begun from now on, each with what is told of it."""
    told: list[tuple[str, list[tuple[int, int]]]] = []

    def watch(label: str) -> Progress:
        steps: list[tuple[int, int]] = []
        told.append((label, steps))
        return lambda done, in_all: steps.append((done, in_all))

    sandbox.billing.watch = watch
    return told


def test_a_lock_tells_of_the_close_and_the_check_before_it(sandbox: Sandbox) -> None:
    told = watched(sandbox)
    lock_checked(sandbox.at("2026-02-06").billing, sandbox.period())
    whole = [(1, 1)]
    assert told == [
        (f"close {JANUARY}", whole),
        (f"check {JANUARY}", [(done, FIGURES) for done in range(1, FIGURES + 1)]),
        (f"close {JANUARY}", whole),
        (f"lock {JANUARY}", whole),
    ]


def test_a_tick_tells_of_each_step(sandbox: Sandbox) -> None:
    told = watched(sandbox)
    tick(sandbox.at("2026-02-06").billing)
    labels = list(dict.fromkeys(label for label, _ in told))
    assert labels[:2] == [f"close {JANUARY}", "close 2026-02-01"]
    assert {f"check {JANUARY}", f"lock {JANUARY}", "deliver payments"} <= {*labels}
    assert all(steps and steps[-1][0] == steps[-1][1] for _, steps in told)


def test_a_dry_run_tells_how_many_periods_it_has_computed(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-02").close()
    told = watched(sandbox)
    change_customer(sandbox.billing, AssignPlan("acme", "dear", None, "previous-period"), dry_run=True)
    assert told == [("documents of acme", [(1, 3), (2, 3), (3, 3)])]  # December's may bill January's fees


def test_work_in_another_process_is_watched_by_nobody(sandbox: Sandbox) -> None:
    watched(sandbox)
    assert pickle.loads(pickle.dumps(sandbox.billing)).watch is no_watch  # noqa: S301 - our own
