"""On-demand windows in the ledger: which are due, which were processed, and what each left its phases at.

Due are the windows in which something arrived for a customer on demand; who processes one holds the bucket's row.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from billing_pipeline.invoicing.discounts import discount_named
from billing_pipeline.ledger.database import copy_rows, fetch
from billing_pipeline.ledger.tables import on_demand_quantity, on_demand_window

PriceKey = tuple[str, datetime, str]  # subscription, start of the phase, price
Combination = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """The state of one combination of dimension values at a window's end.

    Attributes:
        phase_end: usage before it was counted; None: the phase had no end.
        quantity: cumulative, in the meter's unit.
        due: the exact amount of all of it.
        invoiced: minor units of the rounded lines so far.
        memory: what the price model goes on with.
    """

    key: PriceKey
    dimensions: Combination
    phase_end: datetime | None
    quantity: Decimal
    due: Decimal
    invoiced: int
    memory: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Processed:
    """A customer's windows so far.

    Attributes:
        batch: the last one that the last window knew.
        day_batch: likewise, of the last window that ended a UTC day.
        change: the catalog change by which the last window was rated.
    """

    batch: int
    day_batch: int
    change: int


@dataclass(frozen=True, slots=True)
class DueWindow:
    """A window in which something arrived for a customer, and which was not processed yet."""

    code: int
    customer: str
    window_end: datetime


@dataclass(frozen=True, slots=True)
class NewWindow:
    """A window as it was processed, to be written with what it leaves its phases at."""

    code: int
    window_end: datetime
    batch: int
    change: int
    document: UUID | None
    kept: Sequence[Kept]


def sells(connection: Connection) -> bool:
    """Whether any plan was ever sold on demand: nothing else is asked where none was."""
    query = text("SELECT true FROM catalog_entry WHERE kind = 'plan' AND content->>'billing' = 'on_demand' LIMIT 1")
    return bool(connection.scalar(query))


def anything(connection: Connection, full_hour: datetime, now: datetime) -> bool:
    """Whether a window is over, or something came before the full hour whose windows are not known yet."""
    query = text("""
        SELECT EXISTS (SELECT FROM on_demand_due WHERE window_end <= :now)
            OR coalesce((SELECT max(number) FROM batch WHERE received_at < :full_hour), 0)
                > coalesce((SELECT min(through_batch) FROM on_demand_progress), 0)
            OR coalesce((SELECT max(number) FROM catalog_change WHERE recorded_at < :full_hour), 0)
                > coalesce((SELECT min(through_change) FROM on_demand_progress), 0)
    """)
    return bool(connection.scalar(query, {"now": now, "full_hour": full_hour}))


def take_progress(connection: Connection, buckets: Collection[int]) -> tuple[int, int]:
    """Hold these buckets; returns the last batch and catalog change that due windows are known through."""
    insert = """
        INSERT INTO on_demand_progress (bucket, through_batch, through_change)
        SELECT bucket, 0, 0 FROM unnest(CAST(:buckets AS int[])) AS a (bucket) ORDER BY bucket ON CONFLICT DO NOTHING
    """
    connection.execute(text(insert), {"buckets": sorted(buckets)})
    query = "SELECT * FROM on_demand_progress WHERE bucket = ANY(:buckets) ORDER BY bucket FOR UPDATE"
    rows = fetch(connection, query, buckets=buckets)
    return min(row.through_batch for row in rows), min(row.through_change for row in rows)


def advance(connection: Connection, buckets: Collection[int], batch: int, change: int) -> None:
    """Note through which batch and change the due windows of these buckets are known."""
    query = (
        "UPDATE on_demand_progress SET through_batch = :batch, through_change = :change WHERE bucket = ANY(:buckets)"
    )
    connection.execute(text(query), {"batch": batch, "change": change, "buckets": list(buckets)})


_ON_DEMAND = """
    SELECT DISTINCT e.customer FROM catalog_entry AS e CROSS JOIN jsonb_array_elements(e.content->'phases') AS p
    WHERE e.kind = 'subscription' AND p->>'plan' IN (
        SELECT id FROM catalog_entry WHERE kind = 'plan' AND content->>'billing' = 'on_demand'
    )
