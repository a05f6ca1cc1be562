"""The connection to PostgreSQL: transactions, COPY, and who we are.

Everything the product writes goes through :meth:`Ledger.begin`; the application's role (``billing_app``) cannot change
what is final, whoever's name stands in the URL.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from itertools import chain
from types import NoneType
from typing import Any

import psycopg
from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Row,
    Table,
    any_,
    create_engine,
    delete,
    literal,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from billing_pipeline.core.errors import LedgerError

__all__ = [
    "APPLICATION_ROLE",
    "Connection",
    "Ledger",
    "among",
    "copy_rows",
    "explained",
    "fetch",
    "lock_key",
    "psycopg_url",
    "replace_rows",
]

APPLICATION_ROLE = "billing_app"
_COPY_CHUNK = 1 << 20  # characters of rendered rows sent at once


class Ledger:
    """A ledger's database. Cheap to make; connects when first used; picklable, so that workers open their own."""

    def __init__(self, url: str, *, owner_url: str | None = None) -> None:
        self.url = url
        self.owner_url = owner_url or url

    def __getstate__(self) -> dict[str, object]:
        return {"url": self.url, "owner_url": self.owner_url}

    @cached_property
    def engine(self) -> Engine:
        """Connections as the application's role."""
        return create_engine(
            psycopg_url(self.url),
            pool_pre_ping=True,
            pool_size=2,
            connect_args={
                "options": f"-c role={APPLICATION_ROLE} -c timezone=UTC -c statement_timeout=0",
                "application_name": "billing_pipeline",
            },
        )

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back on any exception.

        Raises:
            LedgerError: the server cannot be reached or went away, or the ledger is not initialised.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except (DBAPIError, psycopg.Error) as error:  # COPY speaks to the driver itself
            raise explained(error, self.url) from error

    def close(self) -> None:
        """Give the connections back."""
        if "engine" in self.__dict__:
            self.engine.dispose()


def psycopg_url(url: str) -> URL:
    """A database's URL, ``postgresql://…``, for psycopg 3."""
    return make_url(url).set(drivername="postgresql+psycopg")


def explained(error: DBAPIError | psycopg.Error, url: str) -> Exception:
    """A database error in words, where a person can mend it; any other stays what it is."""
    server = make_url(url).render_as_string(hide_password=True)
    cause = error.orig if isinstance(error, DBAPIError) else error
    state, detail = getattr(cause, "sqlstate", None), str(cause).strip().splitlines()[-1]
    if state in {"42P01", "3D000"} or f'role "{APPLICATION_ROLE}" does not exist' in str(cause):
        return LedgerError(f"{server} is not a billing ledger yet.", hint="Run: billing init")
    if state == "42703":  # a column that is not there
        return LedgerError(f"{server} is a ledger of an older version.", hint="Run: billing init")
    if _lost(error, state):
        return LedgerError(
            f"The connection to the ledger's PostgreSQL at {server} was lost: {detail}",
            hint="Run the same again: what was not committed was not done, and what was is not done twice.",
        )
    if isinstance(cause, psycopg.OperationalError) and state is None:
        return LedgerError(
            f"The ledger's PostgreSQL at {server} cannot be reached: {detail}",
            hint="Check BILLING_DATABASE_URL and that the server runs; nothing was changed.",
        )
    return error


def fetch(connection: Connection, query: str, **values: object) -> Sequence[Row[Any]]:
    """The rows of a query in SQL. It names each of ``values`` as ``:name``; a collection is one array there."""
    arrays = {
        name: list(value) if isinstance(value, Collection) and not isinstance(value, str) else value
        for name, value in values.items()
    }
    return connection.execute(text(query), arrays).all()


def copy_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """COPY rows (in the order of ``columns``) into ``table``; returns how many.

    Rendered to text here: several times faster than adapting value by value.
    """
    names = ", ".join(f'"{name}"' for name in columns)
    driver = connection.connection.driver_connection
    assert driver is not None, "a pooled connection always has its driver"  # noqa: S101
    count, waiting, size, renderer = 0, list[str](), 0, _RENDERERS.get
    remaining = iter(rows)
    first = next(remaining, None)
    if first is None:
        return 0  # the server need not be asked
    with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
        for row in chain([first], remaining):
            line = "\t".join([renderer(type(value), _escaped)(value) for value in row]) + "\n"
            count, size = count + 1, size + len(line)
            waiting.append(line)
            if size >= _COPY_CHUNK:
                copy.write("".join(waiting))
                waiting, size = [], 0
        copy.write("".join(waiting))
    return count


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\x00": "\ufffd"})


_to_json = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=str).encode  # json.dumps makes one each time


def _escaped(value: object) -> str:
    written = str(value)
    return written if written.isprintable() and "\\" not in written else written.translate(_ESCAPES)


def _json(value: object) -> str:
    return _escaped(_to_json(value))


def _array(items: Iterable[object]) -> str:
    return "{" + ",".join(_array_item(item) for item in items) + "}"


def _array_item(item: object) -> str:
    quoted = str(item).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'.translate(_ESCAPES) if isinstance(item, str) else quoted


# From a value to COPY's text format. Rows share their instants and days: most are rendered once.
_RENDERERS: dict[type, Callable[[Any], str]] = {
    NoneType: lambda _: "\\N",
    int: str,
    Decimal: "{:f}".format,
    bool: lambda value: "t" if value else "f",
    datetime: lru_cache(datetime.isoformat),
    date: lru_cache(date.isoformat),
    dict: _json,
    list: _array,
    tuple: _array,
}


def _lost(error: DBAPIError | psycopg.Error, state: str | None) -> bool:
    """Whether a connection broke that had been made: the server stopped, or somebody ended the session."""
    if state is not None:
        return state.startswith(("08", "57P"))
    broke = isinstance(error, DBAPIError) and error.connection_invalidated
    return broke or (isinstance(error, psycopg.OperationalError))


def among(column: Column[Any], values: Iterable[object]) -> ColumnElement[bool]:
    """The condition that ``column`` is one of ``values``, as one array: a statement takes 65,535 parameters at most."""
    return column == any_(literal(list(values), ARRAY(column.type)))


def lock_key(connection: Connection, name: str) -> None:
    """Wait for, and hold until the transaction ends, the lock that ``name`` stands for."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def replace_rows(
    connection: Connection,
    table: Table,
    period: date,
    codes: Collection[int],
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> int:
    """Put rows in the place of what these customers have in ``table`` for the period; returns how many."""
    connection.execute(delete(table).where(table.c.period == period, among(table.c.customer, codes)))
    return copy_rows(connection, table, columns, rows)
