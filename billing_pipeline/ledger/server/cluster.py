"""A new cluster: its roles and databases, made once."""

import shutil
from pathlib import Path

from billing_pipeline.ledger.server.programs import Programs

OWNER, APPLICATION = "billing", "billing_app"
LEDGER_DATABASE, DAGSTER_DATABASE = "billing", "dagster"
# The superuser has no password, so nobody is it over the network; by socket only who may start the server by hand is,
# since the server that we start makes no socket.
_ACCESS = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


def create_cluster(data: Path, programs: Programs, passwords: dict[str, str]) -> None:
    """Make ``data``, beside it first and then renamed: half a cluster is never used.

    The owner may create databases, for sandboxes and tests, and is a member of the application's role, to act for it.
    """
    half = data.with_name(f"{data.name}.half")
    initialize(half, programs)
    statements = (
        f"CREATE ROLE {APPLICATION} LOGIN PASSWORD '{passwords[APPLICATION]}';",
        f"CREATE ROLE {OWNER} LOGIN CREATEDB PASSWORD '{passwords[OWNER]}' IN ROLE {APPLICATION};",
        f"CREATE DATABASE {LEDGER_DATABASE} OWNER {OWNER};",
        f"CREATE DATABASE {DAGSTER_DATABASE} OWNER {APPLICATION};",
        "CHECKPOINT;",
    )
    single_user = ("--single", "-D", half, "-c", "exit_on_error=on", "postgres")
    programs.run("postgres", *single_user, statements="\n".join(statements) + "\n")
    half.rename(data)


def initialize(folder: Path, programs: Programs) -> None:
    """An empty cluster in ``folder``, in place of what may have been left there."""
    private_folder(folder, programs)
    arguments = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums")
    programs.run("initdb", "-D", folder, *arguments)
    (folder / "pg_hba.conf").write_text(_ACCESS)


def private_folder(folder: Path, programs: Programs) -> None:
    """An empty folder that only the server's user may look into."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    if programs.user:
        programs.user.own(folder)
