"""Lock documents that are due: compute as of the cutoff, finalize, number and queue for payment, in one transaction.

Run twice, raced or killed, it does each document once: the buckets' rows are locked, the finalization row is unique,
and the numbers are taken last, in the same transaction. A customer's documents are locked in the order of their
cutoffs, whatever period they are of: each depends on what the ones before it billed.

Calls at 1.00 each, 19% tax, no grace. January's document, 10.00 and tax, was locked on 1 February. February's is held:

    27 February       a person holds February's document, which has 50.00 of usage
    1 March           its ``lock_at``: a run finds it held, and locks nothing
    3 March           2 more calls of January arrive: late for January's document, in time for February's
    4 March           the tax becomes 20%, recorded before February's cutoff
    5 March, 09:00    the hold is released: this instant is the cutoff. A run locks 50.00 of February's usage, 2.00 of
                      January's as an adjustment, and 10.40 of tax; it notes that January's late usage is billed
    6 March           1 more call of January and 4 of February arrive: March's document of 1 April carries both

Had the run come on 20 March, it would have locked the same: as of 5 March, 09:00, whatever arrived since.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from uuid import UUID

from billing_pipeline.core.errors import Refused
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.cutoff import Cut
from billing_pipeline.invoicing.document import MAY_ADJUST, Billed, DocumentStatus
from billing_pipeline.invoicing.document_plans import document_plans
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.documents import final_documents, finalization, holds, late_usage, revisits
from billing_pipeline.ledger.documents import states as document_states
from billing_pipeline.ledger.documents.states import StoredDocument
from billing_pipeline.ledger.periods import periods, runs
from billing_pipeline.ledger.periods.periods import CustomerState, Stage
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.closing import lake_files
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.closing.cutoffs import Cutoffs, in_turn
from billing_pipeline.operations.closing.meter import touched
from billing_pipeline.operations.closing.standings import standings
from billing_pipeline.operations.closing.unsettled import Unwritten, may_be_unsettled, places, sharing
from billing_pipeline.operations.closing.versions import (
    CutOffSoFar,
    DocumentsAsOf,
    DocumentWriter,
    billed_with,
    by_moment,
    count_final,
    documents_at_cutoffs,
    newest_batches,
)
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.locking.finalize import finalize
from billing_pipeline.operations.parallel import run_units
from billing_pipeline.operations.stage_report import StageReport, note_stages
from billing_pipeline.operations.unit import AsOf, Unit, Work, codes_of, terms_of
from billing_pipeline.usage.expectations import UNRATED

_ROWS_PER_DOCUMENT = 10


def lock(billing: Billing, period: BillingPeriod) -> StageReport:
    """Lock the period's documents whose cutoff has come, once all is up to date; nothing before its time.

    Documents of other periods that were cut off before, and are of the same customers, are locked first.
    """
    started = monotonic()
    now = billing.now()
    wait_for_writers(billing)
    for other in _needed(billing, period):
        close(billing, other)
    close(billing, period)
    counts: Counter[str] = Counter(finalized=0, issued=0, queued=0, held=0)
    with billing.ledger.begin() as connection:
        due = finalization.due(connection, period.first_day, now)
        others = finalization.due_periods(connection, period.first_day, billing.buckets, now)
    if due:
        _examine(billing, [period, *(billing.calendar.period(day.isoformat()) for day in sorted(others))])
        progress = billing.watch(f"lock {period.key}")
        for counted in run_units(billing, lock_unit, due * _ROWS_PER_DOCUMENT, period.key, now, progress=progress):
            counts.update(counted)
    return note_stages(billing, period, {Stage.LOCK: (counts, monotonic() - started)})[0]


def _examine(billing: Billing, periods_due: Sequence[BillingPeriod]) -> None:
    """Look at what the documents were computed from; who was held for a file that is restored is measured again."""
    for period in periods_due:
        if lake_files.examine(billing, period):
            close(billing, period)


def _needed(billing: Billing, period: BillingPeriod) -> list[BillingPeriod]:
    """The other periods that must be up to date: late usage of what is final, and documents that lock before."""
    catalog = billing.catalog()
    fees = catalog is not None and any(plan.fees for plan in catalog.plans.values())
    return [
        standing.period
        for standing in standings(billing)
        if standing.dirty
        and standing.period != period
        and (fees or standing.progress.documents.get(DocumentStatus.FINALIZED))
    ]


def wait_for_writers(billing: Billing) -> None:
    """Wait for landings and catalog changes under way: whatever comes after this is recorded at or after now."""
    with billing.ledger.begin() as connection:
        ledger_catalog.wait_for_changes(connection)
        manifest.wait_for_landings(connection)


@dataclass(slots=True)
class _Locking:
    """One period in a unit's transaction: its buckets are locked, and this is how they stand.

    Attributes:
        now: the ledger's clock when the run began: nothing is recorded before it any more.
        reached: the first and the last batch that one of the buckets is computed through.
        states: the customers that the period knows.
        billed: what is final already, by customer code; what this transaction finalizes is added.
    """

    work: Work
    now: datetime
    reached: tuple[int, int]
    states: Mapping[str, CustomerState]
    billed: Mapping[int, Billed]

    @classmethod
    def of(cls, work: Work, now: datetime) -> "_Locking":
        """Take the buckets, and read how they stand."""
        progress = periods.lock_buckets(work.connection, work.first_day, work.buckets)
        through = [bucket.through_batch for bucket in progress]
        states = periods.customers(work.connection, work.first_day, work.buckets)
        billed = finalization.billed(work.connection, work.first_day, codes_of(states).values())
        return cls(work, now, (min(through), max(through)), states, billed)

    def documents(self) -> dict[UUID, StoredDocument]:
        """The customers' documents as they stand."""
        return document_states.current(self.work.connection, self.work.first_day, codes_of(self.states).values())

    def codes(self, cuts: Collection[Cut]) -> dict[str, int]:
        """The customers of these documents, id → code, in the order of their ids."""
        return {customer: self.states[customer].code for customer in sorted({cut.customer for cut in cuts})}

    def cuts(self, only: Collection[str] | None = None) -> list[Cut]:
        """The documents whose cutoff has come, of all customers or of some."""
        cutoffs = Cutoffs(self.work, self.now)
        due = {
            document.customer: document.code
            for document in self.documents().values()
            if document.status == DocumentStatus.DRAFT
            and cutoffs.may_have_come(document)
            and (only is None or document.customer in only)
        }
        return cutoffs.of(due, self.billed)


