"""Usage that lasts beyond its period: whose it is, in which files it lies, and what it makes dirty."""

from collections.abc import Collection, Mapping
from datetime import date, datetime

from sqlalchemy import ColumnElement, Connection, and_, cast, or_, select, text, true

from billing_pipeline.catalog.meter import LASTING_AGGREGATIONS
from billing_pipeline.ledger.tables import lake_file
from billing_pipeline.ledger.usage.manifest import read_files
from billing_pipeline.usage.event import LakeFile

# By the code of each meter whose events last: the first period to look at for them, or None for the first there is.
LookBack = Mapping[int, date | None]


def meters(connection: Connection, change: int) -> dict[int, Mapping[str, object]]:
    """Content of the meters whose events last, by code, as the catalog stood after a change."""
    query = text("""
        SELECT m.code, e.content FROM meter AS m CROSS JOIN LATERAL (
            SELECT content FROM catalog_entry WHERE kind = 'meter' AND id = m.id AND change <= :change
            ORDER BY change DESC LIMIT 1
        ) AS e WHERE e.content ->> 'aggregation' = ANY(:carrying)
    """)
    rows = connection.execute(query, {"carrying": sorted(LASTING_AGGREGATIONS), "change": change})
    return {row.code: row.content for row in rows}


def files(
    connection: Connection,
    before: date,
    look_back: LookBack,
    through: int,
    *,
    after: int = 0,
    buckets: Collection[int] | None = None,
    batches: Collection[int] | None = None,
) -> list[LakeFile]:
    """Files of earlier periods with events that may last into the one that starts on ``before``, oldest batch first.

    Args:
        connection: of the ledger.
        before: first day of the period.
        look_back: whose events, and since when.
        through: number of the last batch to include.
        after: number of the last batch to leave out.
        buckets: files that hold only other buckets are left out.
        batches: only these batches.
    """
    if not look_back:
        return []
    lasting = _lasting(before, look_back)
    return read_files(connection, lasting, through, after=after, buckets=buckets, batches=batches)


def touching(connection: Connection, before: date, look_back: LookBack, after: int, through: int) -> list[int]:
    """Batches in ``(after, through]`` with such events, or that take a snapshot's rows from an earlier period."""
    if not look_back or through <= after:
        return []
    query = select(lake_file.c.batch).where(
        lake_file.c.batch > after, lake_file.c.batch <= through, _lasting(before, look_back)
    )
    taking = text("""
        SELECT batch FROM batch_period WHERE period < :before AND batch > :after AND batch <= :through AND rows = 0
    """)
    taken = connection.scalars(taking, {"before": before, "after": after, "through": through})
    return sorted({*connection.scalars(query), *taken})


def newest_batches(connection: Connection, codes: Collection[int]) -> dict[date, int]:
    """By period, the newest batch with events of these meters in it, or that took a snapshot's rows from it."""
    if not codes:
        return {}
    query = text("""
        SELECT period, max(batch) AS batch FROM (
            SELECT period, batch FROM lake_file WHERE meters && CAST(:codes AS smallint[])
            UNION ALL SELECT period, batch FROM batch_period WHERE rows = 0
        ) AS lasting GROUP BY period
    """)
    return {row.period: row.batch for row in connection.execute(query, {"codes": sorted(codes)})}


def growing(connection: Connection, period: date, buckets: Collection[int], now: datetime) -> set[int]:
    """Codes of the customers of whom something counts only up to an instant that has passed."""
    query = text("""
        SELECT DISTINCT q.customer FROM metered_quantity AS q
        JOIN customer_period AS c ON c.period = q.period AND c.customer = q.customer
        WHERE q.period = :period AND q.counted_to < least(q.cut, :now) AND c.bucket = ANY(:buckets)
    """)
    return set(connection.scalars(query, {"period": period, "now": now, "buckets": list(buckets)}))


def _lasting(before: date, look_back: LookBack) -> ColumnElement[bool]:
    since: dict[date | None, list[int]] = {}
    for code, first_day in look_back.items():
        since.setdefault(first_day, []).append(code)
    meters = lake_file.c.meters
    since_each = [
        and_(
            meters.op("&&", is_comparison=True)(cast(codes, meters.type)),
            true() if first_day is None else lake_file.c.period >= first_day,
        )
        for first_day, codes in since.items()
    ]
    return and_(lake_file.c.period < before, or_(*since_each))
