"""A ledger with sources, meters and customers to land usage in, and what landing left in it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from sqlalchemy import text

from billing_pipeline.operations.changes.apply_catalog import apply
from billing_pipeline.operations.context import Billing
from billing_pipeline_tests.payments.outbox_ledger import sandbox
from billing_pipeline_tests.servers import Server

CATALOG = """
account: {name: Example Cloud, currency: USD}
sources:
  - {id: logs, format: csv, event: &plain {customer: customer, meter: meter, timestamp: timestamp, value: value,
      dimensions: [region], event_id: id, revision: version, retract: retracted}}
  - {id: bare, format: csv}
  - {id: local, format: csv, time_zone: Europe/Berlin}
  - {id: lines, format: jsonl}
  - {id: parquet, format: parquet}
  - {id: focus, format: focus, event: {customer: SubAccountId, meter: {value: gb}, timestamp: ChargePeriodStart,
      value: ConsumedQuantity}}
  - {id: events, format: cloudevents}
  - {id: costs, format: csv, mode: snapshot, scope: [account, month],
     event: {customer: account, meter: {value: gb}, timestamp: timestamp, value: value, dimensions: [sku]}}
meters:
  - {id: gb, aggregation: sum, dimensions: [region]}
  - {id: requests, aggregation: count}
  - {id: unique, aggregation: sum, deduplicate_by: event_id}
customers:
  - {id: acme, name: Acme, currency: USD}
  - {id: beta, name: Beta, currency: USD}
"""


@contextmanager
def landing_ledger(server: Server, home: Path) -> Iterator[Billing]:
    """A sandbox whose clock stands at 2026-02-01 09:30 UTC, with CATALOG applied."""
    with sandbox(server, home) as billing:
        add_catalog(billing, home, CATALOG)
        yield billing


def add_catalog(billing: Billing, folder: Path, content: str) -> None:
    """Apply some more catalog."""
    path = folder / "catalog.yaml"
    path.write_text(content)
    apply(billing, [path])


def rows_of(billing: Billing, query: str, **values: object) -> list[tuple[Any, ...]]:
    """What a query finds in the ledger."""
    with billing.ledger.begin() as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]


def lake_files(billing: Billing) -> set[str]:
    """Usage files on disk, named by the manifest or not."""
    root = Path(billing.settings.lake)
    return {str(path.relative_to(root)) for path in root.rglob("*.parquet")}


def events(billing: Billing, *columns: str, batch: int | None = None) -> list[tuple[Any, ...]]:
    """The accepted rows of the lake (of one batch), in the order of batch and row."""
    found: list[tuple[Any, ...]] = []
    query = "SELECT path, batch FROM lake_file ORDER BY batch, path"
    names = dict(rows_of(billing, "SELECT code, id FROM customer"))
    for path, number in rows_of(billing, query):
        if batch not in {None, number}:
            continue
        table = pq.read_table(f"{billing.settings.lake}/{path}")
        for row in table.to_pylist():
            row["customer"] = names[row["customer"]]
            found.append((number, row["row"], *(row.get(column) for column in columns)))
    return [one[2:] for one in sorted(found, key=lambda one: (one[0], one[1]))]


def quarantined(billing: Billing, *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of the quarantined rows."""
    names = ", ".join(f'"{column}"' for column in columns)
    return rows_of(billing, f"SELECT {names} FROM quarantine ORDER BY batch, row")


def write(path: Path, lines: Sequence[str], encoding: str = "utf-8") -> Path:
    """A text file of these lines."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding=encoding)
    return path


def reconciles(billing: Billing) -> bool:
    """Every input row is in the lake or in quarantine, and none in both."""
    ((landed,),) = rows_of(billing, "SELECT coalesce(sum(rows), 0) FROM batch WHERE replay_of IS NULL")
    ((accepted,),) = rows_of(billing, "SELECT coalesce(sum(rows), 0) FROM lake_file")
    ((waiting,),) = rows_of(
        billing,
        "SELECT count(*) FROM quarantine WHERE NOT EXISTS (SELECT FROM quarantine_replay WHERE quarantine_id = id)",
    )
    in_lake = sum(pq.read_metadata(f"{billing.settings.lake}/{path}").num_rows for path in lake_files(billing))
    return bool(landed == accepted + waiting and accepted == in_lake)