def lock_unit(billing: Billing, key: str, now: datetime, buckets: Unit) -> dict[str, int]:
    """Finalize the documents that are due in these buckets, in one transaction."""
    period = billing.calendar.period(key)
    counts: Counter[str] = Counter(finalized=0, issued=0, queued=0, held=0)
    with billing.ledger.begin() as connection:
        days = {*finalization.due_periods(connection, period.first_day, buckets, now), period.first_day}
        lockings = {
            day: _Locking.of(Work(billing, connection, billing.calendar.period(day.isoformat()), buckets), now)
            for day in sorted(days)  # always in this order: two runs cannot wait for each other
        }
        own = lockings.pop(period.first_day)
        own_cuts = own.cuts()
        customers = {cut.customer for cut in own_cuts}
        # Who has nothing due here has their documents of other periods locked with those periods.
        cuts = [*own_cuts, *(cut for locking in lockings.values() for cut in locking.cuts(only=customers))]
        lockings[period.first_day] = own
        if cuts:
            _refuse_unmetered(own, cuts)
        waiting, turns = CutOffSoFar(list), list(in_turn(cuts))
        for place, (day, same) in enumerate(turns):
            counted, held = _lock(lockings[day], same, waiting)
            counts.update(counted)
            if held:
                more = {cut.customer for _, later in turns[place + 1 :] for cut in later}
                _wait(lockings[day], [cut for cut in held if cut.customer in more], waiting)
        standing = own.documents()
        counts.update(finalize(own.work, standing, withdrawn=_withdrawn(own, standing, own_cuts), now=now))
    return counts


def _wait(locking: _Locking, cuts: Sequence[Cut], waiting: CutOffSoFar) -> None:
    """Let documents whose turn has come, but which something holds by now, count as final for those after them.

    The opening of 2 March is cut off then, and held from the 10th on; a run of the 12th locks February's closing, cut
    off on the 6th. What the opening carries is settled, and what came up between the two the closing carries: as it
    would have, had a run come on the 2nd.
    """
    codes = locking.codes(cuts)
    moments = documents_at_cutoffs(locking.work, cuts, codes, locking.billed, Unwritten(waiting))
    count_final(waiting, moments, cuts, codes)
    locking.billed = billed_with(locking.billed, cuts, codes)
    _note_late(locking, cuts)


def _refuse_unmetered(locking: _Locking, cuts: Sequence[Cut]) -> None:
    """Usage received before a cutoff, of whatever period, must be metered: it may be on the document."""
    work = locking.work
    batch = manifest.batch_before(work.connection, max(cut.cutoff for cut in cuts))
    unmetered = late_usage.unmetered(work.connection, work.buckets, batch)
    if unmetered:
        raise Refused(
            f"Late usage of {', '.join(day.isoformat() for day in unmetered)} arrived while this ran.",
            hint="Run the same again: it is metered first.",
        )


