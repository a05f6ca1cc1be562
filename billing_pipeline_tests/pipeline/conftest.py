from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from billing_pipeline_tests.pipeline.month import CATALOG, Month
from billing_pipeline_tests.sandbox import Sandbox, open_sandbox
from billing_pipeline_tests.servers import Server


@pytest.fixture(scope="session", autouse=True)
def _loaded(_settings_of_our_own: None) -> None:
    """Loaded once, after collection: by then the developer's own settings are out of the way."""
    import billing_pipeline.definitions  # noqa: F401


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox ledger on 20 January 2026, which the environment names."""
    with open_sandbox(postgres, tmp_path, CATALOG) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made.at("2026-01-20")


@pytest.fixture
def month(sandbox: Sandbox) -> Iterator[Month]:
    """That ledger's January, and Dagster."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Month(sandbox, instance)
