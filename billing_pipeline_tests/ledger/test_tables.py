"""``tables.py`` describes the database that the migrations make, and says what the application may do to it."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Dialect, inspect
from sqlalchemy.types import TypeEngine

from billing_pipeline.ledger import migrate
from billing_pipeline.ledger.tables import metadata
from billing_pipeline_tests.sandbox import Sandbox, open_sandbox
from billing_pipeline_tests.servers import Server

FACT, WORK = {"SELECT", "INSERT"}, {"SELECT", "INSERT", "UPDATE", "DELETE"}
KINDS = {"fact": FACT, "state": FACT, "work": WORK}
MOVES = {  # the columns of states
    "ledger": {"sandbox_now"},
    "number_counter": {"last"},
    "payment_request": {"document"},  # to lock its row takes the grant; a trigger refuses to update it
}


NUMBERED = {"check_result", "hold", "payment_event", "quarantine", "snapshot_scope", "stage_run", "watermark"}


@pytest.fixture(scope="module")
def sandbox(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path_factory.mktemp("tables")) as made:
        yield made


def test_the_tables_are_those_that_the_migrations_make(sandbox: Sandbox) -> None:
    with migrate.as_owner(sandbox.billing.ledger) as connection:
        dialect, database = connection.dialect, inspect(connection)
        made = {
            table: {column["name"]: said(column["type"], dialect) for column in database.get_columns(table)}
            for table in database.get_table_names()
        }
    made.pop("alembic_version")  # Alembic's own
    stated = {
        table.name: {column.name: said(column.type, dialect) for column in table.columns}
        for table in metadata.sorted_tables
    }
    assert stated == made


def said(kind: TypeEngine[object], dialect: Dialect) -> str:
    """A type as PostgreSQL writes it."""
    return str(kind.compile(dialect=dialect))


def test_what_the_database_says_of_a_column_the_tables_say_too(sandbox: Sandbox) -> None:
    stated = {(table.name, column.name): column.comment for table in metadata.sorted_tables for column in table.columns}
    rows = sandbox.query("""
        SELECT c.relname AS table_name, a.attname AS column_name, d.description AS comment FROM pg_description AS d
        JOIN pg_class AS c ON c.oid = d.objoid JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.objsubid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND d.objsubid > 0
    """)
    made = {(row.table_name, row.column_name): row.comment for row in rows}
    assert made
    assert {place: stated[place] for place in made} == made


def test_the_database_knows_one_ledger_a_documents_identity_and_the_pending_stages(sandbox: Sandbox) -> None:
    checks = sandbox.query("SELECT conname FROM pg_constraint WHERE contype = 'c' AND conname NOT LIKE '%not_null'")
    assert {"ledger_one_row_check", "customer_period_stage_check"} <= {row.conname for row in checks}
    (identity,) = sandbox.query("SELECT indexdef FROM pg_indexes WHERE indexname LIKE 'document_customer_kind_%'")
    assert "NULLS NOT DISTINCT" in identity.indexdef


def test_the_application_may_do_what_a_tables_kind_says(sandbox: Sandbox) -> None:
    rows = sandbox.query("""
        SELECT table_name, array_agg(privilege_type::text) AS allowed FROM information_schema.role_table_grants
        WHERE grantee = 'billing_app' AND table_schema = 'public' GROUP BY table_name
    """)
    allowed = {row.table_name: set(row.allowed) for row in rows}
    views = ("current_document", "open_document", "final_document", "open_hold", "payment")
    assert {view: allowed.pop(view) for view in views} == {view: {"SELECT"} for view in views}
    assert allowed.pop("ledger") == {"SELECT"}
    for table in NUMBERED:  # into its other columns, which the next test says
        assert "INSERT" not in allowed[table]
        allowed[table] |= {"INSERT"}
    expected = {table.name: KINDS[table.info["kind"]] for table in metadata.sorted_tables if table.name != "ledger"}
    assert allowed == expected


def test_only_columns_that_say_where_a_state_is_can_be_updated(sandbox: Sandbox) -> None:
    rows = sandbox.query("""
        SELECT table_name, column_name FROM information_schema.column_privileges
        WHERE grantee = 'billing_app' AND privilege_type = 'UPDATE' AND table_schema = 'public'
    """)
    kinds = {table.name: table.info["kind"] for table in metadata.sorted_tables}
    found = defaultdict[str, set[str]](set)
    for row in rows:
        if kinds[row.table_name] != "work":
            found[row.table_name].add(row.column_name)
    assert found == MOVES


def test_the_application_names_no_number_that_a_sequence_gives(sandbox: Sandbox) -> None:
    rows = sandbox.query("""
        SELECT c.table_name, array_agg(c.column_name::text) AS columns FROM information_schema.columns AS c
        WHERE c.table_schema = 'public'
        AND NOT has_column_privilege('billing_app', c.table_name, c.column_name, 'INSERT')
        GROUP BY c.table_name
    """)
    without = {row.table_name: row.columns for row in rows if row.table_name in NUMBERED}
    assert without == {table: ["code" if table == "snapshot_scope" else "id"] for table in NUMBERED}


def test_nobody_else_may_do_anything(sandbox: Sandbox) -> None:
    rows = sandbox.query("SELECT grantee FROM information_schema.role_table_grants WHERE table_schema = 'public'")
    (owner,) = sandbox.query("SELECT tableowner FROM pg_tables WHERE tablename = 'ledger'")
    assert {row.grantee for row in rows} <= {"billing_app", owner.tableowner}


def test_migrating_again_changes_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    before, after = migrate.upgrade(sandbox.billing.ledger)
    assert before == after
