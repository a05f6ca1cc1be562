"""Put rated lines on documents: drafts while the period runs, versions from its end on, nothing where all is equal."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from uuid import UUID

from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.document import Document, DocumentPlan, SegmentKey
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger import documents, manifest, periods
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import NewState, StoredDocument
from billing_pipeline.ledger.periods import CustomerState
from billing_pipeline.operations.compute import Computed, compute, documents_of
from billing_pipeline.operations.context import Billing, code_version
from billing_pipeline.operations.rate import stored_line
from billing_pipeline.operations.report import StageReport, report
from billing_pipeline.operations.units import Progress, no_progress, run_units
from billing_pipeline.operations.work import AsOf, Unit, Work, codes_of

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
        progress = periods.lock_buckets(connection, period.first_day, buckets)
        ended = _known_at_end(connection, period)
        reached: dict[AsOf, list[int]] = defaultdict(list)
        for one in progress:
            reached[AsOf(one.through_batch, one.through_change)].append(one.bucket)
        for as_of, same in reached.items():
            waiting = periods.customers(connection, period.first_day, same, pending="invoice")
            if waiting:
                counts.update(_invoice(Work(billing, connection, period, tuple(same)), waiting, as_of, now))
        first_close = [
            one.bucket
            for one in progress
            if not one.closed and one.through_batch >= ended.batch and one.through_change >= ended.change
        ]
        if now >= period.end and first_close:
            counts["versions"] += documents.promote_drafts(connection, period.first_day, first_close)
            periods.note_closed(connection, period.first_day, first_close)
    return dict(counts)


def _invoice(work: Work, waiting: Mapping[str, CustomerState], as_of: AsOf, now: datetime) -> Mapping[str, int]:
    codes = codes_of(waiting)
    billed = documents.finalized_covers(work.connection, work.first_day, codes.values())
    computed = _documents(work, work.view(as_of.change), waiting, billed)
    present = documents.current(work.connection, work.first_day, codes.values())
    writing = Writing(work, waiting, present, now)
    if now < work.period.end:
        result = _write_drafts(writing, Snapshot(as_of, computed))
    else:
        early = _as_of_end(writing, billed)
        result = write_versions(writing, [early, Snapshot(as_of, computed)])
        documents.remove_drafts(work.connection, [one.id for one in present.values() if one.replaceable])
    periods.advance_customers(work.connection, work.first_day, codes.values(), None)
    return {"customers": len(waiting), **result}


def _documents(
    work: Work,
    view: CatalogView,
    waiting: Mapping[str, CustomerState],
    billed: Mapping[int, Collection[SegmentKey]],
) -> dict[str, Computed]:
    """Documents from the stored lines."""
    stored = periods.lines(work.connection, work.first_day, codes_of(waiting).values())
    known = work.known_customers(view)
    computed = {}
    for customer, state in waiting.items():
        if customer not in known:
            computed[customer] = Computed((), ())
            continue
        terms = view.terms(customer)
        lines = [stored_line(row, terms.customer.currency) for row in stored[state.code]]
        computed[customer] = Computed(documents_of(work, terms, lines, billed.get(state.code, ())), ())
    return computed


def _known_at_end(connection: Connection, period: BillingPeriod) -> AsOf:
    return AsOf(manifest.batch_before(connection, period.end), ledger_catalog.change_before(connection, period.end))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Some customers' documents as of one moment."""

    as_of: AsOf
    computed: Mapping[str, Computed]


@dataclass(frozen=True, slots=True)
class Writing:
    """What is needed to write some customers' documents.

    Attributes:
        work: holds the buckets' lock.
        customers: their states.
        present: their documents as they stand.
        now: the ledger's clock.
    """

    work: Work
    customers: Mapping[str, CustomerState]
    present: Mapping[UUID, StoredDocument]
    now: datetime


