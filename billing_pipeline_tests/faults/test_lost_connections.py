"""The database ends a session in the middle of a stage: a clear error, nothing half done, and a rerun succeeds."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import text

from billing_pipeline.core.errors import LedgerError
from billing_pipeline_tests.faults import run_and_stop
from billing_pipeline_tests.faults.broken_month import (
    EXPECTED,
    PLACES,
    assert_all_is_well,
    broken_month,
    finish,
    prepare,
    whole,
)
from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.sandbox import Sandbox
from billing_pipeline_tests.servers import Server


@pytest.fixture(scope="module")
def month(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_plain_metering(monkeypatch)
        with broken_month(postgres, tmp_path_factory.mktemp("month")) as made:
            yield made


def end_sessions(sandbox: Sandbox) -> None:
    """As an administrator does, or a server that stops."""
    with psycopg.connect(sandbox.billing.ledger.owner_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize(("verb", "when", "place"), PLACES)
def test_a_lost_connection(month: Sandbox, monkeypatch: pytest.MonkeyPatch, verb: str, when: str, place: str) -> None:
    with month.fork() as sandbox:
        prepare(sandbox, verb)
        before = whole(sandbox.documents())
        with monkeypatch.context() as patch:
            run_and_stop.stop_at(patch, place, when, lambda: end_sessions(sandbox))
            with pytest.raises(LedgerError, match="was lost"):
                run_and_stop.run(sandbox.billing, verb)
        assert [one[:3] for one in whole(sandbox.documents())] == [one[:3] for one in before]
        assert whole(finish(sandbox)) == EXPECTED
        assert_all_is_well(sandbox)


def test_a_transaction_that_lost_its_connection_left_nothing(month: Sandbox) -> None:
    with month.fork() as sandbox:
        with pytest.raises(LedgerError, match="Run the same again"):
            change_and_lose(sandbox)
        assert sandbox.query("SELECT FROM customer_period WHERE pending IS NOT NULL") == []


def change_and_lose(sandbox: Sandbox) -> None:
    with sandbox.billing.ledger.begin() as connection:
        connection.execute(text("UPDATE customer_period SET pending = 'rate'"))
        end_sessions(sandbox)
        connection.execute(text("SELECT 1"))
