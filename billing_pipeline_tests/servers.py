"""PostgreSQL servers for tests: an embedded one of our own, or the one that BILLING_TEST_DATABASE_URL names."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import billing_pipeline
from billing_pipeline.ledger.server.embedded import EmbeddedPostgres


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
