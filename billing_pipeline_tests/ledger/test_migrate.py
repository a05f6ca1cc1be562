"""A ledger of an earlier version is carried over: nothing of it is lost, and what it promised is kept from then on."""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Row, text
from sqlalchemy.engine import make_url

from billing_pipeline.ledger import migrate
from billing_pipeline.ledger.database import Ledger
from billing_pipeline_tests.sandbox import administer
from billing_pipeline_tests.servers import Server

PAID, REFUSED, MOVED = (UUID(int=number) for number in (1, 2, 3))
# A real ledger as revision 0003 kept it, whose clock somebody had set to 2020.
OLD = f"""
    INSERT INTO ledger VALUES (1, false, '2020-01-01', 'UTC', 'month', '2026-01-01', 2, '2026-01-01');
    INSERT INTO customer VALUES (1, 'acme', 0);
    INSERT INTO catalog_change VALUES (1, '2026-01-01', 'me', 'catalog apply'), (2, '2026-01-02', 'me', 'plan assign');
    INSERT INTO catalog_entry VALUES (1, 'customer', 'acme', 'acme', '{{"id": "acme"}}');
    INSERT INTO batch VALUES (1, 'usage', 'hash', 0, '2026-01-05', 'a.csv', 1, 0, 10, NULL, 'me');
    INSERT INTO batch_period VALUES ('2026-01-01', 1, 1);
    INSERT INTO lake_file VALUES ('a.parquet', 1, '2026-01-01', NULL, 1, 0, 10, 'sha', '{{}}', '{{1}}');
    INSERT INTO input_set VALUES ('inputs', '[]');
    INSERT INTO document (id, customer, kind, period, issue_date, bucket, currency)
        VALUES ('{PAID}', 1, 'closing', '2026-01-01', '2026-02-01', 0, 'USD'),
               ('{REFUSED}', 1, 'delayed', '2026-01-01', '2026-02-06', 0, 'USD'),
               ('{MOVED}', 1, 'delayed', '2026-01-01', '2026-02-11', 0, 'USD');
    INSERT INTO document_version SELECT id, 1, issue_date, 1400, 0, 0, 1400, 0, 1400, true, '[]', 'c', 1, 2, issue_date,
        '{{}}', 'v', '7' FROM document;
    INSERT INTO document_line (document, version, line, kind, description, dimensions, amount_minor)
        SELECT id, 1, 1, 'usage', 'calls', '{{}}', 1400 FROM document;
    INSERT INTO finalization SELECT id, 1, '2026-' || right(id::text, 6), issue_date, 1, 2, 't', issue_date, 'f',
        'inputs', 'me' FROM document;
    INSERT INTO number_counter VALUES (2026, 3);
    INSERT INTO payment VALUES
        ('{PAID}', 'manual', 'send', 1400, 'paid', 'TX-77', 0, NULL, '2026-02-20'),
        ('{REFUSED}', 'card', 'automatic', 1400, 'failed', NULL, 2, '2026-02-09', '2026-02-07'),
        ('{MOVED}', 'card', 'automatic', 1400, 'submitted', 'ref_3', 0, NULL, '2026-02-12');
    INSERT INTO payment_event (document, status, at, actor, note) VALUES
        ('{PAID}', 'queued', '2026-02-01', 'lock', 'for gateway manual'),
        ('{PAID}', 'paid', '2026-02-18', 'me', 'marked paid, reference TX-77'),
        ('{REFUSED}', 'queued', '2026-02-06', 'lock', 'for gateway card'),
        ('{REFUSED}', 'failed', '2026-02-06', 'tick', 'attempt 1 refused'),
        ('{REFUSED}', 'failed', '2026-02-07', 'tick', 'attempt 2 refused'),
        ('{MOVED}', 'queued', '2026-02-11', 'lock', 'for gateway card');
"""
# Triggers of that revision let nothing in but as it came; the rows above come as from a backup.
GUARDS = ("document_line", "document_version", "draft_document")


