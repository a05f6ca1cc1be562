"""Lock what is due: compute as of the cutoff, finalize, number and queue for payment, in one transaction a unit.

Run twice, raced or killed, it does each document once: the buckets' rows are locked, the finalization row is unique,
and the numbers are taken last, in the same transaction. A customer's documents are locked in the order of their
cutoffs, whatever period they are of: each depends on what the ones before it billed.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from time import monotonic
from uuid import UUID

from billing_pipeline.core.errors import Refused
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.document import CARRIERS, Billed, Order
from billing_pipeline.invoicing.lock import Cut
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.documents import final_documents, finalization, holds, late_usage, revisits
from billing_pipeline.ledger.documents import states as document_states
from billing_pipeline.ledger.documents.states import StoredDocument
from billing_pipeline.ledger.periods import periods
from billing_pipeline.ledger.periods.periods import CustomerState
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.closing.cutoffs import Cutoffs
from billing_pipeline.operations.closing.meter import touched
from billing_pipeline.operations.closing.standings import standings
from billing_pipeline.operations.closing.unsettled import unsettled
from billing_pipeline.operations.closing.versions import (
    Snapshot,
    Writing,
    by_moment,
    snapshots_at_cutoffs,
    write_versions,
)
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.locking.finalize import finalize
from billing_pipeline.operations.parallel import run_units
from billing_pipeline.operations.stage_report import StageReport, note_stage
from billing_pipeline.operations.unit import AsOf, Unit, Work, codes_of
from billing_pipeline.usage.expectations import UNRATED

_ROWS_PER_DOCUMENT = 10


def lock(billing: Billing, period: BillingPeriod) -> StageReport:
    """Bring everything up to date and lock the period's documents whose cutoff has come; nothing before its time.

    Documents of other periods that were cut off before, and are of the same customers, are locked first.
    """
    started = monotonic()
    now = billing.now()
    settle(billing)
    for other in _needed(billing, period):
        close(billing, other)
    close(billing, period)
    counts: Counter[str] = Counter(finalized=0, issued=0, queued=0, held=0)
    with billing.ledger.begin() as connection:
        due = finalization.due(connection, period.first_day, now)
    if due:
        progress = billing.watch(f"lock {period.key}")
        for one in run_units(billing, lock_unit, due * _ROWS_PER_DOCUMENT, period.key, now, progress=progress):
            counts.update(one)
    return note_stage(billing, period, "lock", counts, monotonic() - started)


def _needed(billing: Billing, period: BillingPeriod) -> list[BillingPeriod]:
    """The other periods that must be up to date: late usage of what is final, and documents that lock before."""
    catalog = billing.catalog()
    fees = catalog is not None and any(plan.fees for plan in catalog.plans.values())
    return [
        one.period
        for one in standings(billing)
        if one.dirty and one.period != period and (fees or one.progress.documents.get("finalized"))
    ]


def settle(billing: Billing) -> None:
    """Wait for landings and catalog changes under way: whatever comes after this is recorded at or after now."""
    with billing.ledger.begin() as connection:
        ledger_catalog.wait_for_changes(connection)
        manifest.wait_for_landings(connection)


@dataclass(slots=True)
class _Locking:
    """What one unit's transaction works with, of one period.

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
        through = [one.through_batch for one in progress]
        states = periods.customers(work.connection, work.first_day, work.buckets)
        billed = finalization.billed(work.connection, work.first_day, codes_of(states).values())
        return cls(work, now, (min(through), max(through)), states, billed)

    def documents(self) -> dict[UUID, StoredDocument]:
        """The customers' documents as they stand."""
        return document_states.current(self.work.connection, self.work.first_day, codes_of(self.states).values())

    def cuts(self, only: Collection[str] | None = None) -> list[Cut]:
        """The documents whose cutoff has come, of all customers or of some."""
        cutoffs = Cutoffs(self.work, self.now)
        due = {
            one.customer: one.code
            for one in self.documents().values()
            if one.status == "draft" and cutoffs.may_have_come(one) and (only is None or one.customer in only)
        }
        return cutoffs.of(due, self.billed)


