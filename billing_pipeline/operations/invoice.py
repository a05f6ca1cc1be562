"""Put rated lines on documents: drafts while the period runs, versions from its end on, nothing where nothing differs."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from uuid import UUID

from sqlalchemy import Connection

from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.document import Document, DocumentPlan, SegmentKey
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger import documents, manifest, periods
from billing_pipeline.ledger.documents import NewState, StoredDocument
from billing_pipeline.ledger.periods import CustomerState
from billing_pipeline.operations.compute import AsOf, Computed, compute, documents_of
from billing_pipeline.operations.context import Billing, code_version
from billing_pipeline.operations.rate import stored_line
from billing_pipeline.operations.report import StageReport, report
from billing_pipeline.operations.units import Progress, Unit, no_progress, run_units
from billing_pipeline.rating.rate import Rated

_ROWS_PER_CUSTOMER = 10


def invoice(billing: Billing, period: BillingPeriod, *, progress: Progress = no_progress) -> StageReport:
    """Write the documents of all customers that wait for it."""
    started = monotonic()
    with billing.ledger.begin() as connection:
        waiting = periods.waiting(connection, period.first_day, "invoice")
    counts: Counter[str] = Counter()
    for one in run_units(billing, invoice_unit, waiting * _ROWS_PER_CUSTOMER, period.key, progress=progress):
        counts.update(one)
    return report(billing, period, "invoice", counts, monotonic() - started)


def invoice_unit(billing: Billing, key: str, buckets: Unit) -> dict[str, int]:
    """One transaction: these buckets' waiting customers get their documents."""
    period = billing.calendar.period(key)
    now = billing.now()
    counts: Counter[str] = Counter(customers=0, documents=0, drafts=0, versions=0, unchanged=0)
    with billing.ledger.begin() as connection:
        reached: dict[AsOf, list[int]] = defaultdict(list)
        first_close, ended = [], _known_at_end(connection, period)
        for one in periods.lock_buckets(connection, period.first_day, buckets):
            reached[AsOf(one.through_batch, one.through_change)].append(one.bucket)
            if not one.closed and one.through_batch >= ended.batch and one.through_change >= ended.change:
                first_close.append(one.bucket)
        for as_of, same in reached.items():
            waiting = periods.customers(connection, period.first_day, same, pending="invoice")
            if waiting:
                counts.update(_invoice(billing, connection, period, waiting, as_of, same, now))
        if now >= period.end and first_close:
            counts["versions"] += documents.promote_drafts(connection, period.first_day, first_close)
            periods.note_closed(connection, period.first_day, first_close)
    return dict(counts)


def _invoice(
    billing: Billing,
    connection: Connection,
    period: BillingPeriod,
    waiting: Mapping[str, CustomerState],
    as_of: AsOf,
    buckets: Collection[int],
    now: datetime,
) -> Mapping[str, int]:
    first = period.first_day
    codes = {one: state.code for one, state in waiting.items()}
    bucket = next(iter(buckets)) if len(buckets) == 1 else None
    view = billing.view(connection, as_of.change, bucket=bucket)
    billed = documents.finalized_covers(connection, first, codes.values())
    computed = _documents(billing, connection, period, view, waiting, billed)
    present = documents.current(connection, first, codes.values())
    if now < period.end:
        result = _write_drafts(connection, waiting, computed, present, as_of, now)
    else:
        early = _as_of_end(billing, connection, period, waiting, present, billed, buckets)
        result = write_versions(
            connection, waiting, [early, Snapshot(as_of, computed)], present, now, code_version(), drafts=True
        )
    periods.advance_customers(connection, first, codes.values(), None)
    return {"customers": len(waiting), **result}


def _documents(
    billing: Billing,
    connection: Connection,
    period: BillingPeriod,
    view: CatalogView,
    waiting: Mapping[str, CustomerState],
    billed: Mapping[int, Collection[SegmentKey]],
) -> dict[str, Computed]:
    """Documents from the stored lines."""
    stored = periods.lines(connection, period.first_day, [state.code for state in waiting.values()])
    known = view.catalog.customers if view.catalog else {}
    computed = {}
    for customer, state in waiting.items():
        if customer not in known:
            computed[customer] = Computed((), ())
            continue
        terms = view.terms(customer)
        rated = Rated(tuple(stored_line(row, terms.customer.currency) for row in stored[state.code]))
        made = documents_of(billing, period, terms, rated, billed.get(state.code, ()))
        computed[customer] = Computed(made, ())
    return computed


def _known_at_end(connection: Connection, period: BillingPeriod) -> AsOf:
    return AsOf(manifest.batch_before(connection, period.end), ledger_catalog.change_before(connection, period.end))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Some customers' documents as of one moment."""

    as_of: AsOf
    computed: Mapping[str, Computed]


