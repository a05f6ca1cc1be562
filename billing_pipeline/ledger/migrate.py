"""Bring a ledger's database to this version's shape. ``billing init`` runs it, as the owner; twice changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, ProgrammingError

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.database import APPLICATION_ROLE, Ledger, explained, psycopg_url


def upgrade(ledger: Ledger) -> tuple[str | None, str]:
    """Create or upgrade the tables; returns the revision before and after.

    Raises:
        LedgerError: the owner may not create the application's role, or the ledger is newer than this program.
    """
    config = Config()
    config.set_main_option("script_location", str(files("billing_pipeline.ledger") / "migrations"))
    script = ScriptDirectory.from_config(config)
    newest = script.get_current_head()
    assert newest is not None, "there is at least one migration"  # noqa: S101
    with as_owner(ledger) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('billing_pipeline migrations'))"))
        before = MigrationContext.configure(connection).get_current_revision()
        if before not in {None, *(migration.revision for migration in script.walk_revisions())}:
            raise LedgerError(
                f"The ledger has revision {before}, which this version of billing_pipeline does not know.",
                hint="Install the version that wrote it, or a newer one.",
            )
        _application_role(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        _no_tables_of_its_own(connection)
    return before, newest


def _application_role(connection: Connection) -> None:
    """Make the application's role where it is missing. It belongs to the server: its ledgers share it."""
    if connection.scalar(text("SELECT true FROM pg_roles WHERE rolname = :role"), {"role": APPLICATION_ROLE}):
        return
    try:
        connection.execute(text(f"CREATE ROLE {APPLICATION_ROLE} NOLOGIN"))
        connection.execute(text(f"GRANT {APPLICATION_ROLE} TO CURRENT_USER"))
    except ProgrammingError as error:
        raise LedgerError(
            f"The owner may not create the role {APPLICATION_ROLE}.",
            hint=f"As an administrator: CREATE ROLE {APPLICATION_ROLE} NOLOGIN; GRANT {APPLICATION_ROLE} TO <owner>;",
        ) from error


def _no_tables_of_its_own(connection: Connection) -> None:
    """Let the application make no tables, lasting or temporary, that could stand before the ledger's own.

    Asked each time: a database that was restored or copied has forgotten what was revoked from it.
    """
    allowed = text("""
        SELECT has_database_privilege(:role, current_database(), 'TEMP')
            OR has_schema_privilege(:role, 'public', 'CREATE')
    """)
    if not connection.scalar(allowed, {"role": APPLICATION_ROLE}):
        return
    database = connection.dialect.identifier_preparer.quote(str(connection.engine.url.database))
    statements = [
        f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC, {APPLICATION_ROLE}",
        f"REVOKE CREATE ON SCHEMA public FROM PUBLIC, {APPLICATION_ROLE}",
    ]
    for statement in statements:
        connection.execute(text(statement))  # PostgreSQL only warns who may not
    if connection.scalar(allowed, {"role": APPLICATION_ROLE}):
        raise LedgerError(
            f"The role {APPLICATION_ROLE} may make tables in this database, and the owner may not forbid it.",
            hint=f"As an administrator: {'; '.join(statements)};",
        )


@contextmanager
def as_owner(ledger: Ledger) -> Iterator[Connection]:
    """One transaction of the ledger's owner: for what the application may not do."""
    engine = create_engine(psycopg_url(ledger.owner_url), poolclass=NullPool)
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise explained(error, ledger.owner_url) from error


def make_database(ledger: Ledger, name: str) -> str | None:
    """A further database on the ledger's server, owned by who uses the ledger; or say which statement does.

    Returns:
        None where it is there now.
    """
    owner = make_url(ledger.url).username or "postgres"
    statement = f'CREATE DATABASE "{name}" OWNER "{owner}"'
    engine = create_engine(psycopg_url(ledger.owner_url), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if connection.scalar(text("SELECT true FROM pg_database WHERE datname = :name"), {"name": name}):
            return None
        try:
            connection.execute(text(statement))
        except ProgrammingError:
            return statement
    return None
