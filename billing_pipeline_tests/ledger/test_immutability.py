"""What is final stays as it is: tried with psql, and as the application itself, on a month that the pipeline locked."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from billing_pipeline_tests.sandbox import SOURCE, Doc, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

PSQL = shutil.which("psql")
CATALOG = (
    SOURCE
    + """
account: {name: Example, currency: USD}
meters: [{id: api, aggregation: sum}]
products: [{id: late, invoicing_delay: 20 days}]
plans:
  - id: p
    prices:
      - {id: api, meter: api, price: {model: per_unit, unit_amount: "0.10"}}
      - {id: later, meter: api, product: late, price: {model: per_unit, unit_amount: "0.10"}}
customers: [{id: acme}]
subscriptions: [{id: s, customer: acme, plan: p, start: 2026-01-01}]
"""
)


@pytest.fixture(scope="module")
def sandbox(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A finalized closing document and a delayed one that is still a draft."""
    with open_sandbox(postgres, tmp_path_factory.mktemp("final"), CATALOG) as made:
        made.land(use("acme", "api", "2026-01-05", 140))
        made.at("2026-02-01").lock()
        final, draft = made.documents()
        assert (final.status, final.number, draft.status, draft.replaceable) == (
            "finalized",
            "2026-000001",
            "draft",
            False,
        )
        yield made


FINAL, DRAFT = (f"(SELECT id FROM current_document WHERE status = '{status}')" for status in ("finalized", "draft"))
_STATE = """lock_at, subtotal_minor, credits_applied_minor, tax_minor, total_minor, customer_credit_applied_minor,
    amount_due_minor, has_usage, covers, content, as_of_batch, as_of_change, recorded_at, reason, code_version"""
_OF_ONE = f"{_STATE} FROM document_version WHERE version = 1 AND document ="


def version(document: str, number: int, transaction: str = "pg_current_xact_id()::text") -> str:
    """One more version of a document, like its first."""
    columns = f"document, version, transaction, {_STATE}"
    return f"INSERT INTO document_version ({columns}) SELECT document, {number}, {transaction}, {_OF_ONE} {document}"


def line(document: str) -> str:
    """One more line of a document's first version."""
    columns = "document, version, line, kind, description, dimensions, amount_minor"
    return f"INSERT INTO document_line ({columns}) VALUES ({document}, 1, 99, 'usage', 'more', '{{}}', 1)"


def finalization(document: str, number: int, name: str = "'x'") -> str:
    """The finalization of a version of a document, under a number."""
    rest = "cutoff, batch, change, terms, finalized_at, fingerprint, inputs, actor FROM finalization"
    return f"INSERT INTO finalization SELECT {document}, {number}, {name}, {rest}"


DENIED, OWNER = "permission denied", "must be owner"
LATE_LINE = "lines can only be added together with their document version"
FACTS = [
    "document",
    "document_version",
    "document_line",
    "finalization",
    "document_void",
    "input_set",
    "batch",
    "lake_file",
    "catalog_change",
    "catalog_entry",
    "customer",
    "hold",
    "hold_release",
    "payment_event",
    "quarantine",
]
ATTEMPTS = [
    *((f"DELETE FROM {table}", DENIED) for table in (*FACTS, "payment", "number_counter", "ledger")),
    *((f"TRUNCATE {table} CASCADE", DENIED) for table in (*FACTS, "payment", "number_counter", "draft_document")),
    ("UPDATE document_version SET total_minor = 1", DENIED),
    ("UPDATE document_line SET amount_minor = 1", DENIED),
    ("UPDATE document SET issue_date = '2026-02-02'", DENIED),
    ("UPDATE finalization SET number = '2026-000099'", DENIED),
    ("UPDATE finalization SET version = version", DENIED),
    ("UPDATE payment SET amount_minor = 1", DENIED),
    ("UPDATE batch SET received_at = '2026-01-01'", DENIED),
    ("UPDATE catalog_entry SET content = '{}'", DENIED),
    ("UPDATE ledger SET buckets = 1", DENIED),
    ("UPDATE ledger SET sandbox = true", DENIED),
    (line(FINAL), LATE_LINE),
    (line(DRAFT), LATE_LINE),
    (version(FINAL, 2), "a finalized document gets no further version"),
    (version(DRAFT, 2, "'1'"), "names the transaction that writes it"),
    (f"INSERT INTO draft_document SELECT document, {_OF_ONE} {FINAL}", "a document that has versions gets no draft"),
    (finalization(FINAL, 1), "duplicate key"),
    (finalization(FINAL, 1) + " ON CONFLICT (document) DO UPDATE SET number = 'x'", DENIED),
    (finalization(DRAFT, 99), "finalization_version_fkey"),
    (finalization(DRAFT, 1, "number"), "finalization_number_key"),
    ("ALTER TABLE document_line DISABLE TRIGGER ALL", OWNER),
    ("DROP TRIGGER lines_come_with_their_version ON document_line", OWNER),
    ("DROP TABLE document_line", OWNER),
    ("CREATE OR REPLACE FUNCTION refuse_late_lines() RETURNS trigger LANGUAGE sql AS ''", DENIED),
    ("SET session_replication_role = replica", DENIED),
]


