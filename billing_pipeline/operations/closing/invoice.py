"""Put rated lines on documents: drafts while the period runs, versions from its end on, nothing where all is equal."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from time import monotonic

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.complete import NOTHING
from billing_pipeline.invoicing.document import Billed, DocumentKind
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import finalization
from billing_pipeline.ledger.documents import states as document_states
from billing_pipeline.ledger.periods import periods, results
from billing_pipeline.ledger.periods.periods import CustomerState
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.closing.cutoffs import Cutoffs
from billing_pipeline.operations.closing.recompute import Computed, compute, on_documents
from billing_pipeline.operations.closing.unsettled import besides
from billing_pipeline.operations.closing.versions import (
    Snapshot,
    Writing,
    adding,
    new_state,
    snapshots_at_cutoffs,
    write_versions,
)
from billing_pipeline.operations.context import Billing, code_version
from billing_pipeline.operations.parallel import run_units
from billing_pipeline.operations.stage_report import StageReport, note_stage
from billing_pipeline.operations.unit import AsOf, Unit, Work, codes_of
from billing_pipeline.rating.line import Rated

_ROWS_PER_CUSTOMER = 10


def invoice(billing: Billing, period: BillingPeriod) -> StageReport:
    """Write the documents of all customers that wait for it."""
    started = monotonic()
    with billing.ledger.begin() as connection:
        waiting = periods.waiting(connection, period.first_day, "invoice")
    counts: Counter[str] = Counter()
    progress = billing.watch(f"invoice {period.key}")
    for one in run_units(billing, invoice_unit, waiting * _ROWS_PER_CUSTOMER, period.key, progress=progress):
        counts.update(one)
    return note_stage(billing, period, "invoice", counts, monotonic() - started)


def invoice_unit(billing: Billing, key: str, buckets: Unit) -> dict[str, int]:
    """One transaction: these buckets' waiting customers get their documents."""
    period = billing.calendar.period(key)
    counts: Counter[str] = Counter(customers=0, documents=0, drafts=0, versions=0, unchanged=0)
    with billing.ledger.begin() as connection:
        progress = periods.lock_buckets(connection, period.first_day, buckets)
        now = billing.now(connection)  # only now: the period may have ended while others had the buckets
        ended = _known_at_end(connection, period)
        reached: dict[AsOf, list[int]] = defaultdict(list)
        for one in progress:
            reached[AsOf(one.through_batch, one.through_change)].append(one.bucket)
        for as_of, same in reached.items():
            work = Work(billing, connection, period, tuple(same))
            # Until all that was known at the period's end is metered, what there is is no version yet.
            over = now >= period.end and as_of.batch >= ended.batch and as_of.change >= ended.change
            waiting = periods.customers(connection, period.first_day, same, pending="invoice")
            if waiting:
                counts.update(_write_versions(work, waiting, as_of, now) if over else _draft(work, waiting, as_of, now))
                periods.advance_customers(connection, period.first_day, codes_of(waiting).values(), None)
            first_close = [one.bucket for one in progress if over and one.bucket in same and not one.closed]
            if first_close and not periods.customers(connection, period.first_day, first_close, pending="rate"):
                counts["versions"] += document_states.promote_drafts(connection, period.first_day, first_close)
                periods.note_closed(connection, period.first_day, first_close)
    return dict(counts)


def _draft(work: Work, waiting: Mapping[str, CustomerState], as_of: AsOf, now: datetime) -> Mapping[str, int]:
    """While the period runs: drafts, each in the place of the one before."""
    codes = codes_of(waiting)
    computed = _documents(work, as_of, waiting, finalization.billed(work.connection, work.first_day, codes.values()))
    writing = Writing(work, waiting, document_states.current(work.connection, work.first_day, codes.values()), now)
    result = _write_drafts(writing, Snapshot(as_of, computed))
    periods.forget_causes(work.connection, work.first_day, codes.values())
    return {"customers": len(waiting), **result}


