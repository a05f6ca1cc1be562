"""Land usage: a delivery becomes a batch, in one transaction; what cannot be billed as sent goes to quarantine.

Landing is harmless to repeat: the same content of one source is one batch, whoever lands it and how often.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from billing_pipeline.catalog import Catalog, Source
from billing_pipeline.core.errors import Refused, UsageError, nearest
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.usage import registry
from billing_pipeline.ledger.usage.batches import Accepted, Delivery
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.accept import Staged, accept, scope_code, staged
from billing_pipeline.operations.landing.delivery import OpenDelivery, open_delivery, working_folder
from billing_pipeline.usage.batch import LandingProgress, LandingResult
from billing_pipeline.usage.mapping import columns_of
from billing_pipeline.usage.scopes import scope_key
from billing_pipeline.usage.sources import USAGE_SOURCES


def land(
    billing: Billing,
    source: str,
    delivered: Any,
    *,
    again: bool = False,
    replaces: int | None = None,
    scope: Mapping[str, str] | None = None,
    received_at: datetime | None = None,
    progress: LandingProgress | None = None,
) -> LandingResult:
    """Land one delivery.

    Args:
        billing: where to.
        source: id of the source in the catalog.
        delivered: a path, an fsspec URL, a pandas frame or an Arrow table.
        again: accept content that has landed before, or a file's name: a restatement that is meant.
        replaces: the batch in whose place the delivery stands as a whole.
        scope: of a snapshot, what it restates, column → value; only an empty one must say so.
        received_at: for history that is imported in its order; else the ledger's now.
        progress: told rows, bytes read and bytes in all, now and then.

    Raises:
        UsageError: the delivery cannot be read as a whole; nothing of it was recorded.
        Refused: ``received_at`` is out of order, ``replaces`` names no batch that can be replaced, or each row of the
            file is an event of its own and a file of this name has landed with other content.
    """
    catalog, landing_source = source_of(billing, source)
    key = _checked_scope(landing_source, scope)
    if replaces is not None and landing_source.mode == "snapshot":
        raise Refused(
            f"Each delivery of the snapshot source {source!r} replaces the earlier ones of its scope.",
            hint="Land it without naming a batch to replace.",
        )
    with working_folder(billing) as folder:
        delivery = open_delivery(delivered, USAGE_SOURCES[landing_source.format], folder)
        earlier = None if again else _earlier(billing, source, delivery.content_hash)
        if earlier is not None:
            return _result(earlier, {})
        columns = columns_of(landing_source, has_header=delivery.is_frame)
        chunks = () if key and not delivery.size else delivery.chunks()
        with staged(billing, catalog, landing_source, columns, chunks, folder, progress, delivery.size) as staged_rows:
            delivery.refuse_changed()
            scopes = _scopes(billing, catalog, landing_source, staged_rows, key)
            complete = _delivery(billing, source, delivery, staged_rows, scopes)
            single = not delivery.is_frame and _has_single_rows(billing, catalog, staged_rows)
            complete = replace(complete, replaces=replaces, single=single)
            accepted = accept(billing, staged_rows.events, complete, again=again, received_at=received_at)
            return _result(accepted, {} if accepted.already else staged_rows.quarantined.reasons)


def source_of(billing: Billing, source: str) -> tuple[Catalog, Source]:
    """The newest catalog and one source in it. Raises UsageError for an unknown one."""
    catalog = billing.catalog()
    sources = catalog.sources if catalog else {}
    if catalog is None or source not in sources:
        raise UsageError(
            f"No source {source!r} in the catalog.",
            hint=f"{nearest(source, tuple(sources))} Add it to a catalog file and run: billing catalog apply",
        )
    return catalog, sources[source]


def _earlier(billing: Billing, source: str, content_hash: str) -> Accepted | None:
    """The batch that has this content already."""
    with billing.ledger.begin() as connection:
        batch = registry.find(connection, source, content_hash)
        if batch is None:
            return None
        return Accepted(batch, already=True, periods=registry.periods_of(connection, batch.number))


def _delivery(
    billing: Billing, source: str, delivery: OpenDelivery, staged_rows: Staged, scopes: Mapping[int, frozenset[date]]
) -> Delivery:
    return Delivery(
        source=source,
        content_hash=delivery.content_hash,
        name=delivery.name,
        rows=staged_rows.rows,
        bytes=delivery.size,
        actor=billing.actor,
        scopes=scopes,
        quarantined=staged_rows.quarantined,
        quarantined_rows=len(staged_rows.quarantined),
    )


def _checked_scope(source: Source, scope: Mapping[str, str] | None) -> str | None:
    """The key of the scope that was named. Raises UsageError where its columns are not the source's."""
    if scope is None:
        return None
    if source.mode != "snapshot" or {*scope} != {*source.scope}:
        expected = f"name {', '.join(source.scope)}" if source.mode == "snapshot" else "name none: it is no snapshot"
        raise UsageError(f"The scope names {', '.join(scope)}.", hint=f"For source {source.id!r}, {expected}.")
    return scope_key(dict(scope))


