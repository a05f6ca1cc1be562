"""What is final stays as it is, and what moves moves forward: tried on a month that the pipeline locked.

With psql and as the application itself, in the application's role and in the owner's, each alone with its session.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date

import psycopg
import pytest

from billing_pipeline.core.period import calendar
from billing_pipeline.ledger import clock, migrate
from billing_pipeline.ledger.tables import metadata
from billing_pipeline.operations.landing.watermark import record as declare_watermark
from billing_pipeline.operations.reading.invoices import list_invoices
from billing_pipeline_tests.sandbox import SOURCE, Doc, Sandbox, new_ledger, open_sandbox, use
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
        made.land(use("acme", "api", "2026-01-05", 140), ("acme", "api", "no instant", "1", None, None, None))
        declare_watermark(made.billing, "usage", made.billing.now())
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


def batch(number: str, received_at: str) -> str:
    """One more batch, like the first."""
    columns = "number, source, content_hash, received_at, name, rows, quarantined, bytes, actor"
    values = f"{number}, source, 'other', {received_at}, name, rows, quarantined, bytes, actor"
    return f"INSERT INTO batch ({columns}) SELECT {values} FROM batch WHERE number = 1"


def like_first(table: str, columns: str, values: str) -> str:
    """One more row of a table, like another, with these values in its last columns."""
    own = columns.split(", ")[: -len(values.split(", "))]
    return f"INSERT INTO {table} ({columns}) SELECT {', '.join([*own, values])} FROM {table} LIMIT 1"


def step(status: str, document: str = FINAL) -> str:
    """One more step of a document's payment."""
    columns = "document, status, at, recorded_at, actor, note"
    return f"INSERT INTO payment_event ({columns}) VALUES ({document}, '{status}', now(), now(), 'me', '')"


def request(document: str, amount_minor: str) -> str:
    """One more payment that is asked for."""
    return f"INSERT INTO payment_request VALUES ({document}, 'manual', 'send', {amount_minor})"


def final_at(document: str, cutoff: str, at: str) -> str:
    """The finalization of a document's first version, at an instant."""
    rest = f"'{cutoff}', batch, change, terms, '{at}', fingerprint, inputs, actor FROM finalization"
    return f"INSERT INTO finalization SELECT {document}, 1, 'x', {rest}"


