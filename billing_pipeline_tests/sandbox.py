"""A sandbox ledger of a test's own: real database, real lake, real pipeline, and a clock that the test moves.

The database is a copy of one that is migrated once a session, so that a ledger costs some hundredths of a second.
"""

import atexit
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pyarrow as pa
from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy import text
from sqlalchemy.engine import make_url

from billing_pipeline.core.period import BillingPeriod, calendar
from billing_pipeline.ledger import clock, migrate
from billing_pipeline.ledger.database import Ledger
from billing_pipeline.operations.changes.apply_catalog import ApplyResult, apply
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.land import land
from billing_pipeline.operations.locking.lock import lock
from billing_pipeline.settings import Settings
from billing_pipeline_tests.servers import Server, session

JANUARY, FEBRUARY = "2026-01-01", "2026-02-01"
SOURCE = """
sources:
  - {id: usage, format: csv, event: {customer: customer, meter: meter, timestamp: timestamp, value: value,
     dimensions: [region], event_id: id, retract: retract}}
"""
_COLUMNS = ("customer", "meter", "timestamp", "value", "region", "id", "retract")
Row = tuple[object, ...]


def instant(at: str | datetime) -> datetime:
    """``2026-02-03`` or ``2026-02-03T10:00``, in UTC."""
    made = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    return made if made.tzinfo else made.replace(tzinfo=UTC)


def use(customer: str, meter: str, timestamp: str, value: object, region: str | None = None, **more: str) -> Row:
    """One row of usage; ``id`` and ``retract`` as the sandbox's source names them."""
    at = instant(timestamp).isoformat()
    return (customer, meter, at, str(value), region, more.get("id"), more.get("retract"))


