"""Documents of a period, written from rated lines: drafts while it runs, versions from its end on.

Where nothing differs nothing is written.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from billing_pipeline.invoicing.document import Billed, DocumentKind, DocumentStatus
from billing_pipeline.ledger.documents import finalization
from billing_pipeline.ledger.documents import states as document_states
from billing_pipeline.ledger.periods import periods, results
from billing_pipeline.ledger.periods.periods import CustomerState, Stage
from billing_pipeline.operations.closing.cutoffs import Cutoffs
from billing_pipeline.operations.closing.recompute import CustomerDocuments, put_on_documents, recompute
from billing_pipeline.operations.closing.unsettled import find_unsettled
from billing_pipeline.operations.closing.versions import (
    DocumentsAsOf,
    DocumentWriter,
    billed_with,
    documents_at_cutoffs,
)
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.unit import AsOf, Unit, Work, codes_of, terms_of
from billing_pipeline.rating.line import Rated


def invoice_unit(billing: Billing, key: str, buckets: Unit) -> dict[str, int]:
    """Write the documents of these buckets' waiting customers, in one transaction."""
    period = billing.calendar.period(key)
    counts: Counter[str] = Counter(customers=0, documents=0, drafts=0, versions=0, unchanged=0)
    with billing.ledger.begin() as connection:
        progress = periods.lock_buckets(connection, period.first_day, buckets)
        now = billing.now(connection)  # only now: the period may have ended while others had the buckets
        at_end = AsOf.before(connection, period.end)
        metered: dict[AsOf, list[int]] = defaultdict(list)
        for bucket in progress:
            metered[AsOf(bucket.through_batch, bucket.through_change)].append(bucket.bucket)
        for as_of, same in metered.items():
            work = Work(billing, connection, period, tuple(same))
            # Until all that was known at the period's end is metered, what there is is no version yet.
            over = now >= period.end and as_of.batch >= at_end.batch and as_of.change >= at_end.change
            waiting = periods.customers(connection, period.first_day, same, pending=Stage.INVOICE)
            if waiting:
                counts.update(_write_versions(work, waiting, as_of, now) if over else _draft(work, waiting, as_of, now))
                periods.advance_customers(connection, period.first_day, codes_of(waiting).values(), None)
            # The first run after the end keeps the other customers' drafts, which nobody waits for, as they stand.
            first_close = [bucket.bucket for bucket in progress if over and bucket.bucket in same and not bucket.closed]
            if first_close and not periods.customers(connection, period.first_day, first_close, pending=Stage.RATE):
                counts["versions"] += document_states.promote_drafts(connection, period.first_day, first_close)
                periods.note_closed(connection, period.first_day, first_close)
    return dict(counts)


def _draft(work: Work, waiting: Mapping[str, CustomerState], as_of: AsOf, now: datetime) -> Mapping[str, int]:
    """While the period runs: drafts, each in the place of the one before."""
    connection, codes = work.connection, codes_of(waiting)
    billed = finalization.billed(connection, work.first_day, codes.values())
    present = document_states.current(connection, work.first_day, codes.values())
    for document in present.values():  # what was cut off, and is held since, has a version, and is no draft any more
        if document.status == DocumentStatus.DRAFT and not document.replaceable:
            billed[document.code] = billed[document.code].adding(document.plan)
    # An opening that was cut off stands, and waits for its lock, though nothing may call for it any more.
    cuts = Cutoffs(work, now, waiting).of_superseded(codes, billed)
    at_cutoffs = documents_at_cutoffs(work, cuts, codes, billed)
    documents = _documents(work, as_of, waiting, billed_with(billed, cuts, codes))
    counts = DocumentWriter(work, waiting, present, now).write_drafts([*at_cutoffs, DocumentsAsOf(as_of, documents)])
    settled = codes.keys() - {cut.customer for cut in cuts}
    periods.forget_causes(connection, work.first_day, [codes[customer] for customer in settled])
    return {"customers": len(waiting), **counts}


def _write_versions(work: Work, waiting: Mapping[str, CustomerState], as_of: AsOf, now: datetime) -> Mapping[str, int]:
    """From the period's end on: what was known at its end; of what is cut off, at its cutoff; of the others, now.

    The lock finds the cutoffs once more, when nothing can be recorded before them: it looks at what is not forgotten.
    """
    connection, codes = work.connection, codes_of(waiting)
    present = document_states.current(connection, work.first_day, codes.values())
    billed = finalization.billed(connection, work.first_day, codes.values())
    writer = DocumentWriter(work, waiting, present, now)
    at_end = _at_period_end(writer, billed)
    versioned = {document.customer for document in present.values() if not document.replaceable}
    # For all others what is known now is what was known at the period's end, but for what was cut off before that.
    differing = {
        customer: code for customer, code in codes.items() if customer in versioned or customer in at_end.documents
    }
    cutoffs = Cutoffs(work, now)
    cuts = cutoffs.of(differing, billed)
    cuts += cutoffs.of_superseded({customer: codes[customer] for customer in codes.keys() - differing.keys()}, billed)
    # What is cut off counts as billed: what is known now says nothing about it, and no other document bills it.
    documents = _documents(work, as_of, waiting, billed_with(billed, cuts, codes))
    writer = replace(writer, cut=frozenset(cut.document for cut in cuts))
    at_cutoffs = documents_at_cutoffs(work, cuts, codes, billed)
    counts = writer.write_versions([at_end, *at_cutoffs, DocumentsAsOf(as_of, documents)])
    document_states.remove_drafts(connection, [document.id for document in present.values() if document.replaceable])
    settled = codes.keys() - {cut.customer for cut in cuts}
    periods.forget_causes(connection, work.first_day, [codes[customer] for customer in settled])
    return {"customers": len(waiting), **counts}


def _documents(
    work: Work, as_of: AsOf, waiting: Mapping[str, CustomerState], billed: Mapping[int, Billed]
) -> dict[str, CustomerDocuments]:
    """Documents of the waiting customers, put together from their stored lines."""
    view, codes = work.view(as_of.change, waiting), codes_of(waiting)
    terms = terms_of(view, waiting)
    currencies = {codes[customer]: terms[customer].customer.currency for customer in terms}
    lines = results.lines(work.connection, work.first_day, currencies)
    rated = {customer: Rated(tuple(lines[codes[customer]])) for customer in terms}
    unsettled = find_unsettled(work, view, codes, as_of)
    return put_on_documents(work, codes, terms, rated, billed=billed, unsettled=unsettled)


def _at_period_end(writer: DocumentWriter, billed: Mapping[int, Billed]) -> DocumentsAsOf:
    """What stood at the period's end, for customers without a version for whom something arrived after it.

    Version 1 is what was known at the period's end, whenever the first run after it comes: so the versions do not
    depend on when runs happen.
    """
    work = writer.work
    as_of = AsOf.before(work.connection, work.period.end)
    early = {DocumentKind.OPENING, DocumentKind.CREDIT_NOTE}  # they are final while their period still runs
    versioned = {
        document.customer
        for document in writer.present.values()
        if not document.replaceable and document.identity.kind not in early
    }
    later = {
        customer: state.code
        for customer, state in writer.customers.items()
        if customer not in versioned
        and (max(state.batches, default=0) > as_of.batch or max(state.changes, default=0) > as_of.change)
    }
    return DocumentsAsOf(as_of, recompute(work, later, as_of, billed, at=work.period.end) if later else {})