EARLY_RELEASE = """
    WITH placed AS (
        INSERT INTO hold (customer, period, cause, reason, created_at, actor)
        VALUES (1, '2026-01-01', 'manual', 'x', '2026-01-20', 'me') RETURNING id
    ) INSERT INTO hold_release SELECT id, '2026-01-19', 'me', 'x' FROM placed
"""
DENIED, OWNER, ONCE = "permission denied", "must be owner", "it is written once"
LATE_LINE = "lines can only be added together with their document version"
NEXT_CHANGE = "(SELECT max(number) + 1 FROM catalog_change)"
FACTS = sorted(table.name for table in metadata.sorted_tables if table.info["kind"] == "fact")
STATES = ["number_counter", "ledger"]
# Of what stands: the application may not, the owner is stopped.
REWRITING = [
    *(f"DELETE FROM {table}" for table in (*FACTS, *STATES)),
    *(f"TRUNCATE {table} CASCADE" for table in (*FACTS, *STATES)),
    "UPDATE document_version SET total_minor = 1",
    "UPDATE document_version SET transaction = pg_current_xact_id()::text",
    "UPDATE document_line SET amount_minor = 1",
    "UPDATE document SET issue_date = '2026-02-02'",
    "UPDATE finalization SET number = '2026-000099'",
    "UPDATE finalization SET version = version",
    finalization(FINAL, 1) + " ON CONFLICT (document) DO UPDATE SET number = 'x'",
    "UPDATE batch SET received_at = '2026-01-01'",
    "UPDATE batch SET number = number + 1",
    "UPDATE catalog_change SET recorded_at = '2026-01-01'",
    "UPDATE catalog_entry SET content = '{}'",
    "UPDATE lake_file SET sha256 = 'x'",
    "UPDATE payment_request SET amount_minor = 1",
    "UPDATE payment_event SET status = 'paid'",
    "MERGE INTO document_line AS l USING document_line AS o ON true WHEN MATCHED THEN UPDATE SET amount_minor = 1",
]
# What neither may add, or move.
ADDING = [
    (line(FINAL), LATE_LINE),
    (line(DRAFT), LATE_LINE),
    (version(FINAL, 2), "a finalized document gets no further version"),
    (version(DRAFT, 2, "'1'"), "names the transaction that writes it"),
    (version(DRAFT, 3), "versions are numbered one by one"),
    (version(DRAFT, 0), "versions are numbered one by one"),
    (f"INSERT INTO draft_document SELECT document, {_OF_ONE} {FINAL}", "a document that has versions gets no draft"),
    (finalization(FINAL, 1), "duplicate key"),
    (finalization(DRAFT, 99), "finalization_version_fkey"),
    (finalization(DRAFT, 1, "number"), "finalization_number_key"),
    (f"INSERT INTO document_void VALUES ({DRAFT}, now(), 'me', 'why')", "document_void_final_fkey"),
    (f"INSERT INTO credit_note VALUES ({FINAL}, {DRAFT}, true, 'why', 'me')", "credit_note_credits_final_fkey"),
    *(
        (f"BEGIN ISOLATION LEVEL {level}; {sql}", "READ COMMITTED transactions only")
        for level in ("REPEATABLE READ", "SERIALIZABLE")
        for sql in (version(DRAFT, 2), finalization(DRAFT, 1), batch("2", "now()"))
    ),
    (
        like_first(
            "lake_file", "batch, period, bucket, rows, retractions, bytes, sha256, dimensions, meters, path", "'more'"
        ),
        "lake_file can only be added together with their batch",
    ),
    (
        like_first("batch_period", "batch, rows, period", "'2026-02-01'"),
        "batch_period can only be added together with their batch",
    ),
    (
        (
            "WITH scope AS (INSERT INTO snapshot_scope (source, key) VALUES ('usage', 'x') RETURNING code) "
            "INSERT INTO snapshot_delivery SELECT code, 1, '{}' FROM scope"
        ),
        "snapshot_delivery can only be added together with their batch",
    ),
    (
        like_first("quarantine", "batch, row, code, reason, raw, parsed", "parsed"),
        "quarantine can only be added together with their batch",
    ),
    (
        "INSERT INTO quarantine_replay SELECT id, 1 FROM quarantine",
        "quarantine_replay can only be added together with their batch",
    ),
    (like_first("catalog_entry", "change, kind, content, id", "'more'"), "only be added together with their change"),
    (batch("1", "now()"), "the next batch is 2, not 1"),
    (batch("0", "now()"), "the next batch is 2, not 0"),
    (batch("9223372036854775807", "now()"), "the next batch is 2, not 9223372036854775807"),
    (batch("2", "'2025-12-31'"), "nothing is received before 2026-02-01 00:00:00"),
    (batch("2", "'2026-01-31T23:59:59Z'"), "nothing is received before 2026-02-01 00:00:00"),
    ("INSERT INTO catalog_change VALUES (1, now(), 'me', 'x')", "the next change is"),
    ("INSERT INTO catalog_change VALUES (99, now(), 'me', 'x')", "the next change is"),
    (f"INSERT INTO catalog_change VALUES ({NEXT_CHANGE}, '2026-01-31', 'me', 'x')", "nothing is recorded before"),
    (f"INSERT INTO catalog_change VALUES ({NEXT_CHANGE}, '2026-02-01', 'me', 'x', '1')", "names the transaction"),
    (f"INSERT INTO catalog_change VALUES ({NEXT_CHANGE}, '9999-01-01', 'me', 'x')", "recorded in the future"),
    (batch("2", "'9999-01-01'"), "nothing is received in the future"),
    (
        "INSERT INTO watermark (source, instant, recorded_at, actor) VALUES ('b', '2026-01-01', '9999-01-01', 'me')",
        "recorded in the future",
    ),
    (final_at(DRAFT, "9999-01-01", "9999-01-01"), "nothing is final before its cutoff, or later than now"),
    (final_at(DRAFT, "2026-03-01", "2026-02-01"), "nothing is final before its cutoff, or later than now"),
    (f"INSERT INTO document_void VALUES ({FINAL}, '2026-01-31', 'me', 'why')", "not void before it is final"),
    (EARLY_RELEASE, "not released before it holds"),
    *(
        (
            like_first("watermark", "source, actor, instant, recorded_at", values),
            "watermark of usage only moves forward",
        )
        for values in ("'2025-12-31', now()", "'2026-01-01', now()", "'2027-01-01', '2025-12-31'")
    ),
    ("UPDATE payment SET status = 'paid'", "cannot update view"),
    ("UPDATE payment SET attempts = 0", "cannot update view"),
    ("UPDATE payment_request SET document = document", ONCE),
    (step("queued"), "payment_event_queued_key"),
    (step("paid", DRAFT), "payment_event_request_fkey"),
    (request(DRAFT, "1"), "a payment asks for its document's amount due"),
    (request(DRAFT, "-1400"), "a payment asks for its document's amount due"),
    (request(DRAFT, "1400"), "payment_request_final_fkey"),
    (request(FINAL, "1400"), "payment_request_pkey"),
    ("UPDATE number_counter SET last = last - 1", "the counter of 2026 stands at 1 and never goes back"),
    (
        "INSERT INTO number_counter VALUES (2026, 0) ON CONFLICT (year) DO UPDATE SET last = excluded.last",
        "number_counter_last_check",
    ),
    ("INSERT INTO number_counter VALUES (1999, -5)", "number_counter_last_check"),
    ("UPDATE ledger SET sandbox_now = '2020-01-01'", "the clock stands at 2026-02-01 00:00:00"),
    ("UPDATE ledger SET sandbox_now = NULL", "never goes back"),
]
# What only the grants stop, and what the owner may do: who takes the guards away knows it.
ONLY_THE_APPLICATION = [
    ("UPDATE ledger SET buckets = 1", DENIED),
    ("UPDATE ledger SET sandbox = true", DENIED),
    ("TRUNCATE draft_document", DENIED),
    (
        (
            "INSERT INTO payment_event (id, document, status, at, recorded_at, actor, note) "
            "SELECT -1, document, 'paid', now(), now(), 'me', '' FROM payment"
        ),
        DENIED,
    ),
    (
        (
            "INSERT INTO check_result (id, period, name, ran_at, severity, outcome, summary, details) "
            "VALUES (9223372036854775807, '2026-01-01', 'duplicates', now(), 'error', 'passed', '', '{}')"
        ),
        DENIED,
    ),
    ("SELECT setval(pg_get_serial_sequence('payment_event', 'id'), 1)", DENIED),
    ("ALTER TABLE document_line DISABLE TRIGGER ALL", OWNER),
    ("DROP TRIGGER lines_come_with_their_version ON document_line", OWNER),
    ("DROP TABLE document_line", OWNER),
    ("CREATE OR REPLACE FUNCTION refuse_late_lines() RETURNS trigger LANGUAGE sql AS ''", DENIED),
    ("CREATE TABLE public.other (id int)", DENIED),
    ("CREATE SCHEMA other", DENIED),
    ("SET session_replication_role = replica", DENIED),
]
ONLY_THE_OWNER = [
    ("UPDATE number_counter SET year = 2025", "the counter of 2026 stands at 1"),
    ("UPDATE ledger SET buckets = 1", "keeps its calendar, buckets and kind"),
    ("UPDATE ledger SET sandbox = false, sandbox_now = NULL", "keeps its calendar, buckets and kind"),
]
AS_APPLICATION = [*((sql, DENIED) for sql in REWRITING), *ADDING, *ONLY_THE_APPLICATION]
AS_OWNER = [*((sql, ONCE) for sql in REWRITING), *ADDING, *ONLY_THE_OWNER]
ATTEMPTS = [
    *(("application", sql, says) for sql, says in AS_APPLICATION),
    *(("owner", sql, says) for sql, says in AS_OWNER),
]