def note_checked(billing: Billing) -> None:
    """Note that all usage was looked at by checks, which cost more than most tests are about."""
    with billing.ledger.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO stage_run (period, stage, at, seconds, through_batch, counts, actor)
                SELECT period, 'check', :now, 0, max(batch), '{}', 'tester' FROM batch_period AS b
                GROUP BY period HAVING max(batch) > coalesce((SELECT max(through_batch) FROM stage_run AS r
                    WHERE r.period = b.period AND r.stage = 'check'), 0)
            """),
            {"now": billing.now(connection)},
        )


@dataclass(frozen=True, slots=True)
class Doc:
    """A document as it stands.

    Attributes:
        lines: (price, dimensions, quantity, amount), in their order.
        kinds: of the lines.
    """

    customer: str
    kind: str
    issue_date: str
    status: str
    version: int
    total: Decimal
    lines: tuple[tuple[str, Mapping[str, str], Decimal | None, Decimal], ...]
    number: str | None = None
    cutoff: datetime | None = None
    reason: Mapping[str, Any] = field(default_factory=dict)
    replaceable: bool = False
    covers: Sequence[Sequence[str]] = ()
    kinds: tuple[str, ...] = ()


@dataclass
class Sandbox:
    """What a test does with its ledger."""

    billing: Billing
    folder: Path
    _deliveries: Iterator[int] = field(default_factory=count)

    def at(self, now: str | datetime) -> "Sandbox":
        """Move the clock forward."""
        with self.billing.ledger.begin() as connection:
            clock.set_clock(connection, instant(now))
        return self

    def apply(self, *texts: str, dry_run: bool = False) -> ApplyResult:
        """Apply catalog files with these contents."""
        paths = [self.folder / f"catalog{number}.yaml" for number in range(len(texts))]
        for path, content in zip(paths, texts, strict=True):
            path.write_text(content)
        return apply(self.billing, paths, dry_run=dry_run)

    def land(self, *rows: Row, source: str = "usage") -> int:
        """Land a delivery of rows as :func:`use` makes them; returns the batch. No two deliveries are the same."""
        columns = dict(zip(_COLUMNS, zip(*rows, strict=True), strict=True)) if rows else {}
        table = {name: pa.array(values, pa.string()) for name, values in columns.items()}
        table["delivery"] = pa.array([str(next(self._deliveries))] * len(rows), pa.string())
        return land(self.billing, source, pa.table(table)).batch

    def period(self, key: str = JANUARY) -> BillingPeriod:
        """A period by its key."""
        return self.billing.calendar.period(key)

    def close(self, key: str = JANUARY) -> dict[str, int]:
        """Close a period; returns what all stages counted."""
        return {name: value for one in close(self.billing, self.period(key)) for name, value in one.counts.items()}

    def lock(self, key: str = JANUARY) -> Mapping[str, int]:
        """Lock what is due in a period, as if all checks had passed; returns what was counted."""
        note_checked(self.billing)
        return lock(self.billing, self.period(key)).counts

    def documents(self, customer: str | None = None, key: str | None = None) -> list[Doc]:
        """The documents as they stand, by customer, period, issue date and kind."""
        found = self.query(
            """
            SELECT *, (SELECT coalesce(jsonb_agg(jsonb_build_array(price, dimensions, quantity::text,
                       amount_minor::text, kind) ORDER BY line), '[]') FROM (
                SELECT line, price, dimensions, quantity, amount_minor, kind FROM document_line
                WHERE document = d.id AND version = d.version AND NOT d.replaceable
                UNION ALL SELECT line, price, dimensions, quantity, amount_minor, kind FROM draft_line
                WHERE document = d.id AND d.replaceable) AS lines) AS all_lines
            FROM current_document AS d
            WHERE customer_id = coalesce(:customer, customer_id) AND period = coalesce(:period, period)
            ORDER BY customer_id, period, issue_date, kind
            """,
            customer=customer,
            period=key and date.fromisoformat(key),
        )
        return [_doc(row) for row in found]

    def query(self, sql: str, **values: object) -> list[Any]:
        """Rows of the ledger."""
        with self.billing.ledger.begin() as connection:
            return list(connection.execute(text(sql), values))

    def execute_as_owner(self, sql: str) -> None:
        """What only the owner may do."""
        with migrate.as_owner(self.billing.ledger) as connection:
            connection.execute(text(sql))

    def rewrite_as_owner(self, table: str, sql: str) -> None:
        """What the owner can do to facts, but not by mistake."""
        for statement in (_guard("DISABLE", table), sql, _guard("ENABLE", table)):
            self.execute_as_owner(statement)

    def another(self, **settings: object) -> Billing:
        """The same ledger as another process would open it, with connections of its own; close its ledger."""
        known = self.billing.settings.model_copy(update=settings)
        return Billing(known, Ledger(self.billing.ledger.url, owner_url=self.billing.ledger.owner_url), "another")

    @contextmanager
    def fork(self) -> Iterator["Sandbox"]:
        """The same ledger once more, to be led into another future; it has the same lake."""
        self.billing.ledger.close()
        owner_url, name = self.billing.ledger.owner_url, f"sandbox_{uuid4().hex}"
        administer(_database(owner_url, "postgres"), f"CREATE DATABASE {name} TEMPLATE {make_url(owner_url).database}")
        ledger = Ledger(_database(self.billing.ledger.url, name), owner_url=_database(owner_url, name))
        urls = {"database_url": ledger.url, "database_owner_url": ledger.owner_url}
        try:
            yield Sandbox(Billing(self.billing.settings.model_copy(update=urls), ledger, "tester"), self.folder)
        finally:
            ledger.close()
            administer(_database(owner_url, "postgres"), f"DROP DATABASE {name} WITH (FORCE)")

    @property
    def environment(self) -> dict[str, str]:
        """For a process of its own that opens this ledger."""
        settings = self.billing.settings
        return {
            "BILLING_DATABASE_URL": self.billing.ledger.url,
            "BILLING_HOME": str(settings.home),
            "BILLING_TIME_ZONE": settings.time_zone,
            "BILLING_PERIOD": str(settings.period),
            "BILLING_FIRST_PERIOD": settings.first_period.isoformat(),
        }


def _guard(way: str, table: str) -> str:
    return f"ALTER TABLE {table} {way} TRIGGER what_is_written_stays"


def _doc(row: Any) -> Doc:
    lines = tuple(
        (price, dimensions, None if quantity is None else Decimal(quantity), Decimal(amount).scaleb(-2))
        for price, dimensions, quantity, amount, _ in row.all_lines
    )
    return Doc(
        customer=row.customer_id,
        kind=row.kind,
        issue_date=row.issue_date.isoformat(),
        status=row.status,
        version=row.version,
        total=row.total_minor.scaleb(-2),
        lines=lines,
        number=row.number,
        cutoff=row.cutoff,
        reason=row.reason,
        replaceable=row.replaceable,
        covers=row.covers,
        kinds=tuple(kind for *_, kind in row.all_lines),
    )


@contextmanager
def open_sandbox(
    server: Server | Ledger,
    folder: Path,
    *catalog: str,
    now: str = "2026-01-01",
    buckets: int = 2,
    time_zone: str = "UTC",
    cadence: str = "month",
    first_period: date = date(2024, 1, 1),
) -> Iterator[Sandbox]:
    """A new ledger whose clock stands at ``now``, with ``catalog`` applied; dropped afterwards, where it was made here.

    Args:
        server: makes a ledger; or one that was made before, and is empty.
        folder: for its lake.
        catalog: contents of files.
        now: the clock.
        buckets: of customers.
        time_zone: of its calendar.
        cadence: of its calendar.
        first_period: of its calendar.
    """
    with nullcontext(server) if isinstance(server, Ledger) else new_ledger(server) as ledger:
        home = folder / uuid4().hex
        home.mkdir()
        settings = Settings.model_validate(
            {
                "home": home,
                "database_url": ledger.url,
                "database_owner_url": ledger.owner_url,
                "buckets": buckets,
                "time_zone": time_zone,
                "period": cadence,
                "first_period": first_period,
            }
        )
        facts = clock.LedgerFacts(calendar(time_zone, cadence, first_period), buckets, sandbox=True)
        with migrate.as_owner(ledger) as connection:
            clock.initialize(connection, facts, instant(now))
        sandbox = Sandbox(Billing(settings, ledger, "tester"), home)
        if catalog:
            sandbox.apply(*catalog)
        yield sandbox


@contextmanager
def new_ledger(server: Server) -> Iterator[Ledger]:
    """A migrated database of a test's own, not initialized; dropped afterwards."""
    owner_url, name = server.owner_url(), f"sandbox_{uuid4().hex}"
    administer(owner_url, f"CREATE DATABASE {name} TEMPLATE {_template(owner_url)} STRATEGY FILE_COPY")
    ledger = Ledger(_database(server.app_url(), name), owner_url=_database(owner_url, name))
    try:
        yield ledger
    finally:
        ledger.close()
        administer(owner_url, f"DROP DATABASE {name} WITH (FORCE)")  # also where a killed process is still in it


