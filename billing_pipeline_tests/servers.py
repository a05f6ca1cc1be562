"""PostgreSQL servers for tests: an embedded one of our own, or the one that BILLING_TEST_DATABASE_URL names."""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import billing_pipeline
from billing_pipeline.ledger.server.embedded import EmbeddedPostgres

# Where the server of a session is, and the process that ends it.
_HOME, _OWNER = "BILLING_TEST_SERVER_HOME", "BILLING_TEST_SERVER_OWNER"


def with_our_code() -> dict[str, str]:
    """The environment for a Python of one's own, started anywhere."""
    return os.environ | {"PYTHONPATH": str(Path(billing_pipeline.__file__).parents[1])}


class Server(Protocol):
    """What a test needs of a server."""

    def owner_url(self) -> str: ...

    def app_url(self) -> str: ...


@dataclass(frozen=True, slots=True)
class NamedServer:
    """A server that others run; its one role must be allowed to create databases and roles."""

    url: str

    def owner_url(self) -> str:
        return self.url

    def app_url(self) -> str:
        return self.url


@contextlib.contextmanager
def embedded(root: Path, *, durable: bool = False) -> Iterator[EmbeddedPostgres]:
    """A server below ``root``, not yet started; stopped and forgotten afterwards, wherever its data lay."""
    root.mkdir(parents=True, exist_ok=True)
    server = EmbeddedPostgres(root, durable=durable)
    place = server.place
    try:
        yield server
    finally:
        server.stop()
        if place.exists():
            shutil.rmtree(place)


def share_server() -> None:
    """Agree with the processes that this one will start on a server's place. It starts when it is needed."""
    if _HOME not in os.environ:
        home = Path(tempfile.mkdtemp(prefix="billing-tests-", dir=_in_memory()))
        home.chmod(0o711)  # so that root's server, which runs as somebody else, has its data here too
        os.environ[_HOME] = str(home)
        os.environ[_OWNER] = str(os.getpid())
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # who ends the tests ends the server with them


def _in_memory() -> Path | None:
    """A folder that is no disk, where there is enough of one: tests make and drop databases by the thousand."""
    place, needed = Path("/dev/shm"), 4 << 30  # noqa: S108 - the folder made in it has a name of its own
    return place if place.is_dir() and shutil.disk_usage(place).free > needed else None


def session() -> str:
    """A name that no other session on the same server has, in all processes of this one the same."""
    return Path(os.environ[_HOME]).name.replace("-", "_").lower()


def shared_server() -> Server:
    """The server of this session, which whoever comes first starts."""
    if url := os.environ.get("BILLING_TEST_DATABASE_URL"):
        return NamedServer(url)
    server = _embedded_server()
    server.start()
    return server


def give_up_shared_server() -> None:
    """Stop it and forget its data, in the process that shared it."""
    if os.environ.get(_OWNER) == str(os.getpid()):
        _embedded_server().stop()
        shutil.rmtree(os.environ.pop(_HOME))


def _embedded_server() -> EmbeddedPostgres:
    return EmbeddedPostgres(Path(os.environ[_HOME]) / "postgres", durable=False)
