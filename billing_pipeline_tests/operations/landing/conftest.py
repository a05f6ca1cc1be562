"""The ledger that usage is landed in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.operations.context import Billing
from billing_pipeline_tests.operations.landing.landing_ledger import landing_ledger
from billing_pipeline_tests.servers import Server


@pytest.fixture
def billing(postgres: Server, tmp_path: Path) -> Iterator[Billing]:
    """A ledger with sources, meters and the customers acme and beta; it is 2026-02-01 09:30."""
    with landing_ledger(postgres, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def billing_of_module(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Billing]:
    """The same ledger for all examples of a property."""
    with landing_ledger(postgres, tmp_path_factory.mktemp("property")) as made:
        yield made
