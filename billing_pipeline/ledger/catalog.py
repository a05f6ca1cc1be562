"""The catalog as facts: every version of every entry, with when and by whom it was recorded. Nothing is overwritten."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, text

from billing_pipeline.ledger.clock import LedgerFacts
from billing_pipeline.ledger.database import among, copy_rows, lock_key
from billing_pipeline.ledger.tables import catalog_change, catalog_entry, customer, meter

_LOCK = "catalog"


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One catalog object's content as recorded by one change.

    Attributes:
        kind: account, source, meter, product, plan, customer, subscription, …
        customer: id of the customer that it concerns; None where it may concern everyone.
        content: as ``catalog.to_content`` gives it.
    """

    kind: str
    id: str
    customer: str | None
    content: Mapping[str, object]


def record(
    connection: Connection,
    entries: Sequence[CatalogEntry],
    facts: LedgerFacts,
    *,
    at: datetime,
    actor: str,
    action: str,
) -> int:
    """Append a change; returns its number. Changes are numbered in the order in which they are committed."""
    lock_key(connection, _LOCK)
    number = newest_change(connection) + 1
    last = connection.scalar(select(func.max(catalog_change.c.recorded_at)))
    connection.execute(
        insert(catalog_change).values(
            number=number, recorded_at=max(at, last) if last else at, actor=actor, action=action
        )
    )
    columns = ("change", "kind", "id", "customer", "content")
    copy_rows(
        connection,
        catalog_entry,
        columns,
        ((number, entry.kind, entry.id, entry.customer, entry.content) for entry in entries),
    )
    _give_codes(connection, "customer", [entry.id for entry in entries if entry.kind == "customer"], facts)
    _give_codes(connection, "meter", [entry.id for entry in entries if entry.kind == "meter"], facts)
    return number


def _give_codes(connection: Connection, kind: str, ids: list[str], facts: LedgerFacts) -> None:
    """Codes (and a customer's bucket) are given once and never change; the catalog's lock keeps them dense."""
    table = customer if kind == "customer" else meter
    coded_already = set(connection.scalars(select(table.c.id).where(among(table.c.id, ids))))
    first = (connection.scalar(select(func.max(table.c.code))) or 0) + 1
    coded = list(enumerate((object_id for object_id in ids if object_id not in coded_already), start=first))
    if kind == "customer":
        copy_rows(
            connection,
            table,
            ("code", "id", "bucket"),
            ((code, object_id, facts.bucket_of(code)) for code, object_id in coded),
        )
    else:
        copy_rows(connection, table, ("code", "id"), coded)


def newest_change(connection: Connection) -> int:
    """Number of the last change; 0 for none."""
    return connection.scalar(select(func.max(catalog_change.c.number))) or 0


def change_before(connection: Connection, instant: datetime) -> int:
    """Number of the last change recorded before ``instant``; 0 for none."""
    query = select(func.max(catalog_change.c.number)).where(catalog_change.c.recorded_at < instant)
    return connection.scalar(query) or 0


def recorded_at(connection: Connection, after: int, through: int) -> list[tuple[int, datetime]]:
    """(number, instant) of the changes in ``(after, through]``, oldest first."""
    query = select(catalog_change.c.number, catalog_change.c.recorded_at)
    query = query.where(catalog_change.c.number > after, catalog_change.c.number <= through)
    return [(row.number, row.recorded_at) for row in connection.execute(query.order_by(catalog_change.c.number))]


# A subscription's phase pins its plan's version, and sources bill nothing: a new one of these concerns nobody.
_CONCERN_NOBODY = ("plan", "source")