def lock_unit(billing: Billing, key: str, now: datetime, buckets: Unit) -> dict[str, int]:
    """One transaction: finalize what is due in these buckets."""
    period = billing.calendar.period(key)
    counts: Counter[str] = Counter(finalized=0, issued=0, queued=0, held=0)
    with billing.ledger.begin() as connection:
        days = {*finalization.due_periods(connection, period.first_day, buckets, now), period.first_day}
        lockings = {
            day: _Locking.of(Work(billing, connection, billing.calendar.period(day.isoformat()), buckets), now)
            for day in sorted(days)  # always in this order: two runs cannot wait for each other
        }
        own = lockings[period.first_day]
        cuts = own.cuts()
        customers = {cut.plan.identity.customer for cut in cuts}
        elsewhere = [
            cut for day, one in lockings.items() if day != period.first_day for cut in one.cuts(only=customers)
        ]
        _refuse_unmetered(own, [*cuts, *elsewhere])
        for day, same in _in_turn([*cuts, *elsewhere]):
            counts.update(_lock(lockings[day], same))
        standing = own.documents()
        counts.update(finalize(own.work, standing, withdrawn=_withdrawn(own, standing, cuts), now=now))
    return counts


def _in_turn(cuts: Sequence[Cut]) -> Iterator[tuple[date, list[Cut]]]:
    """Documents of one period that can be locked at once, oldest cutoff first; of one instant, in their order."""
    groups: dict[tuple[datetime, int, date, date], list[Cut]] = defaultdict(list)
    for cut in cuts:
        identity = cut.plan.identity
        rank = identity.order(cut.cutoff)[2]
        groups[cut.cutoff, rank, identity.issue_date, identity.period].append(cut)
    for (_, _, _, day), same in sorted(groups.items()):
        yield day, same


def _refuse_unmetered(locking: _Locking, cuts: Sequence[Cut]) -> None:
    """Usage received before a cutoff, of whatever period, must be known: it may be on the document."""
    if not cuts:
        return
    work = locking.work
    batch = manifest.batch_before(work.connection, max(cut.cutoff for cut in cuts))
    unmetered = late_usage.unmetered(work.connection, work.buckets, batch)
    if unmetered:
        raise Refused(
            f"Late usage of {', '.join(day.isoformat() for day in unmetered)} arrived while this ran.",
            hint="Run the same again: it is metered first.",
        )


def _lock(locking: _Locking, cuts: Sequence[Cut]) -> Counter[str]:
    """Finalize documents of one cutoff."""
    work = locking.work
    present = locking.documents()
    concerned = _concerned(locking, cuts)
    unrated = _bring_to_cutoff(locking, present, cuts, concerned)
    held = holds.open_holds(work.connection, work.first_day).keys() | unrated
    ready = [cut for cut in cuts if locking.states[cut.plan.identity.customer].code not in held]
    standing = locking.documents()
    counts = finalize(work, standing, ready, now=locking.now)
    counts["held"] = len(cuts) - len(ready)
    billed = dict(locking.billed)
    for cut in ready:
        code = locking.states[cut.plan.identity.customer].code
        billed[code] = billed[code].adding(cut.plan)
    locking.billed = billed
    _note_late(locking, ready)
    _pass_on(locking, ready, concerned)
    return counts


def _concerned(locking: _Locking, cuts: Sequence[Cut]) -> set[int]:
    """Codes of the customers whose documents depend on final ones: late usage, changed fees, customer credit.

    Also those of whom something became final since their documents were computed.
    """
    found = set[int]()
    for as_of, same in by_moment(locking.work, cuts).items():
        codes = {one: locking.states[one].code for one in sorted({cut.plan.identity.customer for cut in same})}
        found |= unsettled(locking.work, codes, as_of)
        found |= revisits.asked(locking.work.connection, locking.work.first_day, codes.values())
    return found


def _note_late(locking: _Locking, cuts: Sequence[Cut]) -> None:
    """Keep which usage that is metered already was received at or after a cutoff."""
    work = locking.work
    for as_of, same in by_moment(work, cuts).items():
        if as_of.batch < locking.reached[1]:
            whose = {locking.states[cut.plan.identity.customer].code for cut in same if cut.plan.has_usage}
            late = touched(work, as_of.batch, locking.reached[1])
            pairs = [(code, batch) for batch, codes in late.items() for code in codes & whose if batch > as_of.batch]
            late_usage.note_late(work.connection, work.first_day, pairs)


