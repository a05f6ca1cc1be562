"""Lock what is due: compute as of the cutoff, finalize, number and queue for payment, in one transaction a unit.

Run twice, raced or killed, it does each document once: the buckets' rows are locked, the finalization row is unique,
and the numbers are taken last, in the same transaction.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from time import monotonic
from uuid import UUID

from billing_pipeline.catalog import Catalog
from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.assemble import document_plans
from billing_pipeline.invoicing.document import DocumentPlan, SegmentKey
from billing_pipeline.invoicing.lock import Change, Cut, History, Interval, cut_off
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger import documents, holds, manifest, payments, periods, watermarks
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import Final, StoredDocument
from billing_pipeline.ledger.payments import PaymentDue
from billing_pipeline.ledger.periods import CustomerState
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.close import close
from billing_pipeline.operations.compute import Computed, compute
from billing_pipeline.operations.context import Billing, code_version
from billing_pipeline.operations.invoice import Snapshot, Writing, write_versions
from billing_pipeline.operations.meter import touched
from billing_pipeline.operations.rate import UNRATED
from billing_pipeline.operations.report import StageReport, report
from billing_pipeline.operations.units import Progress, no_progress, run_units
from billing_pipeline.operations.work import AsOf, Unit, Work, codes_of

_ROWS_PER_DOCUMENT = 10


def lock(billing: Billing, period: BillingPeriod, *, progress: Progress = no_progress) -> StageReport:
    """Bring the period up to date and lock the documents whose cutoff has come; nothing before its time."""
    started = monotonic()
    close(billing, period)
    counts: Counter[str] = Counter(finalized=0, issued=0, queued=0, held=0)
    for one in _run(billing, period, progress):
        counts.update(one)
    return report(billing, period, "lock", counts, monotonic() - started)


def _run(billing: Billing, period: BillingPeriod, progress: Progress) -> Sequence[Mapping[str, int]]:
    now = billing.now()
    if now < period.end:
        return []
    settle(billing)
    with billing.ledger.begin() as connection:
        due = documents.due(connection, period.first_day, now)
    return run_units(billing, lock_unit, due * _ROWS_PER_DOCUMENT, period.key, now, progress=progress)


def settle(billing: Billing) -> None:
    """Wait for landings and catalog changes under way: whatever comes after this is recorded at or after now."""
    with billing.ledger.begin() as connection:
        ledger_catalog.wait_for_changes(connection)
        manifest.wait_for_landings(connection)


@dataclass(frozen=True, slots=True)
class _Locking:
    """What one unit's transaction works with.

    Attributes:
        now: the ledger's clock when the run began: nothing is recorded before it any more.
        through: what the stored documents are computed through.
        states: the customers that the period knows.
    """

    work: Work
    now: datetime
    through: AsOf
    states: Mapping[str, CustomerState]

    def documents(self) -> dict[UUID, StoredDocument]:
        """The customers' documents as they stand."""
        return documents.current(self.work.connection, self.work.first_day, codes_of(self.states).values())


def lock_unit(billing: Billing, key: str, now: datetime, buckets: Unit) -> dict[str, int]:
    """One transaction: finalize what is due in these buckets."""
    period = billing.calendar.period(key)
    with billing.ledger.begin() as connection:
        progress = periods.lock_buckets(connection, period.first_day, buckets)
        through = AsOf(min(one.through_batch for one in progress), min(one.through_change for one in progress))
        states = periods.customers(connection, period.first_day, buckets)
        locking = _Locking(Work(billing, connection, period, buckets), now, through, states)
        present = locking.documents()
        views = _views(locking, present)
        cuts = _cuts(locking, views)
        unrated = _bring_to_cutoff(locking, present, cuts)
        held = holds.held(connection, period.first_day) | unrated
        ready = [cut for cut in cuts if states[cut.plan.identity.customer].code not in held]
        counts = _finalize(locking, views, ready, _withdrawn(locking, cuts))
        counts["held"] = len(cuts) - len(ready)
    return counts


def _views(locking: _Locking, present: Mapping[UUID, StoredDocument]) -> "_Views":
    """The customers of whom a document may be due, and the catalog as it was known to them since the period's end."""
    connection, period = locking.work.connection, locking.work.period
    known = ledger_catalog.change_before(connection, period.end)
    everyone, own = ledger_catalog.concerning(connection, known, ledger_catalog.newest_change(connection))
    drafts = [one for one in present.values() if one.status == "draft"]
    candidates = {one.customer for one in drafts if everyone or one.customer in own or one.lock_at <= locking.now}
    return _Views(locking.work, candidates, known, everyone, own)