def _as_of_end(
    billing: Billing,
    connection: Connection,
    period: BillingPeriod,
    waiting: Mapping[str, CustomerState],
    present: Mapping[UUID, StoredDocument],
    billed: Mapping[int, Collection[SegmentKey]],
    buckets: Collection[int],
) -> Snapshot:
    """What stood at the period's end, for customers without a version for whom something arrived after it.

    Version 1 is what was known at the period's end, whenever the first run after it comes: so the versions do not
    depend on when runs happen.
    """
    as_of = _known_at_end(connection, period)
    versioned = {one.customer for one in present.values() if not one.replaceable}
    later = {
        one: state.code
        for one, state in waiting.items()
        if one not in versioned
        and (any(batch > as_of.batch for batch in state.batches) or any(n > as_of.change for n in state.changes))
    }
    if not later:
        return Snapshot(as_of, {})
    return Snapshot(as_of, compute(billing, connection, period, later, as_of, billed, buckets=buckets))


def _write_drafts(
    connection: Connection,
    waiting: Mapping[str, CustomerState],
    computed: Mapping[str, Computed],
    present: Mapping[UUID, StoredDocument],
    as_of: AsOf,
    now: datetime,
) -> dict[str, int]:
    """While the period runs a draft is simply replaced, where it differs."""
    states, unchanged, wanted = [], 0, set()
    for customer, found in computed.items():
        for one in found.documents:
            wanted.add(one.id)
            before = present.get(one.id)
            if before and before.content == one.content:
                unchanged += 1
            else:
                states.append(_new_state(one, waiting[customer], 1, as_of, {"first": before is None}))
    gone = [one.id for one in present.values() if one.id not in wanted and one.status == "draft"]
    documents.remove_drafts(connection, gone)
    documents.replace_drafts(connection, states, now, code_version())
    return {"documents": len(wanted), "drafts": len(states), "unchanged": unchanged}


def write_versions(
    connection: Connection,
    waiting: Mapping[str, CustomerState],
    snapshots: Collection[Snapshot],
    present: Mapping[UUID, StoredDocument],
    now: datetime,
    code: str,
    *,
    drafts: bool = False,
) -> dict[str, int]:
    """From the period's end on: a version for each different result, oldest snapshot first.

    Args:
        connection: of the ledger, holding the buckets' lock.
        waiting: the customers.
        snapshots: what to write, in order; a later one only where it differs.
        present: the documents as they stand.
        now: the ledger's clock.
        code: the code version.
        drafts: drafts of the open period that are no longer called for are removed.
    """
    standing = {one.id: (one.version, one.content) for one in present.values() if not one.replaceable}
    states: list[NewState] = []
    unchanged, wanted = 0, set[UUID]()
    for snapshot in snapshots:
        for customer, found in snapshot.computed.items():
            wanted_now = {one.id for one in found.documents}
            wanted |= wanted_now
            for one in [*found.documents, *_withdrawn(customer, present, wanted_now)]:
                version, content = standing.get(one.id, (0, ""))
                if content == one.content:
                    unchanged += 1
                    continue
                reason = _reason(waiting[customer], present.get(one.id), snapshot.as_of, first=version == 0)
                states.append(_new_state(one, waiting[customer], version + 1, snapshot.as_of, reason))
                standing[one.id] = (version + 1, one.content)
    if drafts:
        documents.remove_drafts(
            connection, [one.id for one in present.values() if one.replaceable and one.customer in waiting]
        )
    documents.add_versions(connection, states, now, code)
    return {"documents": len(wanted), "versions": len(states), "unchanged": unchanged}


def _withdrawn(
    customer: str, present: Mapping[UUID, StoredDocument], wanted: Collection[UUID]
) -> list[Document]:
    """Documents with a version that nothing calls for any more: their next version is empty."""
    return [
        Document(DocumentPlan(one.identity, one.currency, one.lock_at, frozenset()), ())
        for one in present.values()
        if one.customer == customer and one.status == "draft" and not one.replaceable and one.id not in wanted
    ]


def _reason(
    state: CustomerState, before: StoredDocument | None, as_of: AsOf, *, first: bool
) -> dict[str, object]:
    """What differs from the version before: batches, catalog changes, or only the code."""
    if first:
        return {"first": True}
    since = AsOf(before.as_of_batch, before.as_of_change) if before else AsOf(0, 0)
    batches = [batch for batch in state.batches if since.batch < batch <= as_of.batch]
    changes = [number for number in state.changes if since.change < number <= as_of.change]
    return {"batches": batches, "changes": changes, "code": not batches and not changes}


def _new_state(
    computed: Document, state: CustomerState, version: int, as_of: AsOf, reason: Mapping[str, object]
) -> NewState:
    return NewState(computed, state.code, state.bucket, version, as_of.batch, as_of.change, reason)