def _lock(locking: _Locking, cuts: Sequence[Cut], waiting: CutOffSoFar) -> tuple[Counter[str], list[Cut]]:
    """Finalize documents of one period and cutoff, but those of customers who are held: these are returned."""
    work, codes, in_all = locking.work, locking.codes(cuts), len(cuts)
    unread = holds.open_holds(work.connection, work.first_day, lake_files.CAUSE).keys()
    cuts = [cut for cut in cuts if codes[cut.customer] not in unread]
    if not cuts:
        return Counter(held=in_all), []
    concerned = _concerned(locking, cuts).union({code for code, _ in waiting} & {*codes.values()})
    unrated = _bring_to_cutoff(locking, cuts, concerned, waiting)
    held = holds.open_holds(work.connection, work.first_day).keys() | unrated
    late = holds.late_since(work.connection, work.first_day, codes.values())
    unchecked = _unchecked(locking, cuts)
    ready = [
        cut
        for cut in cuts
        if (code := codes[cut.customer]) not in held
        and not (code in late and late[code] < cut.cutoff)
        and cut.document not in unchecked
    ]
    counts = finalize(work, locking.documents(), ready, now=locking.now)
    counts["held"] = in_all - len(ready)
    locking.billed = billed_with(locking.billed, ready, codes)
    _note_late(locking, ready)
    _pass_on(locking, ready, concerned, waiting)
    # What has no rate is held since its cutoff, which thereby comes later: it has not come yet.
    done = {cut.document for cut in ready}
    return counts, [cut for cut in cuts if cut.document not in done and codes[cut.customer] not in unrated]


def _unchecked(locking: _Locking, cuts: Sequence[Cut]) -> set[UUID]:
    """Documents with usage, or late usage, received before the cutoff that no check of its period has looked at.

    A check saw 100 calls; a file with 50 more lands behind it, and the time comes. The lock waits for the next check,
    whoever asks for it and whatever ran before: what is final was checked whole. No cutoff moves.
    """
    work, codes = locking.work, locking.codes(cuts)
    late = late_usage.unsettled_periods(work.connection, codes.values())
    waiting = set[UUID]()
    for as_of, same in by_moment(work, cuts).items():
        asked = {
            cut.document: {*late.get(codes[cut.customer], ()), *([work.first_day] if cut.plan.has_usage else ())}
            for cut in same
        }
        behind = runs.unchecked(work.connection, set().union(*asked.values()), as_of.batch)
        waiting |= {document for document, days in asked.items() if days & behind}
    return waiting


def _concerned(locking: _Locking, cuts: Sequence[Cut]) -> set[int]:
    """Codes of the customers whose documents depend on final ones: late usage, changed fees, customer credit.

    Also those of whom something became final since their documents were computed.
    """
    concerned = set[int]()
    for as_of, same in by_moment(locking.work, cuts).items():
        codes = locking.codes(same)
        concerned |= may_be_unsettled(locking.work, codes, as_of)
        concerned |= revisits.asked(locking.work.connection, locking.work.first_day, codes.values())
    return concerned


def _note_late(locking: _Locking, cuts: Sequence[Cut]) -> None:
    """Keep which usage that is metered already was received at or after a cutoff.

    What is metered only later is noted then: metering finds that the document is final.
    """
    work, newest = locking.work, locking.reached[1]
    for as_of, same in by_moment(work, cuts).items():
        if as_of.batch < newest:
            codes = set(locking.codes([cut for cut in same if cut.plan.has_usage]).values())
            late = touched(work, as_of.batch, newest)
            pairs = [(code, batch) for batch, customers in late.items() for code in customers & codes]
            late_usage.note_late(work.connection, work.first_day, pairs)


def _pass_on(locking: _Locking, cuts: Sequence[Cut], concerned: Collection[int], waiting: CutOffSoFar) -> None:
    """Note which late usage these documents carry, and have the customers' other documents computed again."""
    work, codes = locking.work, locking.codes(cuts)
    late = late_usage.with_late_usage(work.connection, codes.values())
    if late:
        others, cut_off = final_documents.others(work.connection, late, None), places(waiting)
        carriers: dict[int, tuple[UUID, int]] = {}
        for cut in sorted(cuts, key=lambda cut: cut.plan.order):
            code = codes[cut.customer]
            orders = (document.order for document in others.get(code, ()) if (code, document.order[1:]) not in cut_off)
            before = min(orders, default=None)
            # A document of its own for late usage carries it only where no other will.
            first = before is None or (cut.plan.identity.kind in MAY_ADJUST and cut.plan.order < before)
            if code in late and code not in carriers and first:
                carriers[code] = (cut.document, manifest.batch_before(work.connection, cut.cutoff))
        late_usage.mark_carried(work.connection, carriers, newest_batches(waiting))
    # Drafts of other periods named these adjustments and this credit so far: they are computed again without them.
    again = {*concerned, *may_be_unsettled(work, codes, AsOf.newest(work.connection)), *sharing(work, codes)}
    visits = revisits.to_visit(work.connection, again, work.billing.calendar, locking.now)
    revisits.ask_again(work.connection, visits)


