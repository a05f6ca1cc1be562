from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline_tests.cli.command_line import CATALOG, CommandLine
from billing_pipeline_tests.sandbox import Sandbox, open_sandbox
from billing_pipeline_tests.servers import Server


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox ledger on 20 January 2026, with two customers who pay by use."""
    with open_sandbox(postgres, tmp_path, CATALOG, now="2026-01-01") as made:
        yield made.at("2026-01-20")


@pytest.fixture
def billing(sandbox: Sandbox) -> CommandLine:
    """The command line of that ledger."""
    return CommandLine(sandbox.environment)