def _scopes(
    billing: Billing, catalog: Catalog, source: Source, staged_rows: Staged, key: str | None
) -> dict[int, frozenset[date]]:
    """What a snapshot restates → the periods it has rows in.

    A scope of which every row is quarantined is left as it was.

    Raises:
        UsageError: two rows have one event key, rows lie outside the scope named, or an empty delivery names none.
    """
    if source.mode != "snapshot":
        return {}
    _refuse_duplicates(billing, catalog, staged_rows)
    scopes = {code: frozenset(periods) for code, periods in staged_rows.events.scope_periods.items()}
    if key is not None:
        named = scope_code(billing, source.id, key)
        if scopes.keys() - {named}:
            raise UsageError(f"The delivery has rows outside the scope {key}.", hint="Land it without naming a scope.")
        scopes.setdefault(named, frozenset())
    elif not staged_rows.rows:
        raise UsageError(
            "An empty delivery of a snapshot says nothing about what it restates.",
            hint=f"If all usage was taken back, name its scope: {', '.join(source.scope)}.",
        )
    return scopes


def _has_single_rows(billing: Billing, catalog: Catalog, staged_rows: Staged) -> bool:
    """Whether rows are events of their own: landed twice, they count twice."""
    with billing.ledger.begin() as connection:
        codes = ledger_catalog.meter_codes(connection)
    single = {codes[meter.id] for meter in catalog.meters.values() if meter.deduplicate_by == "none"}
    return not single.isdisjoint(staged_rows.events.meters)


_OTHER_WAYS = ("event_id", "none")  # of telling events apart than by their identity


def _refuse_duplicates(billing: Billing, catalog: Catalog, staged_rows: Staged) -> None:
    """A snapshot states each usage once: of two rows with one event key, one would vanish without a trace."""
    with billing.ledger.begin() as connection:
        codes = ledger_catalog.meter_codes(connection)
    by = {way: [codes[one.id] for one in catalog.meters.values() if one.deduplicate_by == way] for way in _OTHER_WAYS}
    grains = {
        grain: [codes[one.id] for one in catalog.meters.values() if one.identity_grain == grain]
        for grain in ("hour", "day")
    }
    duplicate = staged_rows.events.duplicate(by["event_id"], by["none"], grains)
    if duplicate:
        raise UsageError(
            f"Rows {duplicate[0]} and {duplicate[1]} of the delivery are the same event: one customer, meter, "
            "timestamp and set of dimensions. Nothing was recorded.",
            hint="Map the column that tells them apart as a dimension, or mend the delivery.",
        )


def _result(accepted: Accepted, reasons: Mapping[str, int]) -> LandingResult:
    batch = accepted.batch
    return LandingResult(
        batch=batch.number,
        source=batch.source,
        name=batch.name,
        rows=batch.rows,
        accepted=batch.rows - batch.quarantined,
        quarantined=batch.quarantined,
        periods=accepted.periods,
        already=accepted.already,
        reasons=dict(reasons),
    )


def source_ids(billing: Billing) -> list[str]:
    """Ids of the sources in the newest catalog, in order; customers are not read."""
    with billing.ledger.begin() as connection:
        catalog = billing.view(connection, ledger_catalog.newest_change(connection), customers=()).catalog
    return sorted(catalog.sources) if catalog else []