def _as_of_end(writing: Writing, billed: Mapping[int, Collection[SegmentKey]]) -> Snapshot:
    """What stood at the period's end, for customers without a version for whom something arrived after it.

    Version 1 is what was known at the period's end, whenever the first run after it comes: so the versions do not
    depend on when runs happen.
    """
    work = writing.work
    as_of = _known_at_end(work.connection, work.period)
    versioned = {one.customer for one in writing.present.values() if not one.replaceable}
    later = {
        one: state.code
        for one, state in writing.customers.items()
        if one not in versioned
        and (any(batch > as_of.batch for batch in state.batches) or any(n > as_of.change for n in state.changes))
    }
    return Snapshot(as_of, compute(work, later, as_of, billed) if later else {})


def _write_drafts(writing: Writing, snapshot: Snapshot) -> dict[str, int]:
    """While the period runs a draft is simply replaced, where it differs."""
    states, unchanged, wanted = [], 0, set()
    for customer, found in snapshot.computed.items():
        for one in found.documents:
            wanted.add(one.id)
            before = writing.present.get(one.id)
            if before and before.content == one.content:
                unchanged += 1
            else:
                states.append(_new_state(writing, customer, one, 1, snapshot.as_of, {"first": before is None}))
    gone = [one.id for one in writing.present.values() if one.id not in wanted and one.status == "draft"]
    connection = writing.work.connection
    documents.remove_drafts(connection, gone)
    documents.replace_drafts(connection, states, writing.now, code_version())
    return {"documents": len(wanted), "drafts": len(states), "unchanged": unchanged}


def write_versions(writing: Writing, snapshots: Collection[Snapshot]) -> dict[str, int]:
    """From the period's end on: a version for each different result, oldest snapshot first."""
    standing = {one.id: (one.version, one.content) for one in writing.present.values() if not one.replaceable}
    states: list[NewState] = []
    unchanged, wanted = 0, set[UUID]()
    for snapshot in snapshots:
        for customer, found in snapshot.computed.items():
            wanted_now = {one.id for one in found.documents}
            wanted |= wanted_now
            for one in [*found.documents, *_withdrawn(writing, customer, wanted_now)]:
                version, content = standing.get(one.id, (0, ""))
                if content == one.content:
                    unchanged += 1
                    continue
                reason = _reason(writing, customer, one.id, snapshot.as_of) if version else {"first": True}
                states.append(_new_state(writing, customer, one, version + 1, snapshot.as_of, reason))
                standing[one.id] = (version + 1, one.content)
    documents.add_versions(writing.work.connection, states, writing.now, code_version())
    return {"documents": len(wanted), "versions": len(states), "unchanged": unchanged}


def _withdrawn(writing: Writing, customer: str, wanted: Collection[UUID]) -> list[Document]:
    """Documents with a version that nothing calls for any more: their next version is empty."""
    return [
        Document(DocumentPlan(one.identity, one.currency, one.lock_at, frozenset()), ())
        for one in writing.present.values()
        if one.customer == customer and one.status == "draft" and not one.replaceable and one.id not in wanted
    ]


def _reason(writing: Writing, customer: str, document: UUID, as_of: AsOf) -> dict[str, object]:
    """What differs from the version before: batches, catalog changes, or only the code."""
    state, before = writing.customers[customer], writing.present.get(document)
    since = AsOf(before.as_of_batch, before.as_of_change) if before and not before.replaceable else None
    since = since or _known_at_end(writing.work.connection, writing.work.period)
    batches = [batch for batch in state.batches if since.batch < batch <= as_of.batch]
    changes = [number for number in state.changes if since.change < number <= as_of.change]
    return {"batches": batches, "changes": changes, "code": not batches and not changes}


def _new_state(
    writing: Writing, customer: str, computed: Document, version: int, as_of: AsOf, reason: Mapping[str, object]
) -> NewState:
    state = writing.customers[customer]
    return NewState(computed, state.code, state.bucket, version, as_of.batch, as_of.change, reason)