def reached(sandbox: Sandbox, role: str) -> tuple[str, str]:
    """Where a role gets at the ledger: the URL, and what is set there. Members of the application's role take it on."""
    ledger = sandbox.billing.ledger
    return (ledger.owner_url, "") if role == "owner" else (ledger.url, "-c role=billing_app")


def psql(sandbox: Sandbox, sql: str, role: str = "application") -> subprocess.CompletedProcess[str]:
    """Psql in one of the two roles."""
    assert PSQL is not None
    url, options = reached(sandbox, role)
    command = [PSQL, url, "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1"]
    environment = os.environ | {"PGOPTIONS": options}
    return subprocess.run(command, input=sql, env=environment, capture_output=True, text=True, check=False)


def state(sandbox: Sandbox) -> tuple[list[Doc], list[object]]:
    """What an attempt could change, as people see it."""
    others = (
        "payment",
        "number_counter",
        "ledger",
        "batch",
        "lake_file",
        "catalog_change",
        "catalog_entry",
        "watermark",
    )
    return sandbox.documents(), [sandbox.query(f"SELECT * FROM {table} ORDER BY 1, 2") for table in others]


@pytest.mark.skipif(PSQL is None, reason="psql is not installed")
@pytest.mark.parametrize(("role", "sql", "says"), ATTEMPTS)
def test_psql_is_refused(sandbox: Sandbox, role: str, sql: str, says: str) -> None:
    before = state(sandbox)
    result = psql(sandbox, sql, role)
    assert result.returncode != 0
    assert says in result.stderr
    assert state(sandbox) == before