def _write_versions(work: Work, waiting: Mapping[str, CustomerState], as_of: AsOf, now: datetime) -> Mapping[str, int]:
    """From the period's end on: what was known at its end; of what is cut off, at its cutoff; of the others, now.

    The lock finds the cutoffs once more, when nothing can be recorded before them: it looks at what is not forgotten.
    """
    connection, codes = work.connection, codes_of(waiting)
    present = document_states.current(connection, work.first_day, codes.values())
    billed = finalization.billed(connection, work.first_day, codes.values())
    writing = Writing(work, waiting, present, now)
    early = _as_of_end(writing, billed)
    versioned = {one.customer for one in present.values() if not one.replaceable}
    # For all others what is known now is what was known at the period's end.
    differing = {one: code for one, code in codes.items() if one in versioned or one in early.computed}
    cuts = Cutoffs(work, now).of(differing, billed)
    computed = _documents(work, as_of, waiting, adding(billed, cuts, codes))
    writing = replace(writing, cut=frozenset(one.plan.identity.id for one in cuts))
    at_cutoffs = snapshots_at_cutoffs(work, cuts, codes, billed)
    result = write_versions(writing, [early, *at_cutoffs, Snapshot(as_of, computed)])
    document_states.remove_drafts(connection, [one.id for one in present.values() if one.replaceable])
    left = {one.plan.identity.customer for one in cuts}
    periods.forget_causes(connection, work.first_day, [code for one, code in codes.items() if one not in left])
    return {"customers": len(waiting), **result}


def _documents(
    work: Work, as_of: AsOf, waiting: Mapping[str, CustomerState], billed: Mapping[int, Billed]
) -> dict[str, Computed]:
    """Documents from the stored lines."""
    view = work.view(as_of.change, waiting)
    known = work.known_customers(view)
    currencies = {state.code: view.terms(one).customer.currency for one, state in waiting.items() if one in known}
    stored = results.lines(work.connection, work.first_day, currencies)
    beside = besides(work, view, codes_of(waiting), as_of)
    computed = {}
    for customer, state in waiting.items():
        if customer not in known:
            computed[customer] = Computed((), ())
            continue
        terms = view.terms(customer)
        rated = Rated(tuple(stored[state.code]))
        computed[customer] = on_documents(work, terms, rated, billed[state.code], beside.get(customer, NOTHING))
    return computed


def _known_at_end(connection: Connection, period: BillingPeriod) -> AsOf:
    return AsOf(manifest.batch_before(connection, period.end), ledger_catalog.change_before(connection, period.end))


def _as_of_end(writing: Writing, billed: Mapping[int, Billed]) -> Snapshot:
    """What stood at the period's end, for customers without a version for whom something arrived after it.

    Version 1 is what was known at the period's end, whenever the first run after it comes: so the versions do not
    depend on when runs happen.
    """
    work = writing.work
    as_of = _known_at_end(work.connection, work.period)
    kinds = {DocumentKind.OPENING, DocumentKind.CREDIT_NOTE}  # they are final while their period still runs
    versioned = {one.customer for one in writing.present.values() if not one.replaceable and one.kind not in kinds}
    later = {
        one: state.code
        for one, state in writing.customers.items()
        if one not in versioned
        and (any(batch > as_of.batch for batch in state.batches) or any(n > as_of.change for n in state.changes))
    }
    return Snapshot(as_of, compute(work, later, as_of, billed, at=work.period.end) if later else {})


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
                states.append(new_state(writing, customer, one, 1, snapshot.as_of, {"first": before is None}))
    gone = [one.id for one in writing.present.values() if one.id not in wanted and one.status == "draft"]
    connection = writing.work.connection
    document_states.remove_drafts(connection, gone)
    document_states.replace_drafts(connection, states, writing.now, code_version())
    return {"documents": len(wanted), "drafts": len(states), "unchanged": unchanged}