def _cuts(locking: _Locking, views: "_Views") -> list[Cut]:
    """The documents whose cutoff has come, in the order of customer and issue date."""
    connection, period, states = locking.work.connection, locking.work.period, locking.states
    billed = documents.finalized_covers(connection, period.first_day, [states[one].code for one in views.candidates])
    held = holds.intervals(connection, period.first_day)
    complete_at = complete(locking.work.billing, connection, period)
    cuts: list[Cut] = []
    for customer in sorted(views.candidates):
        code = states[customer].code
        intervals = [Interval(one.created_at, one.released_at) for one in held.get(code, ())]
        changes = [one for one in views.changes(customer) if one.recorded_at < locking.now]
        history = History(views.known, changes, intervals, complete_at)
        cuts += cut_off(views.plans_of(customer, billed[code]), history, locking.now)
    return cuts


class _Views:
    """The catalog as known at each change: of all candidates, or of those whom alone the change concerns.

    Args:
        work: of the unit.
        candidates: ids of the customers.
        known: the last change known at the period's end.
        everyone: later changes that may concern everyone: number and instant.
        own: the other later ones, by customer.
    """

    def __init__(
        self,
        work: Work,
        candidates: Collection[str],
        known: int,
        everyone: Sequence[tuple[int, datetime]],
        own: Mapping[str, Sequence[tuple[int, datetime]]],
    ) -> None:
        self.work, self.candidates, self.known = work, candidates, known
        self._everyone, self._own = everyone, own
        self._shared = {number for number, _ in everyone} | {known}
        self._views: dict[int, CatalogView] = {}

    def changes(self, customer: str) -> list[Change]:
        """The changes since the period's end that may concern the customer, oldest first."""
        return [Change(*one) for one in sorted({*self._everyone, *self._own.get(customer, ())})]

    def at(self, change: int) -> CatalogView:
        """The catalog through ``change``; each is read once."""
        if change not in self._views:
            concerned = self.candidates if change in self._shared else self._concerned(change)
            self._views[change] = self.work.billing.view(self.work.connection, change, customers=sorted(concerned))
        return self._views[change]

    def plans_of(self, customer: str, billed: Collection[SegmentKey]) -> "_Plans":
        """The customer's documents at a change, without what is billed."""
        return _Plans(self, customer, frozenset(billed))

    def _concerned(self, change: int) -> set[str]:
        return {
            one
            for one, changes in self._own.items()
            if one in self.candidates and any(number == change for number, _ in changes)
        }


@dataclass(frozen=True, slots=True)
class _Plans:
    views: _Views
    customer: str
    billed: frozenset[SegmentKey]

    def __call__(self, change: int, cut: frozenset[SegmentKey]) -> list[DocumentPlan]:
        view, work = self.views.at(change), self.views.work
        if self.customer not in work.known_customers(view):
            return []
        terms = view.terms(self.customer)
        in_force = segments(terms, work.period)
        return document_plans(terms, work.period, work.billing.calendar, in_force, self.billed | cut)


def complete(billing: Billing, connection: Connection, period: BillingPeriod) -> datetime | None:
    """When every required source had delivered the period, or its deadline had passed; None: not yet."""
    view = billing.view(connection, ledger_catalog.newest_change(connection), customers=())
    instants = [period.end]
    for source in view.catalog.sources.values() if view.catalog else ():
        if not source.required:
            continue
        passed = watermarks.passed_at(connection, source.id, period.end)
        deadline = billing.calendar.after(period.end, source.deadline) if source.deadline else None
        known = [one for one in (passed, deadline) if one is not None]
        if not known:
            return None
        instants.append(min(known))
    return max(instants)


def _bring_to_cutoff(locking: _Locking, present: Mapping[UUID, StoredDocument], cuts: Sequence[Cut]) -> set[int]:
    """Make each document's newest version the one as of its cutoff.

    Most stand so already. Others were computed through later batches or changes, or not since the last ones.
    Returns the codes of customers with a quantity that has no rate: they are held.
    """
    groups: dict[AsOf, list[Cut]] = defaultdict(list)
    for cut in cuts:
        groups[AsOf(manifest.batch_before(locking.work.connection, cut.cutoff), cut.change)].append(cut)
    unrated: set[int] = set()
    for as_of, same in groups.items():
        stale = _stale(locking, present, same, as_of)
        if stale:
            unrated |= _recompute(locking, present, {one.plan.identity.id for one in same}, stale, as_of)
    return unrated


def _recompute(
    locking: _Locking,
    present: Mapping[UUID, StoredDocument],
    due: Collection[UUID],
    customers: Collection[str],
    as_of: AsOf,
) -> set[int]:
    """Write these customers' due documents as of a moment, where they differ from what stands."""
    work, states = locking.work, {one: locking.states[one] for one in sorted(customers)}
    codes = codes_of(states)
    billed = documents.finalized_covers(work.connection, work.first_day, codes.values())
    computed = compute(work, codes, as_of, billed)
    wanted = {
        one: Computed(tuple(document for document in found.documents if document.id in due), found.problems)
        for one, found in computed.items()
    }
    standing = {one.id: one for one in present.values() if one.id in due}
    write_versions(Writing(work, states, standing, locking.now), [Snapshot(as_of, wanted)])
    problems = {codes[one]: "; ".join(found.problems) for one, found in computed.items() if found.problems}
    holds.settle(
        work.connection, period=work.first_day, cause=UNRATED, checked=(), failed=problems, at=locking.now,
        actor=work.billing.actor,
    )  # fmt: skip
    return set(problems)