@pytest.mark.parametrize(("role", "sql", "says"), ATTEMPTS)
def test_the_program_is_refused(sandbox: Sandbox, role: str, sql: str, says: str) -> None:
    url, options = reached(sandbox, role)
    with psycopg.connect(url, options=options, autocommit=True) as connection:  # noqa: SIM117
        with pytest.raises(psycopg.Error, match=says):
            connection.execute(sql.encode())


# A table of one's own with the name of one that a trigger reads, what that would have to find there, and the attempt.
SHADOWS = [
    (
        "payment_event",
        "",
        (
            f"{step('paid').replace('payment_event', 'public.payment_event')}; "
            f"{step('failed').replace('payment_event', 'public.payment_event')}"
        ),
        "takes no further step",
    ),
    (
        "document_version",
        (
            "INSERT INTO pg_temp.document_version SELECT * FROM public.document_version; "
            "UPDATE pg_temp.document_version SET amount_due_minor = 1"
        ),
        request(DRAFT, "1"),
        "document's amount due",
    ),
    (
        "document_version",
        (
            "INSERT INTO pg_temp.document_version SELECT * FROM public.document_version;"
            " UPDATE pg_temp.document_version SET transaction = pg_current_xact_id()::text"
        ),
        line(FINAL),
        LATE_LINE,
    ),
    ("finalization", "", version(FINAL, 2), "a finalized document gets no further version"),
    (
        "document_version",
        "",
        f"INSERT INTO draft_document SELECT document, {_STATE} FROM public.document_version",
        "a document that has versions gets no draft",
    ),
    (
        "document_version",
        "INSERT INTO pg_temp.document_version SELECT * FROM public.document_version",
        f"{version(DRAFT, 2).replace('document_version', 'public.document_version')}; {finalization(DRAFT, 1)}",
        "a document becomes final in its newest version",
    ),
    (
        "batch",
        (
            "INSERT INTO pg_temp.batch SELECT * FROM public.batch; "
            "UPDATE pg_temp.batch SET transaction = pg_current_xact_id()::text"
        ),
        like_first(
            "lake_file", "batch, period, bucket, rows, retractions, bytes, sha256, dimensions, meters, path", "'more'"
        ),
        "can only be added together with their batch",
    ),
    (
        "batch",
        "",
        (
            "INSERT INTO public.batch SELECT 1, source, 'other', 1, received_at, name, rows, quarantined, bytes, "
            "NULL, actor FROM public.batch"
        ),
        "the next batch is 2, not 1",
    ),
    (
        "catalog_change",
        (
            "INSERT INTO pg_temp.catalog_change SELECT * FROM public.catalog_change; "
            "UPDATE pg_temp.catalog_change SET transaction = pg_current_xact_id()::text"
        ),
        like_first("catalog_entry", "change, kind, content, id", "'more'"),
        "only be added together with their change",
    ),
    ("catalog_change", "", "INSERT INTO public.catalog_change VALUES (1, now(), 'me', 'x')", "the next change is"),
    (
        "watermark",
        "",
        (
            "INSERT INTO public.watermark (source, instant, recorded_at, actor) VALUES "
            "('usage', '2020-01-01', now(), 'me')"
        ),
        "the watermark of usage only moves forward",
    ),
    (
        "finalization",
        "",
        (
            "INSERT INTO public.batch SELECT 2, source, 'other', 1, received_at, name, rows, quarantined, "
            "bytes, NULL, actor FROM public.batch"
        ),
        "nothing is received before 2026-02-01 00:00:00",
    ),
]