def concerning(
    connection: Connection, after: int, through: int, customers: Collection[str] | None = None
) -> tuple[list[tuple[int, datetime]], dict[str, list[tuple[int, datetime]]]]:
    """Changes in ``(after, through]``, oldest first: those that may concern everyone, and those of each customer.

    Of all customers, or of some.
    """
    query = (
        select(catalog_change.c.number, catalog_change.c.recorded_at, catalog_entry.c.customer)
        .join(catalog_entry, catalog_entry.c.change == catalog_change.c.number)
        .where(catalog_change.c.number > after, catalog_change.c.number <= through)
        .where(catalog_entry.c.kind.not_in(_CONCERN_NOBODY))
        .distinct()
        .order_by(catalog_change.c.number)
    )
    if customers is not None:
        query = query.where(catalog_entry.c.customer.is_(None) | among(catalog_entry.c.customer, customers))
    everyone: list[tuple[int, datetime]] = []
    own: dict[str, list[tuple[int, datetime]]] = {}
    for row in connection.execute(query):
        changes = everyone if row.customer is None else own.setdefault(row.customer, [])
        changes.append((row.number, row.recorded_at))
    return everyone, own


def changes_of(connection: Connection, kind: str, after: int) -> list[tuple[int, datetime]]:
    """(number, instant) of the changes after one that changed objects of a kind, oldest first."""
    query = (
        select(catalog_change.c.number, catalog_change.c.recorded_at)
        .join(catalog_entry, catalog_entry.c.change == catalog_change.c.number)
        .where(catalog_change.c.number > after, catalog_entry.c.kind == kind)
        .distinct()
    )
    return [(row.number, row.recorded_at) for row in connection.execute(query.order_by(catalog_change.c.number))]


def entries(
    connection: Connection, through: int, *, bucket: int | None = None, customers: Collection[str] | None = None
) -> list[CatalogEntry]:
    """The entries in force through a change: the newest of each kind and id, but every version of a plan.

    Args:
        connection: of the ledger.
        through: number of the last change to include.
        bucket: only what may concern customers of this bucket.
        customers: only what may concern these customers.
    """
    query = """
        SELECT DISTINCT ON (kind, id, version) kind, id, customer, content FROM (
            SELECT *, CASE WHEN kind = 'plan' THEN content ->> 'version' END AS version FROM catalog_entry
            WHERE change <= :through {only}
        ) AS known ORDER BY kind, id, version, change DESC
    """
    only, values = "", {"through": through}
    if bucket is not None:
        only = "AND (customer IS NULL OR customer IN (SELECT c.id FROM customer AS c WHERE c.bucket = :bucket))"
        values["bucket"] = bucket
    if customers is not None:
        only += " AND (customer IS NULL OR customer = ANY(:customers))"
        values["customers"] = list(customers)  # type: ignore[assignment]
    rows = connection.execute(text(query.format(only=only)), values)
    return [CatalogEntry(row.kind, row.id, row.customer, row.content) for row in rows.all()]


def customer_codes(connection: Connection, bucket: int | None = None) -> dict[str, int]:
    """Code of each customer by id, of one bucket or of all."""
    query = select(customer.c.id, customer.c.code)
    if bucket is not None:
        query = query.where(customer.c.bucket == bucket)
    return {row.id: row.code for row in connection.execute(query)}


def codes_of(connection: Connection, customers: Collection[str]) -> dict[str, int]:
    """Code of each of these customers, by id; who is not recorded has none."""
    query = select(customer.c.id, customer.c.code).where(among(customer.c.id, customers))
    return {row.id: row.code for row in connection.execute(query)}


def meter_codes(connection: Connection) -> dict[str, int]:
    """Code of each meter by id."""
    return {row.id: row.code for row in connection.execute(select(meter.c.id, meter.c.code))}


def owner(connection: Connection, kind: str, object_id: str) -> str | None:
    """Id of the customer whose object it is, e.g. whose subscription; None where there is no such object."""
    query = select(catalog_entry.c.customer).where(catalog_entry.c.kind == kind, catalog_entry.c.id == object_id)
    return connection.scalar(query.limit(1))


def ids(connection: Connection, kind: str) -> list[str]:
    """Ids of all objects of a kind, in order."""
    query = select(catalog_entry.c.id).where(catalog_entry.c.kind == kind).distinct()
    return list(connection.scalars(query.order_by(catalog_entry.c.id)))


def wait_for_changes(connection: Connection) -> None:
    """Return when no change is being recorded; one that starts later is recorded at a later instant."""
    lock_key(connection, _LOCK)
