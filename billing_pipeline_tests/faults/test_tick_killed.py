"""kill -9 in the middle of a tick, wherever it hits: the next ticks make up for it, and nothing is there twice."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.cli.command_line import CATALOG, CommandLine
from billing_pipeline_tests.sandbox import JANUARY, Sandbox, open_sandbox
from billing_pipeline_tests.servers import Server

FILES = 12


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


def killed_after(billing: CommandLine, seconds: float) -> None:
    with billing.started("tick", "--json") as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.mark.slow
def test_whatever_a_kill_leaves_is_made_up_for(sandbox: Sandbox) -> None:
    billing = CommandLine(sandbox.environment)
    for seconds in (1.0, 1.5, 2.0, 3.0, 4.5):
        killed_after(billing, seconds)
    tick(sandbox.billing)
    assert tick(sandbox.billing).steps == []
    sandbox.at("2026-02-04")
    for seconds in (1.0, 1.6, 2.2):
        killed_after(billing, seconds)
    tick(sandbox.billing)
    assert tick(sandbox.billing).steps == []
    (acme,) = sandbox.documents("acme", JANUARY)
    assert (acme.status, str(acme.total), acme.number) == ("finalized", "12.00", "2026-000001")
    (landed,) = sandbox.query("SELECT count(*) AS batches, sum(rows) AS rows FROM batch")
    assert (landed.batches, landed.rows) == (FILES, FILES)
    (request,) = [json.loads(file.read_text()) for file in sandbox.billing.settings.outbox.glob("*.json")]
    assert request["amount_due"] == "12.00"
    assert len(sandbox.query("SELECT number FROM finalization WHERE number IS NOT NULL")) == 1