@cache
def _template(owner_url: str) -> str:
    """A database to copy: migrating takes longer than most tests. Made by whichever process of the session is first."""
    name = f"sandbox_template_{session()}"
    administrator = _administrator(owner_url)
    administrator.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])
    try:
        if administrator.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            administer(owner_url, f"CREATE DATABASE {name}_half")
            migrate.upgrade(Ledger(_database(owner_url, f"{name}_half")))
            administer(owner_url, f"ALTER DATABASE {name}_half RENAME TO {name}")
    finally:
        administrator.execute("SELECT pg_advisory_unlock(hashtext(%s))", [name])
    return name


def administer(url: str, statement: str) -> None:
    """What is done to databases from outside of them."""
    _administrator(url).execute(statement.encode())


@cache
def _administrator(url: str) -> Connection[TupleRow]:
    """Kept open until this process ends: connecting costs as much as a small database."""
    connection = psycopg.connect(url, autocommit=True)
    atexit.register(connection.close)
    return connection


def _database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def lines_of(doc: Doc) -> Sequence[tuple[str, str, str]]:
    """(price, quantity, amount) of each line, as text."""
    return [
        (price, "" if quantity is None else f"{quantity.normalize():f}", f"{amount:.2f}")
        for price, _, quantity, amount in doc.lines
    ]


MONTH = (
    SOURCE
    + """
account: {name: Example, currency: USD, grace: 3 days}
meters:
  - {id: api, aggregation: sum, unit: calls, dimensions: [region]}
  - {id: gb, aggregation: max, unit: GB}
products:
  - {id: late, invoicing_delay: 5 days}
plans:
  - id: basic
    prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: "0.10"}}]
  - id: dear
    prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: "0.20"}}]
  - id: mixed
    prices:
      - {id: api, meter: api, price: {model: per_unit, unit_amount: "0.10"}}
      - {id: gb, meter: gb, product: late, price: {model: per_unit, unit_amount: "1"}}
customers: [{id: acme, payment: {gateway: file}}, {id: beta}]
subscriptions:
  - {id: acme, customer: acme, plan: basic, start: 2026-01-01}
  - {id: beta, customer: beta, plan: mixed, start: 2026-01-01}
"""
)
