"""What a process remembers of the catalog: a run asks for the same few customers as known at several changes."""

from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.catalog import CatalogEntry
from billing_pipeline_tests.sandbox import MONTH, open_sandbox
from billing_pipeline_tests.servers import Server


def test_a_view_of_few_customers_is_read_once_and_is_not_in_the_way_of_the_whole(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    entries = ledger_catalog.entries

    def counted(*arguments: Any, **how: Any) -> list[CatalogEntry]:
        read.append(1)
        return entries(*arguments, **how)

    with open_sandbox(postgres, tmp_path, MONTH) as sandbox, sandbox.billing.ledger.begin() as connection:
        billing = sandbox.billing
        whole = billing.view(connection, 1)
        monkeypatch.setattr(ledger_catalog, "entries", counted)
        first, again = (
            billing.view(connection, 1, customers=customers) for customers in (["beta", "acme"], ["acme", "beta"])
        )
        assert first is again
        assert first.catalog
        assert set(first.catalog.customers) == {"acme", "beta"}
        other = billing.view(connection, 1, customers=["acme"])
        assert other.catalog
        assert set(other.catalog.subscriptions) == {"acme"}
        assert billing.view(connection, 1) is whole
        assert len(read) == 2


def test_no_more_than_some_views_are_remembered(postgres: Server, tmp_path: Path) -> None:
    with open_sandbox(postgres, tmp_path, MONTH) as sandbox, sandbox.billing.ledger.begin() as connection:
        billing = sandbox.billing
        first = billing.view(connection, 1, customers=["acme"])
        for number in range(70):
            billing.view(connection, 1, customers=[f"customer {number}"])
        assert billing.view(connection, 1, customers=["acme"]) is not first
