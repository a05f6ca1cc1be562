"""One database for many lives, emptied before each: what is compiled and prepared for one serves all that follow.

A database of its own for each would be as empty, and cost a tenth of a life.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy import event

from billing_pipeline.ledger.database import Ledger
from billing_pipeline_tests.sandbox import new_ledger
from billing_pipeline_tests.servers import Server

_EMPTIED_BETWEEN_VACUUMS = 100


class KeptLedger:
    """A migrated ledger that can be had again and again, each time empty."""

    def __init__(self, ledger: Ledger, owner: Connection[TupleRow]) -> None:
        self._ledger, self._owner = ledger, owner
        tables = [name for name in self._names() if not self._owner.execute(f'SELECT FROM "{name}"').rowcount]
        quoted = [f'"{name}"' for name in tables]
        self._statements = [
            *(f"ALTER TABLE {name} DISABLE TRIGGER USER" for name in quoted),  # which keep all that is written
            f"TRUNCATE {', '.join(quoted)} RESTART IDENTITY",
            *(f"ALTER TABLE {name} ENABLE TRIGGER USER" for name in quoted),
        ]
        self._times = 0

    def empty(self) -> Ledger:
        """The ledger, without a row of what was in it."""
        self._owner.execute(";".join(self._statements).encode())
        self._times += 1
        if self._times % _EMPTIED_BETWEEN_VACUUMS == 0:
            self._owner.execute("VACUUM")  # of the server's own tables, which note each of these statements
        return self._ledger

    def _names(self) -> list[str]:
        query = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        return [name for (name,) in self._owner.execute(query)]


@contextmanager
def kept_ledger(server: Server) -> Iterator[KeptLedger]:
    """A ledger for many lives, one after the other; dropped afterwards."""
    with new_ledger(server) as ledger, psycopg.connect(ledger.owner_url, autocommit=True) as owner:

        @event.listens_for(ledger.engine, "connect")
        def prepare_everything(connection: Any, _: object) -> None:
            connection.prepare_threshold, connection.prepared_max = 1, 1000

        yield KeptLedger(ledger, owner)