def psql(sandbox: Sandbox, sql: str) -> subprocess.CompletedProcess[str]:
    """Psql as the application's role, whoever the URL's user is."""
    assert PSQL is not None
    environment = os.environ | {"PGOPTIONS": "-c role=billing_app"}
    command = [PSQL, sandbox.billing.ledger.url, "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1"]
    return subprocess.run(command, input=sql, env=environment, capture_output=True, text=True, check=False)


def state(sandbox: Sandbox) -> tuple[list[Doc], list[object]]:
    return sandbox.documents(), sandbox.query("SELECT * FROM payment")


@pytest.mark.skipif(PSQL is None, reason="psql is not installed")
@pytest.mark.parametrize(("sql", "says"), ATTEMPTS)
def test_psql_is_refused(sandbox: Sandbox, sql: str, says: str) -> None:
    before = state(sandbox)
    result = psql(sandbox, sql)
    assert result.returncode != 0
    assert says in result.stderr
    assert state(sandbox) == before


@pytest.mark.parametrize(("sql", "says"), ATTEMPTS)
def test_the_application_is_refused(sandbox: Sandbox, sql: str, says: str) -> None:
    with psycopg.connect(sandbox.billing.ledger.url, options="-c role=billing_app") as connection:  # noqa: SIM117
        with pytest.raises(psycopg.Error, match=says):
            connection.execute(sql.encode())


@pytest.mark.skipif(PSQL is None, reason="psql is not installed")
def test_psql_copies_no_line_in_either(sandbox: Sandbox) -> None:
    (row,) = sandbox.query(f"SELECT {FINAL} AS id")
    columns = "document, version, line, kind, description, dimensions, amount_minor"
    line = f"{row.id}\t1\t99\tusage\tmore\t{{}}\t1"
    result = psql(sandbox, f"COPY document_line ({columns}) FROM STDIN;\n{line}\n\\.\n")
    assert LATE_LINE in result.stderr


def test_nothing_follows_a_finalization_in_its_own_transaction_either(sandbox: Sandbox) -> None:
    with psycopg.connect(sandbox.billing.ledger.url, options="-c role=billing_app") as connection:
        connection.execute(version(DRAFT, 2).encode())
        connection.execute(finalization(DRAFT, 2).encode())
        with pytest.raises(psycopg.Error, match="no further version"):
            connection.execute(version("(SELECT document FROM finalization WHERE number = 'x')", 3).encode())
        connection.rollback()


def test_the_application_can_move_what_is_meant_to_move(sandbox: Sandbox) -> None:
    """The refusals above are about what is final, not about a role that may do nothing."""
    with psycopg.connect(sandbox.billing.ledger.url, options="-c role=billing_app") as connection:
        moved = connection.execute("UPDATE payment SET status = 'submitted', attempts = 1")
        assert moved.rowcount == 1
        assert connection.execute("UPDATE number_counter SET last = last + 1").rowcount == 1
        connection.rollback()