@pytest.mark.parametrize("role", ["application", "owner"])
@pytest.mark.parametrize(("name", "filled", "sql", "says"), SHADOWS)
def test_a_temporary_table_stands_before_nothing(
    sandbox: Sandbox, role: str, name: str, filled: str, sql: str, says: str
) -> None:
    """The databases of tests are copies, in which who connects may still make such tables."""
    url, options = reached(sandbox, role)
    with psycopg.connect(url, options=options) as connection:
        connection.execute(f"CREATE TEMP TABLE {name} (LIKE public.{name})".encode())
        for statement in filled.split("; ") if filled else ():
            connection.execute(statement.encode())
        *before, attempt = sql.split("; ")
        for statement in before:
            connection.execute(statement.encode())
        with pytest.raises(psycopg.Error, match=says):
            connection.execute(attempt.encode())


def test_every_function_says_where_it_looks(sandbox: Sandbox) -> None:
    found = sandbox.query("SELECT proname, proconfig FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
    assert {row.proname for row in found} >= {"refuse_late_lines", "refuse_clock_back"}
    assert {(row.proname, *(row.proconfig or ())) for row in found} == {
        (row.proname, "search_path=pg_catalog, public, pg_temp") for row in found
    }


def test_after_init_the_application_makes_no_tables_at_all(sandbox: Sandbox) -> None:
    with sandbox.fork() as copied:
        migrate.upgrade(copied.billing.ledger)
        url, options = reached(copied, "application")
        for table in ("TEMP TABLE finalization", "TABLE pg_temp.batch", "TEMP VIEW batch", "TABLE public.more"):
            with psycopg.connect(url, options=options) as connection:  # noqa: SIM117
                with pytest.raises(psycopg.Error, match="permission denied"):
                    connection.execute(f"CREATE {table} AS SELECT 1".encode())


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
        made = "(SELECT document FROM finalization WHERE number = 'x')"
        for sql, says in (
            (version(made, 3), "no further version"),
            (line(made).replace(", 1, 99", ", 2, 99"), LATE_LINE),
        ):
            with pytest.raises(psycopg.Error, match=says), connection.transaction():
                connection.execute(sql.encode())
        connection.rollback()


def test_a_version_that_is_being_written_waits_for_what_is_being_made_final(sandbox: Sandbox) -> None:
    """And the other way round: what neither sees yet of the other, both would accept."""
    url, options = reached(sandbox, "application")
    with psycopg.connect(url, options=options) as first, psycopg.connect(url, options=options) as second:
        second.execute("SET lock_timeout = '200ms'")
        for one, other in ((finalization(DRAFT, 1), version(DRAFT, 2)), (version(DRAFT, 2), finalization(DRAFT, 1))):
            first.execute(one.encode())
            with pytest.raises(psycopg.errors.LockNotAvailable), second.transaction():
                second.execute(other.encode())
            first.rollback()


def test_a_payment_follows_from_its_steps_and_only_moves_forward(sandbox: Sandbox) -> None:
    ways = [
        (["failed", "failed"], ["queued"]),
        (["awaiting_payment_method", "submitted"], ["queued", "failed", "awaiting_payment_method"]),
        (["submitted", "paid"], ["queued", "submitted", "failed", "awaiting_payment_method", "paid", "not_due"]),
        (["not_due"], ["queued", "submitted", "failed", "awaiting_payment_method", "paid", "not_due"]),
    ]
    for role in ("application", "owner"):
        url, options = reached(sandbox, role)
        for taken, refused in ways:
            with psycopg.connect(url, options=options) as connection:
                for status in taken:
                    connection.execute(step(status).encode())
                ((status, attempts),) = connection.execute("SELECT status, attempts FROM payment").fetchall()
                assert (status, attempts) == (taken[-1], taken.count("failed"))
                for status in refused:
                    with pytest.raises(psycopg.IntegrityError), connection.transaction():
                        connection.execute(step(status).encode())
                assert connection.execute("SELECT status FROM payment").fetchall() == [(taken[-1],)]
                connection.rollback()


def test_what_is_shown_of_a_final_document_is_its_final_version(sandbox: Sandbox) -> None:
    """Even where somebody took the guards away."""
    with sandbox.fork() as broken:
        shown = broken.documents(), list_invoices(broken.billing)
        broken.execute_as_owner("ALTER TABLE document_version DISABLE TRIGGER USER")
        broken.execute_as_owner(version(FINAL, 2))
        broken.execute_as_owner(
            "UPDATE document_version SET total_minor = 1, recorded_at = '2026-02-01' WHERE version = 2"
        )
        broken.execute_as_owner("ALTER TABLE draft_document DISABLE TRIGGER USER")
        broken.execute_as_owner(f"INSERT INTO draft_document SELECT document, {_OF_ONE} {FINAL}")
        assert (broken.documents(), list_invoices(broken.billing)) == shown
        assert all(row.version == 1 for row in broken.query("SELECT version FROM final_document"))


def test_a_real_ledgers_clock_is_not_set_by_anybody(postgres: Server) -> None:
    with new_ledger(postgres) as ledger:
        facts = clock.LedgerFacts(calendar("UTC", "month", date(2024, 1, 1)), 2, sandbox=False)
        with migrate.as_owner(ledger) as connection:
            clock.initialize(connection, facts, None)
        for url in (ledger.url, ledger.owner_url):
            with psycopg.connect(url) as raw, pytest.raises(psycopg.errors.CheckViolation, match="ledger_clock_check"):
                raw.execute("UPDATE ledger SET sandbox_now = '2020-01-01'")
            with psycopg.connect(url) as raw, pytest.raises(psycopg.IntegrityError, match="in the future"):
                raw.execute("INSERT INTO catalog_change VALUES (1, now() + interval '1 minute', 'me', 'x')")


def test_the_application_can_move_what_is_meant_to_move(sandbox: Sandbox) -> None:
    """The refusals above are about what is final, not about a role that may do nothing."""
    with psycopg.connect(sandbox.billing.ledger.url, options="-c role=billing_app") as connection:
        assert connection.execute(step("submitted").encode()).rowcount == 1
        assert connection.execute("UPDATE number_counter SET last = last + 1").rowcount == 1
        assert connection.execute("UPDATE ledger SET sandbox_now = sandbox_now + interval '1 day'").rowcount == 1
        assert connection.execute(batch("2", "'2026-02-01'").encode()).rowcount == 1
        connection.rollback()
