"""What the histories share: one ledger, emptied for each."""

from collections.abc import Iterator

import pytest

from billing_pipeline_tests.histories.kept_ledger import KeptLedger, kept_ledger
from billing_pipeline_tests.servers import Server


@pytest.fixture(scope="session")
def kept(postgres: Server) -> Iterator[KeptLedger]:
    """A ledger that a worker's histories have one after the other."""
    with kept_ledger(postgres) as ledger:
        yield ledger