@pytest.fixture
def old(postgres: Server) -> Iterator[Ledger]:
    """A database with the tables of revision 0003 and a few rows in them."""
    owner_url, name = postgres.owner_url(), f"old_{uuid4().hex}"
    administer(owner_url, f"CREATE DATABASE {name}")
    url, own = (make_url(each).set(database=name) for each in (postgres.app_url(), owner_url))
    ledger = Ledger(url.render_as_string(hide_password=False), owner_url=own.render_as_string(hide_password=False))
    try:
        upgrade_to(ledger, "0003")
        with migrate.as_owner(ledger) as connection:
            for way, sql in (("DISABLE", OLD), ("ENABLE", "")):
                for table in GUARDS:
                    connection.execute(text(f"ALTER TABLE {table} {way} TRIGGER USER"))
                for statement in sql.split(";\n"):
                    if statement.strip():
                        connection.exec_driver_sql(statement)
        yield ledger
    finally:
        ledger.close()
        administer(owner_url, f"DROP DATABASE {name} WITH (FORCE)")


def upgrade_to(ledger: Ledger, revision: str) -> None:
    """The tables of an earlier version, as its own program made them."""
    config = Config()
    config.set_main_option("script_location", str(files("billing_pipeline.ledger") / "migrations"))
    with migrate.as_owner(ledger) as connection:
        migrate._application_role(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def rows(ledger: Ledger, sql: str) -> list[Row[Any]]:
    with ledger.begin() as connection:
        return list(connection.execute(text(sql)).all())


KEPT = ("document", "document_version", "document_line", "finalization", "catalog_entry", "number_counter")
READ = (
    *(f"SELECT * FROM {table} ORDER BY 1, 2" for table in KEPT),
    "SELECT number, source, received_at, name, rows FROM batch",
    "SELECT path, batch, period, bucket, rows, retractions, bytes, sha256, dimensions, meters FROM lake_file",
    "SELECT number, recorded_at, actor, action FROM catalog_change ORDER BY 1",
    "SELECT id, status, number, version, total_minor, payment_status FROM current_document ORDER BY 1",
    """SELECT document, gateway, collection, amount_minor, status, reference, attempts, next_attempt_at, updated_at
       FROM payment ORDER BY 1""",
)


def test_everything_is_as_it_was(old: Ledger) -> None:
    before = [rows(old, sql) for sql in READ]
    revisions = migrate.upgrade(old)
    assert revisions[0] == "0003"
    assert [rows(old, sql) for sql in READ] == before


def test_the_steps_of_payments_are_kept_and_say_all_that_their_rows_said(old: Ledger) -> None:
    """One was submitted by hand, in the row alone: that is a step now."""
    steps = "SELECT document, status, at, actor, note FROM payment_event ORDER BY id"
    before = rows(old, steps)
    migrate.upgrade(old)
    *kept, added = rows(old, steps)
    assert kept == before
    assert (added.document, added.status, added.actor) == (MOVED, "submitted", "migration")


def test_a_real_ledgers_clock_runs_again(old: Ledger) -> None:
    migrate.upgrade(old)
    assert rows(old, "SELECT sandbox, sandbox_now FROM ledger") == [(False, None)]


PROMISES = {
    "INSERT INTO batch_period VALUES ('2026-02-01', 1, 1)": "together with their batch",
    "INSERT INTO catalog_entry VALUES (1, 'customer', 'beta', 'beta', '{}')": "together with their change",
    "INSERT INTO document_line (document, version, line, kind, description, dimensions, amount_minor) "
    f"VALUES ('{PAID}', 1, 2, 'usage', 'more', '{{}}', 1)": "together with their document version",
    "UPDATE number_counter SET last = 1": "never goes back",
    "CREATE TEMPORARY TABLE finalization (document uuid)": "permission denied",
}


@pytest.mark.parametrize(("sql", "says"), PROMISES.items())
def test_what_it_promised_is_kept_from_then(old: Ledger, sql: str, says: str) -> None:
    migrate.upgrade(old)
    with pytest.raises(Exception, match=says), old.begin() as connection:
        connection.execute(text(sql))
    assert len(rows(old, "SELECT 1 FROM document_line")) == 3