def _stale(locking: _Locking, present: Mapping[UUID, StoredDocument], cuts: Sequence[Cut], as_of: AsOf) -> set[str]:
    """The customers whose stored documents may differ from those as of the cutoff."""
    low, high = sorted((as_of.batch, locking.through.batch))
    late = set[int]().union(*touched(locking.work, low, high).values())
    customers = sorted({cut.plan.identity.customer for cut in cuts})
    view = locking.work.billing.view(locking.work.connection, as_of.change, customers=customers)
    stale = set()
    for cut in cuts:
        customer, stored = cut.plan.identity.customer, present.get(cut.plan.identity.id)
        state = locking.states[customer]
        if (
            stored is None
            or stored.replaceable
            or (stored.covers, stored.lock_at) != (cut.plan.covers, cut.plan.lock_at)
            or state.pending is not None
            or state.code in late
            or state.terms != view.terms(customer).fingerprint
        ):
            stale.add(customer)
    return stale


def _withdrawn(locking: _Locking, cuts: Sequence[Cut]) -> list[StoredDocument]:
    """Documents that nothing calls for any more: empty, and finalized without a number when their time comes."""
    cut = {one.plan.identity.id for one in cuts}
    return [
        one
        for one in locking.documents().values()
        if one.status == "draft"
        and not one.covers
        and not one.lines
        and one.lock_at <= locking.now
        and one.id not in cut
    ]


def _finalize(
    locking: _Locking, views: _Views, ready: Sequence[Cut], withdrawn: Sequence[StoredDocument]
) -> Counter[str]:
    """Finalize, queue for payment, and take the numbers: last, so that others wait for them as short as can be."""
    counts = Counter({"finalized": len(ready) + len(withdrawn), "issued": 0, "queued": 0})
    if not ready and not withdrawn:
        return counts
    work, present = locking.work, locking.documents()
    inputs = _Inputs(work)
    newest = ledger_catalog.newest_change(work.connection)
    view = work.billing.view(work.connection, newest, customers=sorted({cut.plan.identity.customer for cut in ready}))
    assert view.catalog is not None, "documents are due only where there is a catalog"  # noqa: S101
    finals = [inputs.final(one, one.lock_at, locking.through.batch, "") for one in withdrawn]
    dues = []
    for cut in ready:
        stored = present[cut.plan.identity.id]
        batch = manifest.batch_before(work.connection, cut.cutoff)
        terms = views.at(cut.change).terms(stored.customer).fingerprint
        finals.append(inputs.final(stored, cut.cutoff, batch, terms))
        if stored.amount_due.minor > 0:
            dues.append(_due(view.catalog, stored))
    payments.queue(work.connection, dues, at=locking.now, actor=work.billing.actor)
    numbers = documents.finalize(
        work.connection,
        finals,
        at=locking.now,
        year=work.billing.calendar.local_day(locking.now).year,
        number_format=view.catalog.account.number_format,
        actor=work.billing.actor,
    )
    counts["issued"], counts["queued"] = len(numbers), len(dues)
    return counts


class _Inputs:
    """The usage files that documents were computed from, kept once for each batch they go through."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._by_batch: dict[int, str] = {}

    def final(self, stored: StoredDocument, cutoff: datetime, batch: int, terms: str) -> Final:
        """The document's finalization, with the fingerprint of all that it depends on."""
        if batch not in self._by_batch:
            self._by_batch[batch] = self._keep(batch)
        inputs = self._by_batch[batch]
        whole = sha256(f"{inputs} {terms} {code_version()}".encode()).hexdigest()
        return Final(stored.id, stored.version, stored.lines > 0, cutoff, inputs, whole)

    def _keep(self, batch: int) -> str:
        """The usage files of these buckets as of a batch, identified by what is in them."""
        work = self._work
        files = manifest.files(work.connection, work.first_day, batch, buckets=work.buckets)
        content = {"batch": batch, "files": [[file.path, file.sha256] for file in files]}
        fingerprint = sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
        documents.keep_inputs(work.connection, fingerprint, content)
        return fingerprint


def _due(catalog: Catalog, stored: StoredDocument) -> PaymentDue:
    payment = catalog.customers[stored.customer].payment
    return PaymentDue(
        document=stored.id,
        amount_minor=stored.amount_due.minor,
        gateway=payment.gateway if payment else None,
        collection=payment.collection if payment else None,
    )
