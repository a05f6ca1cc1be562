from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline_tests.operations.exports.final_documents import CATALOG, Books
from billing_pipeline_tests.sandbox import open_sandbox
from billing_pipeline_tests.servers import Server


@pytest.fixture
def books(postgres: Server, tmp_path: Path) -> Iterator[Books]:
    """A ledger in March 2026 without documents yet."""
    with open_sandbox(postgres, tmp_path, CATALOG) as made:
        yield Books(made.at("2026-03-10"))