"""
# Codes of the customers in a file (f); where an earlier version kept none, of all who may have events in it.
_CUSTOMERS = """
    CROSS JOIN LATERAL unnest(coalesce(f.customers, ARRAY(
        SELECT code FROM customer AS c WHERE f.bucket IS NULL OR c.bucket = f.bucket
    ))) AS u (code)
    JOIN customer AS c ON c.code = u.code AND c.bucket = ANY(:buckets)
"""


def arrived(
    connection: Connection, buckets: Collection[int], after: int, through: int
) -> list[tuple[int, str, datetime]]:
    """Customers on demand with usage in batches of ``(after, through]``, or whose usage these replace, and when."""
    query = f"""
        WITH new AS (
            SELECT number, number AS of, received_at FROM batch WHERE number > :after AND number <= :through
            UNION ALL
            SELECT b.number, earlier.batch, b.received_at FROM batch AS b
            JOIN snapshot_delivery AS later ON later.batch = b.number
            JOIN snapshot_delivery AS earlier ON earlier.scope = later.scope AND earlier.batch < later.batch
            WHERE b.number > :after AND b.number <= :through
            UNION ALL
            SELECT b.number, earlier.number, b.received_at FROM batch AS b
            JOIN batch AS earlier ON b.replaces IN (earlier.number, earlier.replay_of)
            WHERE b.number > :after AND b.number <= :through
        )
        SELECT DISTINCT c.code, c.id, n.received_at FROM new AS n JOIN lake_file AS f ON f.batch = n.of {_CUSTOMERS}
        WHERE c.id IN ({_ON_DEMAND})
    """  # noqa: S608 - our own words
    rows = fetch(connection, query, buckets=buckets, after=after, through=through)
    return [(row.code, row.id, row.received_at) for row in rows]


def changed(
    connection: Connection, buckets: Collection[int], after: int, through: int
) -> list[tuple[int, str, datetime]]:
    """Customers on demand whose subscriptions were changed in ``(after, through]``, and when, if they had usage."""
    query = f"""
        WITH changed AS (
            SELECT c.code, c.id, n.recorded_at FROM catalog_entry AS e JOIN catalog_change AS n ON n.number = e.change
            JOIN customer AS c ON c.id = e.customer
            WHERE e.change > :after AND e.change <= :through AND e.kind = 'subscription'
              AND c.bucket = ANY(:buckets) AND c.id IN ({_ON_DEMAND})
        )
        SELECT DISTINCT n.* FROM changed AS n
        JOIN (
            SELECT c.code, min(f.batch) AS first FROM lake_file AS f {_CUSTOMERS} GROUP BY c.code
        ) AS used USING (code)
        JOIN batch AS b ON b.number = used.first AND b.received_at < n.recorded_at
    """  # noqa: S608 - our own words
    rows = fetch(connection, query, buckets=buckets, after=after, through=through)
    return [(row.code, row.id, row.recorded_at) for row in rows]


def note_due(connection: Connection, windows: Iterable[tuple[int, datetime]]) -> None:
    """Note windows (customer's code, end) that are to be processed once they are over."""
    rows = sorted(set(windows))
    query = """
        INSERT INTO on_demand_due (customer, window_end, bucket)
        SELECT a.code, a.ended, c.bucket FROM unnest(CAST(:codes AS int[]), CAST(:ends AS timestamptz[]))
            AS a (code, ended) JOIN customer AS c ON c.code = a.code
        ON CONFLICT DO NOTHING
    """
    connection.execute(text(query), {"codes": [code for code, _ in rows], "ends": [end for _, end in rows]})


def due(connection: Connection, buckets: Collection[int], now: datetime) -> list[DueWindow]:
    """The windows of these buckets that are over and not processed, oldest first."""
    query = """
        SELECT d.customer, c.id, d.window_end FROM on_demand_due AS d JOIN customer AS c ON c.code = d.customer
        WHERE d.bucket = ANY(:buckets) AND d.window_end <= :now ORDER BY d.window_end, c.id
    """
    rows = fetch(connection, query, buckets=buckets, now=now)
    return [DueWindow(row.customer, row.id, row.window_end) for row in rows]


def note_waiting(connection: Connection, window_end: datetime, reasons: Mapping[int, str]) -> None:
    """Note why these customers (codes) wait with a window."""
    query = """
        UPDATE on_demand_due AS d SET waits_for = a.reason
        FROM unnest(CAST(:codes AS int[]), CAST(:reasons AS text[])) AS a (code, reason)
        WHERE d.customer = a.code AND d.window_end = :ended
    """
    codes = {"codes": list(reasons), "reasons": list(reasons.values())}
    connection.execute(text(query), codes | {"ended": window_end})


def processed(connection: Connection, codes: Collection[int]) -> dict[int, Processed]:
    """How far the windows of these customers are processed; those without any are left out."""
    query = """
        SELECT a.code, w.batch, coalesce(d.batch, 0) AS day_batch, w.change
        FROM unnest(CAST(:codes AS int[])) AS a (code)
        CROSS JOIN LATERAL (
            SELECT batch, change FROM on_demand_window WHERE customer = a.code ORDER BY window_end DESC LIMIT 1
        ) AS w
        LEFT JOIN LATERAL (
            SELECT batch FROM on_demand_window
            WHERE customer = a.code AND extract(epoch FROM window_end)::bigint % 86400 = 0
            ORDER BY window_end DESC LIMIT 1
        ) AS d ON true
    """
    rows = fetch(connection, query, codes=codes)
    return {row.code: Processed(row.batch, row.day_batch, row.change) for row in rows}


def last_window(connection: Connection, customer: str) -> datetime | None:
    """The end of a customer's last processed window."""
    query = """
        SELECT max(window_end) FROM on_demand_window AS w JOIN customer AS c ON c.code = w.customer WHERE c.id = :id
    """
    end: datetime | None = connection.scalar(text(query), {"id": customer})
    return end


# The newest state of each key, of which a customer has few, however many windows there were: by the primary key's index
# from one key to the next.
_KEPT = """
    WITH RECURSIVE key AS (
        SELECT f.* FROM unnest(CAST(:codes AS int[])) AS a (code) CROSS JOIN LATERAL (
            SELECT customer, subscription, phase_start, price, dimensions FROM on_demand_quantity
            WHERE customer = a.code ORDER BY subscription, phase_start, price, dimensions LIMIT 1
        ) AS f
        UNION ALL
        SELECT n.* FROM key AS k CROSS JOIN LATERAL (
            SELECT customer, subscription, phase_start, price, dimensions FROM on_demand_quantity
            WHERE customer = k.customer AND (subscription, phase_start, price, dimensions)
                > (k.subscription, k.phase_start, k.price, k.dimensions)
            ORDER BY subscription, phase_start, price, dimensions LIMIT 1
        ) AS n
    )
    SELECT q.* FROM key AS k CROSS JOIN LATERAL (
        SELECT * FROM on_demand_quantity
        WHERE (customer, subscription, phase_start, price, dimensions)
            = (k.customer, k.subscription, k.phase_start, k.price, k.dimensions)
        ORDER BY window_end DESC LIMIT 1
    ) AS q
"""


def kept(connection: Connection, codes: Collection[int]) -> dict[int, list[Kept]]:
    """What the last windows left these customers' phases at, by customer."""
    by_customer: dict[int, list[Kept]] = {code: [] for code in codes}
    for row in fetch(connection, _KEPT, codes=codes):
        by_customer[row.customer].append(_kept(row))
    return by_customer


def _kept(row: Any) -> Kept:
    return Kept(
        (row.subscription, row.phase_start, row.price),
        tuple(sorted(row.dimensions.items())),
        row.phase_end,
        row.quantity,
        row.due,
        int(row.invoiced_minor),
        row.memory,
    )


@dataclass(frozen=True, slots=True)
class Came:
    """What a window left a price and combination of values at, and what it found.

    Attributes:
        before: the quantity that it found; 0 where there was none.
        invoiced_before: minor units of the rounded lines of the windows before.
    """

    kept: Kept
    before: Decimal
    invoiced_before: int


def of_document(connection: Connection, document: UUID) -> list[Came]:
    """What the window of a document, or of the one that was issued before it, did to each price."""
    query = """
        SELECT q.*, coalesce(b.quantity, 0) AS before, coalesce(b.invoiced_minor, 0) AS invoiced_before
        FROM document AS d JOIN on_demand_quantity AS q ON q.customer = d.customer AND q.window_end = d.window_end
        LEFT JOIN LATERAL (
            SELECT quantity, invoiced_minor FROM on_demand_quantity AS b
            WHERE (b.customer, b.subscription, b.phase_start, b.price, b.dimensions)
                = (q.customer, q.subscription, q.phase_start, q.price, q.dimensions)
            AND b.window_end < q.window_end ORDER BY b.window_end DESC LIMIT 1
        ) AS b ON true
        WHERE d.id = :document
    """
    rows = fetch(connection, query, document=document)
    return [Came(_kept(row), row.before, int(row.invoiced_before)) for row in rows]


def corrected(connection: Connection, codes: Collection[int]) -> dict[tuple[int, PriceKey, Combination], int]:
    """By how many minor units credit notes that correct changed what windows billed, by customer, price and values."""
    query = """
        SELECT d.customer, l.subscription, l.phase_start, l.price, l.dimensions, sum(l.amount_minor) AS amount
        FROM document AS d JOIN credit_note AS n ON n.credits = d.id AND n.correction
        JOIN document_line AS l ON l.document = n.document AND l.adjusts = 'usage'
        WHERE d.customer = ANY(:codes) AND d.kind = 'on_demand' AND l.phase_start IS NOT NULL AND l.price IS NOT NULL
        GROUP BY d.customer, l.subscription, l.phase_start, l.price, l.dimensions
    """
    return {
        (row.customer, (row.subscription, row.phase_start, row.price), tuple(sorted(row.dimensions.items()))): int(
            row.amount
        )
        for row in fetch(connection, query, codes=codes)
    }


def discounts_used(connection: Connection, codes: Collection[int], period: date) -> dict[int, dict[str, int]]:
    """Minor units that discount lines of a period's on-demand documents took, by customer code and discount."""
    query = """
        SELECT d.customer, l.description, -sum(l.amount_minor) AS taken FROM final_document AS d
        JOIN document_line AS l ON l.document = d.id AND l.version = d.version AND l.kind = 'discount'
        LEFT JOIN document_void AS v ON v.document = d.id
        WHERE d.customer = ANY(:codes) AND d.period = :period AND d.kind = 'on_demand' AND v.replaced_by IS NULL
        GROUP BY d.customer, l.description
    """
    used: dict[int, dict[str, int]] = {code: defaultdict(int) for code in codes}
    for row in fetch(connection, query, codes=codes, period=period):
        used[row.customer][discount_named(row.description)] += int(row.taken)
    return used


def record(connection: Connection, windows: Sequence[NewWindow], at: datetime, actor: str) -> None:
    """Write processed windows for good, with what they leave their phases at; they are due no more."""
    copy_rows(
        connection,
        on_demand_window,
        ("customer", "window_end", "batch", "change", "document", "recorded_at", "actor"),
        (
            (window.code, window.window_end, window.batch, window.change, window.document, at, actor)
            for window in windows
        ),
    )
    columns = (
        "customer", "window_end", "subscription", "phase_start", "price", "dimensions", "phase_end", "quantity", "due",
        "invoiced_minor", "memory",
    )  # fmt: skip
    copy_rows(
        connection,
        on_demand_quantity,
        columns,
        (
            (
                window.code, window.window_end, *kept.key, dict(kept.dimensions), kept.phase_end, kept.quantity,
                kept.due, kept.invoiced, dict(kept.memory),
            )
            for window in windows
            for kept in window.kept
        ),
    )  # fmt: skip
    gone = """
        DELETE FROM on_demand_due WHERE (customer, window_end) IN (
            SELECT * FROM unnest(CAST(:codes AS int[]), CAST(:ends AS timestamptz[]))
        )
    """
    ends = [window.window_end for window in windows]
    connection.execute(text(gone), {"codes": [window.code for window in windows], "ends": ends})


def waiting(connection: Connection) -> list[tuple[str, datetime, str | None]]:
    """All windows that are due, or will be when they are over: customer, end, and what they wait for."""
    query = """
        SELECT c.id, d.window_end, d.waits_for FROM on_demand_due AS d JOIN customer AS c ON c.code = d.customer
        ORDER BY d.window_end, c.id
    """
    return [(row.id, row.window_end, row.waits_for) for row in fetch(connection, query)]