def _pass_on(locking: _Locking, cuts: Sequence[Cut], concerned: Collection[int]) -> None:
    """Note which late usage these documents carry, and have the customers' other documents computed again."""
    work = locking.work
    codes = {cut.plan.identity.customer: locking.states[cut.plan.identity.customer].code for cut in cuts}
    late = late_usage.with_late_usage(work.connection, codes.values())
    if late:
        others = final_documents.others(work.connection, late, None)
        carriers: dict[int, tuple[UUID, int]] = {}
        for cut in sorted(cuts, key=lambda one: one.plan.order):
            code = codes[cut.plan.identity.customer]
            waiting: Order | None = min((one.order for one in others.get(code, ())), default=None)
            # A document of its own for late usage carries it only where no other will.
            first = waiting is None or (cut.plan.identity.kind in CARRIERS and cut.plan.order < waiting)
            if code in late and code not in carriers and first:
                carriers[code] = (cut.plan.identity.id, manifest.batch_before(work.connection, cut.cutoff))
        late_usage.mark_carried(work.connection, carriers)
    newest = AsOf(manifest.newest_batch(work.connection), ledger_catalog.newest_change(work.connection))
    again = {*concerned, *unsettled(work, codes, newest)}
    visits = revisits.to_visit(work.connection, again, work.billing.calendar, locking.now)
    revisits.ask_again(work.connection, visits)


def _bring_to_cutoff(
    locking: _Locking, present: Mapping[UUID, StoredDocument], cuts: Sequence[Cut], concerned: Collection[int]
) -> set[int]:
    """Make each document's newest version the one as of its cutoff.

    Most stand so already. Others were computed through later batches or changes, or not since the last ones.
    Returns the codes of customers with a quantity that has no rate: they are held.
    """
    work = locking.work
    stale = set[str]().union(*(_stale(locking, present, same, as_of) for as_of, same in by_moment(work, cuts).items()))
    stale |= {one for one in {cut.plan.identity.customer for cut in cuts} if locking.states[one].code in concerned}
    again = [cut for cut in cuts if cut.plan.identity.customer in stale]
    states = {one: locking.states[one] for one in sorted(stale)}
    snapshots = snapshots_at_cutoffs(work, again, codes_of(states), locking.billed)
    write_versions(Writing(work, states, present, locking.now), snapshots)
    return _hold_unrated(locking, cuts, stale, snapshots)


def _hold_unrated(
    locking: _Locking, cuts: Sequence[Cut], stale: Collection[str], snapshots: Sequence[Snapshot]
) -> set[int]:
    """Hold whom a quantity without a rate held at the cutoff, whoever found it when: what mends it comes before."""
    work, states = locking.work, locking.states
    problems = {one: found.problems for at in snapshots for one, found in at.computed.items() if found.problems}
    open_holds = holds.open_holds(work.connection, work.first_day, UNRATED)
    standing = {code: hold.reason for code, hold in open_holds.items()}  # of the others it is as of the cutoff
    reasons: dict[int, tuple[str, datetime]] = {}
    for cut in cuts:
        customer = cut.plan.identity.customer
        code = states[customer].code
        reason = "; ".join(problems.get(customer, ())) if customer in stale else standing.get(code)
        if reason:
            reasons.setdefault(code, (reason, cut.cutoff))
    if reasons:
        holds.hold_since(
            work.connection, work.first_day, reasons, cause=UNRATED, at=locking.now, actor=work.billing.actor
        )
    return set(reasons)


def _stale(locking: _Locking, present: Mapping[UUID, StoredDocument], cuts: Sequence[Cut], as_of: AsOf) -> set[str]:
    """The customers whose stored documents may differ from those as of the cutoff."""
    low, high = min(as_of.batch, *locking.reached), max(as_of.batch, *locking.reached)
    late = set[int]().union(*touched(locking.work, low, high).values())
    stale = set()
    for cut in cuts:
        customer, stored = cut.plan.identity.customer, present.get(cut.plan.identity.id)
        state = locking.states[customer]
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
            stale.add(customer)
    return stale


def _withdrawn(locking: _Locking, standing: Mapping[UUID, StoredDocument], cuts: Sequence[Cut]) -> list[StoredDocument]:
    """Documents that nothing calls for any more: empty, and finalized without a number when their time comes."""
    cut = {one.plan.identity.id for one in cuts}
    return [
        one
        for one in standing.values()
        if one.status == "draft"
        and not one.covers
        and not one.lines
        and one.lock_at <= locking.now
        and one.id not in cut
    ]
