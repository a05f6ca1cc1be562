"""A stop that waits for its start: it counts nothing, holds nobody, shows in a check, is paired when it comes."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.operations.locking.check_and_lock import checked
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.operations.closing.test_lasting_usage import CATALOG, job, lines, send
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, Sandbox, open_sandbox
from billing_pipeline_tests.servers import Server


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, CATALOG, first_period=date(2026, 1, 1)) as made:
        yield made


def waiting(sandbox: Sandbox, key: str = JANUARY) -> tuple[str, int, bool]:
    """How the check ended, how many stops it counts, and whether it holds anybody."""
    (row,) = (one for one in checked(sandbox.billing, sandbox.period(key)).rows if one.name == "waiting_stops")
    query = "SELECT coalesce(sum(pending), 0) FROM usage_count WHERE period = :key"
    ((stops,),) = sandbox.query(query, key=date.fromisoformat(key))
    return row.outcome, int(stops), bool(sandbox.query("SELECT 1 FROM hold"))


def test_it_counts_nothing_and_holds_nobody(sandbox: Sandbox) -> None:
    send(
        sandbox,
        job("stop", "2026-01-05"),
        job("start", "2026-01-06", key="b"),
        job("stop", "2026-01-06T01:00", key="b"),
    )
    sandbox.at("2026-02-01").close()
    assert waiting(sandbox) == ("failed", 1, False)
    assert lines(sandbox, JANUARY) == [("jobs", "3600", "36.00")]  # b's; the start of another key is not a's
    assert sandbox.at("2026-02-04").lock()["finalized"] == 2


def test_it_is_no_row_of_the_quarantine_while_its_start_may_come(sandbox: Sandbox) -> None:
    send(sandbox, job("stop", "2026-01-05"))
    assert sandbox.at("2026-02-01").close()["pending"] == 1
    assert sandbox.query("SELECT count(*) FROM quarantine") == [(0,)]


def test_the_start_may_come_in_grace_from_the_period_before(sandbox: Sandbox) -> None:
    """A session of January and February: its stop is received first."""
    send(sandbox, job("stop", "2026-02-01T02:00"))
    sandbox.at("2026-02-02").close(FEBRUARY)
    assert waiting(sandbox, FEBRUARY) == ("failed", 1, False)
    send(sandbox, job("start", "2026-01-31T23:00"))
    tick(sandbox.billing)
    assert waiting(sandbox, FEBRUARY) == ("passed", 0, False)
    assert lines(sandbox, JANUARY) == [("jobs", "3600", "36.00")]
    assert lines(sandbox, FEBRUARY) == [("jobs", "7200", "72.00")]


def test_a_start_after_the_lock_is_late_usage(sandbox: Sandbox) -> None:
    send(sandbox, job("stop", "2026-01-05"))
    tick(sandbox.at("2026-02-01").billing)
    tick(sandbox.at("2026-02-04").billing)
    send(sandbox, job("start", "2026-01-04T23:00"))
    tick(sandbox.at("2026-02-05").billing)
    (january, february) = sandbox.documents("acme")
    assert (january.status, january.lines) == ("finalized", ())
    assert [(line[2], line[3]) for line in february.lines] == [(Decimal(3600), Decimal(36))]
    assert february.kinds == ("adjustment",)