def _bring_to_cutoff(
    locking: _Locking, cuts: Sequence[Cut], concerned: Collection[int], waiting: CutOffSoFar
) -> set[int]:
    """Make each document's newest version the one as of its cutoff.

    Most stand so already. Others were computed through later batches or changes, or not since the last ones.
    Returns the codes of customers with a quantity that has no rate: they are held.
    """
    work, present = locking.work, locking.documents()
    stale = {customer for customer, code in locking.codes(cuts).items() if code in concerned}
    for as_of, same in by_moment(work, cuts).items():
        stale |= _stale(locking, present, same, as_of)
    again = [cut for cut in cuts if cut.customer in stale]
    moments = documents_at_cutoffs(work, again, locking.codes(again), locking.billed, Unwritten(waiting))
    states = {customer: locking.states[customer] for customer in sorted(stale)}
    DocumentWriter(work, states, present, locking.now).write_versions(moments)
    return _hold_unrated(locking, cuts, stale, moments)


def _hold_unrated(
    locking: _Locking, cuts: Sequence[Cut], stale: Collection[str], moments: Sequence[DocumentsAsOf]
) -> set[int]:
    """Hold whom a quantity without a rate held at the cutoff, whoever found it when: what mends it comes before.

    Found by a run of 10 February at a cutoff of the 4th: held since the 4th. What mends it on the 12th is in time.
    """
    work, codes = locking.work, locking.codes(cuts)
    problems = {
        customer: "; ".join(computed.problems)
        for moment in moments
        for customer, computed in moment.documents.items()
        if computed.problems
    }
    # Of the others what stands is as of the cutoff, and so are their holds.
    open_holds = holds.open_holds(work.connection, work.first_day, UNRATED)
    standing = {code: hold.reason for code, hold in open_holds.items()}
    reasons: dict[int, tuple[str, datetime]] = {}
    waived = holds.waived(work.connection, work.first_day, UNRATED) if problems else set()
    for cut in cuts:
        code = codes[cut.customer]
        reason = problems.get(cut.customer) if cut.customer in stale else standing.get(code)
        if reason and (code, reason) not in waived:
            reasons.setdefault(code, (reason, cut.cutoff))
    if reasons:
        holds.hold_since(
            work.connection, work.first_day, reasons, cause=UNRATED, at=locking.now, actor=work.billing.actor
        )
    return set(reasons)


def _stale(locking: _Locking, present: Mapping[UUID, StoredDocument], cuts: Sequence[Cut], as_of: AsOf) -> set[str]:
    """The customers whose stored documents may differ from those as of the cutoff."""
    # From the cutoff's batch to what the buckets are computed through, whichever is further: who has usage in between
    # has documents that say too much, or not enough.
    low, high = min(as_of.batch, *locking.reached), max(as_of.batch, *locking.reached)
    late = set[int]().union(*touched(locking.work, low, high).values())
    stale = set()
    for cut in cuts:
        stored, state = present.get(cut.document), locking.states[cut.customer]
        if (
            stored is None
            or stored.replaceable
            or (stored.covers, stored.lock_at) != (cut.plan.covers, cut.plan.lock_at)
            or state.pending is not None
            or state.batches
            or state.changes
            or state.code in late
            or state.terms != cut.terms
        ):
            stale.add(cut.customer)
    return stale


def _withdrawn(locking: _Locking, standing: Mapping[UUID, StoredDocument], cuts: Sequence[Cut]) -> list[StoredDocument]:
    """Documents that nothing calls for any more: empty, and finalized without a number when their time comes."""
    cut = {document.document for document in cuts}
    empty = [
        document
        for document in standing.values()
        if document.status == DocumentStatus.DRAFT
        and not document.covers
        and not document.lines
        and document.lock_at <= locking.now
        and document.id not in cut
    ]
    if not empty:
        return []
    work = locking.work
    customers = sorted({document.customer for document in empty})
    view = work.view(ledger_catalog.newest_change(work.connection), customers)
    calendar, called_for = work.billing.calendar, set[UUID]()
    for terms in terms_of(view, customers).values():  # a closing document that is held is empty, too, and stays
        plans = document_plans(terms, work.period, calendar, segments(terms, work.period))
        called_for |= {plan.identity.id for plan in plans}
    return [document for document in empty if document.id not in called_for]
