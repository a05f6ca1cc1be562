"""An embedded PostgreSQL: programs from a Python wheel, lifecycle ours.

Any command may start the server, several at once get one; none stops it but an explicit stop. It listens on loopback
only, on a port that is chosen once and kept. It has two login roles, each with a password file: the owner of the
ledger, who migrates, and the application, which may not change what is final.
"""

import contextlib
import fcntl
import secrets
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.binaries import find_binaries, major_version, reachable_binaries
from billing_pipeline.ledger.server.cluster import (
    APPLICATION,
    DAGSTER_DATABASE,
    LEDGER_DATABASE,
    OWNER,
    create_cluster,
)
from billing_pipeline.ledger.server.place import SYSTEM_PLACE, free_port, place_of, write_private
from billing_pipeline.ledger.server.postmaster import PATIENCE_SECONDS, Postmaster, launch
from billing_pipeline.ledger.server.programs import Programs
from billing_pipeline.ledger.server.upgrade import refuse_other_major, upgrade_data
from billing_pipeline.ledger.server.user import server_user


class EmbeddedPostgres:
    """One server, of one home folder. Cheap to make; nothing happens before ``start()``."""

    def __init__(self, root: Path, *, bindir: Path | None = None, durable: bool = True) -> None:
        """Describe a server.

        Args:
            root: the server's home; made when it starts.
            bindir: the folder with PostgreSQL's programs; None looks for them.
            durable: False trusts the machine never to fail: for tests.
        """
        self.root = root.expanduser().resolve()
        self._durable = durable
        self._bindir = bindir

    def start(self) -> None:
        """Start the server unless it runs, making it on the first call. Safe to call from several processes at once.

        Raises:
            LedgerError: it cannot start; the message says why and the hint what to do.
        """
        with self._locked():
            if not (self.data / "PG_VERSION").exists():
                self._refuse_lost_data()
                create_cluster(self.data, self._programs, {role: self._password(role) for role in (OWNER, APPLICATION)})
            if self._postmaster.process() is None:
                refuse_other_major(self.root, self.data, major_version(self._programs.bindir))
                launch(self.data, self.log, free_port(self._port_file), self._programs, durable=self._durable)
            self._wait(self._postmaster.ready, "did not become ready")

    def stop(self) -> bool:
        """Stop the server, ending its sessions; whether it ran."""
        if not self.root.exists():
            return False
        with self._locked():
            ran = self._postmaster.process() is not None
            self._postmaster.ask_to_stop()
            self._wait(lambda: self._postmaster.process() is None, "did not stop")
        return ran

    def upgrade(self, old_bindir: Path) -> Path:
        """Bring data of an older PostgreSQL major version over; returns where the old data are kept.

        Args:
            old_bindir: the programs of the version that made the data.

        Raises:
            LedgerError: those are not the programs, or a step failed; the ledger is then as it was.
        """
        self.stop()
        with self._locked():
            new = self._programs
            old = reachable_binaries(old_bindir, SYSTEM_PLACE / "programs") if new.user else old_bindir
            return upgrade_data(self.data, Programs(old, new.user), new)

    def running(self) -> bool:
        """Whether the server runs and takes connections."""
        return self.root.exists() and self._postmaster.ready()

    def owner_url(self) -> str:
        """The ledger as its owner."""
        return self._url(OWNER, LEDGER_DATABASE)

    def app_url(self) -> str:
        """The ledger as the application's role."""
        return self._url(APPLICATION, LEDGER_DATABASE)

    def dagster_url(self) -> str:
        """Dagster's own database, beside the ledger; the application's role owns it."""
        return self._url(APPLICATION, DAGSTER_DATABASE)

    @cached_property
    def place(self) -> Path:
        """Where the data lie: ``root`` or, for root, perhaps below /var/lib."""
        return place_of(self.root)

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.place / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.place / "postgres.log"

    @property
    def _postmaster(self) -> Postmaster:
        return Postmaster(self.data)

    @cached_property
    def _programs(self) -> Programs:
        user, bindir = server_user(self.data), find_binaries(self._bindir)
        return Programs(reachable_binaries(bindir, SYSTEM_PLACE / "programs") if user else bindir, user)

    @property
    def _port_file(self) -> Path:
        return self.root / "port"

    def _password_file(self, role: str) -> Path:
        return self.root / f"{role}.password"

    def _password(self, role: str) -> str:
        path = self._password_file(role)
        if not path.exists():
            write_private(path, secrets.token_urlsafe(24))
        return path.read_text()

    def _url(self, role: str, database: str) -> str:
        try:
            password, port = self._password_file(role).read_text(), self._port_file.read_text()
        except FileNotFoundError:
            raise LedgerError(
                f"There is no embedded PostgreSQL in {self.root} yet.", hint="Run: billing init"
            ) from None
        return f"postgresql://{role}:{password}@127.0.0.1:{port}/{database}"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time; the kernel lets go when a process dies."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with (self.root / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except PermissionError as error:
            raise LedgerError(
                f"The embedded PostgreSQL in {self.root} belongs to another user ({error}).",
                hint="Work as that user, or set BILLING_HOME to a folder of your own.",
            ) from error

    def _refuse_lost_data(self) -> None:
        """A ledger that was there once is never quietly replaced by an empty one."""
        if self._port_file.exists():
            raise LedgerError(
                f"The ledger's data in {self.data} are gone.",
                hint=f"Bring them back from a backup, or delete {self.root} to start with an empty ledger.",
            )

    def _wait(self, condition: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise LedgerError(
                    f"The embedded PostgreSQL in {self.root} {complaint} in {PATIENCE_SECONDS} seconds.",
                    hint=f"Its log is {self.log}.",
                )
            time.sleep(0.05)
