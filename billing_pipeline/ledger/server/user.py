"""Who the embedded server runs as: ourselves, or, since PostgreSQL refuses root, a system user where we are root."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from billing_pipeline.core.errors import LedgerError

NAMES = ("billing-pg", "postgres")


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The system user that root runs the server as."""

    name: str
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Make ``path`` this user's."""
        os.chown(path, self.uid, self.gid)


def server_user(data: Path) -> ServerUser | None:
    """None for an ordinary user; for root the owner of the data, if there are any, else a system user, made if need be.

    Raises:
        LedgerError: no such user exists and none can be made.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat().st_uid):
        return _user(pwd.getpwuid(owner))
    return _first_known() or _made()


def _first_known() -> ServerUser | None:
    accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next((_user(accounts[name]) for name in NAMES if name in accounts), None)


def _made() -> ServerUser:
    program = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program:
        options = ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        subprocess.run([program, *options, NAMES[0]], check=False, capture_output=True)  # another may just have made it
    user = _first_known()
    if user is None:
        raise LedgerError(
            "PostgreSQL refuses to run as root, and there is no system user to run it as.",
            hint=f"Make a system user {NAMES[0]!r}, work as an ordinary user, or set BILLING_DATABASE_URL to a server.",
        )
    return user


def _user(entry: pwd.struct_passwd) -> ServerUser:
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def open_to_others(path: Path) -> bool:
    """Whether any user can walk down to ``path``: it, and each folder above it, lets others through."""
    return all(folder.stat().st_mode & 0o001 for folder in [path, *path.parents])
