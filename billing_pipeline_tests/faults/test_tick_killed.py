"""kill -9 in the middle of a tick, wherever it hits: the next ticks make up for it, and nothing is there twice."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.cli.command_line import CATALOG
from billing_pipeline_tests.faults import tick_and_stop
from billing_pipeline_tests.sandbox import JANUARY, Sandbox, open_sandbox
from billing_pipeline_tests.scenarios.plain_checks import use_plain_checks
from billing_pipeline_tests.servers import Server, with_our_code

FILES = 12
LANDING, LOCKING = (20, 60, 100, 150, 230), (30, 110, 135)  # statements


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """Files wait in the landing folder of a period that is in grace."""
    with open_sandbox(postgres, tmp_path, CATALOG, now="2026-01-01") as made:
        folder = Path(made.billing.settings.landing) / "usage"
        folder.mkdir(parents=True)
        for number in range(FILES):
            row = f"acme,compute,2026-01-03T10:{number:02}Z,10,eu,,"
            (folder / f"{number}.csv").write_text(f"customer,meter,timestamp,value,region,id,retract\n{row}\n")
        yield made.at("2026-02-03")


def killed_at(sandbox: Sandbox, statement: int) -> bool:
    """Whether it was still at work when it was killed."""
    environment = os.environ | with_our_code() | sandbox.environment
    command = [sys.executable, "-m", tick_and_stop.__name__, str(statement)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        stopped = process.stdout.readline() == "stopped\n"
        process.kill()
    return stopped


def places(turn: int, fixed: Sequence[int]) -> Sequence[int]:
    """The statements that a tick is killed before: the first time always the same, then any."""
    return fixed if turn == 0 else [random.randint(1, 2 * max(fixed)) for _ in fixed]  # noqa: S311 - no secret


def test_whatever_a_kill_leaves_is_made_up_for(sandbox: Sandbox, turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    use_plain_checks(monkeypatch)
    for statement in places(turn, LANDING):
        assert killed_at(sandbox, statement) or turn
    tick(sandbox.billing)
    assert tick(sandbox.billing).steps == []
    sandbox.at("2026-02-04")
    for statement in places(turn, LOCKING):
        assert killed_at(sandbox, statement) or turn
    tick(sandbox.billing)
    assert tick(sandbox.billing).steps == []
    (acme,) = sandbox.documents("acme", JANUARY)
    assert (acme.status, str(acme.total), acme.number) == ("finalized", "12.00", "2026-000001")
    (landed,) = sandbox.query("SELECT count(*) AS batches, sum(rows) AS rows FROM batch")
    assert (landed.batches, landed.rows) == (FILES, FILES)
    (request,) = [json.loads(file.read_text()) for file in sandbox.billing.settings.outbox.glob("*.json")]
    assert request["amount_due"] == "12.00"
    assert len(sandbox.query("SELECT number FROM finalization WHERE number IS NOT NULL")) == 1
