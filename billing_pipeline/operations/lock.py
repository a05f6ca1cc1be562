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

from sqlalchemy import Connection

from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.assemble import document_plans
from billing_pipeline.invoicing.document import Document, DocumentPlan, SegmentKey
from billing_pipeline.invoicing.lock import Change, Cut, Interval, cut_off
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger import documents, holds, manifest, payments, periods, watermarks
from billing_pipeline.ledger.documents import Final, StoredDocument
from billing_pipeline.ledger.payments import PaymentDue
from billing_pipeline.ledger.periods import CustomerState
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.close import close
from billing_pipeline.operations.compute import AsOf, Computed, compute
from billing_pipeline.operations.context import Billing, code_version
from billing_pipeline.operations.invoice import Snapshot, write_versions
from billing_pipeline.operations.meter import touched
from billing_pipeline.operations.rate import UNRATED
from billing_pipeline.operations.report import StageReport, report
from billing_pipeline.operations.units import Progress, Unit, no_progress, run_units

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


@dataclass(frozen=True)
class _Unit:
    """What one unit's transaction works with."""

    billing: Billing
    connection: Connection
    period: BillingPeriod
    buckets: Unit
    now: datetime
    through: AsOf


def lock_unit(billing: Billing, key: str, now: datetime, buckets: Unit) -> dict[str, int]:
    """One transaction: finalize what is due in these buckets."""
    period = billing.calendar.period(key)
    with billing.ledger.begin() as connection:
        progress = periods.lock_buckets(connection, period.first_day, buckets)
        through = AsOf(min(one.through_batch for one in progress), min(one.through_change for one in progress))
        unit = _Unit(billing, connection, period, buckets, now, through)
        states = periods.customers(connection, period.first_day, buckets)
        present = documents.current(connection, period.first_day, [state.code for state in states.values()])
        cuts = _cuts(unit, states, present)
        written, missing = _bring_to_cutoff(unit, states, present, cuts)
        held = set(holds.held(connection, period.first_day)) | missing
        ready = [cut for cut in cuts if states[cut.plan.identity.customer].code not in held]
        counts = _finalize(unit, states, ready, _withdrawn(unit, written, cuts))
        counts["held"] = len(cuts) - len(ready)
    return counts


def _cuts(
    unit: _Unit, states: Mapping[str, CustomerState], present: Mapping[UUID, StoredDocument]
) -> list[Cut]:
    """The documents whose cutoff has come, in the order of customer and issue date."""
    connection, period = unit.connection, unit.period
    known = ledger_catalog.change_before(connection, period.end)
    newest = ledger_catalog.newest_change(connection)
    changes = [Change(*one) for one in ledger_catalog.recorded_at(connection, known, newest)]
    changes = [one for one in changes if one.recorded_at < unit.now]
    open_documents = [one for one in present.values() if one.status == "draft"]
    candidates = {one.customer for one in open_documents if changes or one.lock_at <= unit.now}
    if not candidates:
        return []
    views = _Views(unit, sorted(candidates))
    billed = documents.finalized_covers(connection, period.first_day, [states[one].code for one in candidates])
    held = holds.intervals(connection, period.first_day)
    complete_at = complete(unit.billing, connection, period)
    cuts: list[Cut] = []
    for customer in sorted(candidates):
        code = states[customer].code
        cuts += cut_off(
            views.plans_of(customer, billed[code]),
            known,
            changes,
            [Interval(one.created_at, one.released_at) for one in held.get(code, ())],
            complete_at,
            unit.now,
        )
    return cuts


class _Views:
    """The catalog as known at each change, for some customers; each is read once."""

    def __init__(self, unit: _Unit, customers: Sequence[str]) -> None:
        self._unit, self._customers = unit, customers
        self._views: dict[int, CatalogView] = {}

    def at(self, change: int) -> CatalogView:
        """The catalog through ``change``."""
        if change not in self._views:
            billing, connection = self._unit.billing, self._unit.connection
            self._views[change] = billing.view(connection, change, customers=self._customers)
        return self._views[change]

    def plans_of(self, customer: str, billed: Collection[SegmentKey]) -> "_Plans":
        """The customer's documents at a change, without what is billed."""
        return _Plans(self, self._unit, customer, frozenset(billed))


@dataclass(frozen=True)
class _Plans:
    views: _Views
    unit: _Unit
    customer: str
    billed: frozenset[SegmentKey]

    def __call__(self, change: int, cut: frozenset[SegmentKey]) -> list[DocumentPlan]:
        view = self.views.at(change)
        if view.catalog is None or self.customer not in view.catalog.customers:
            return []
        terms = view.terms(self.customer)
        period, calendar = self.unit.period, self.unit.billing.calendar
        return document_plans(terms, period, calendar, segments(terms, period), self.billed | cut)


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


def _bring_to_cutoff(
    unit: _Unit,
    states: Mapping[str, CustomerState],
    present: Mapping[UUID, StoredDocument],
    cuts: Sequence[Cut],
) -> tuple[dict[UUID, StoredDocument], set[int]]:
    """Make each document's newest version the one as of its cutoff; returns documents as they stand then.

    Most stand so already. Others were computed through later batches or changes, or not since the last ones.
    Also returns the codes of customers with a quantity that has no rate: they are held.
    """
    groups: dict[AsOf, list[Cut]] = defaultdict(list)
    for cut in cuts:
        groups[AsOf(manifest.batch_before(unit.connection, cut.cutoff), cut.change)].append(cut)
    missing: set[int] = set()
    for as_of, same in groups.items():
        stale = _stale(unit, states, present, same, as_of)
        if not stale:
            continue
        codes = {one: states[one].code for one in stale}
        billed = documents.finalized_covers(unit.connection, unit.period.first_day, codes.values())
        wanted = {cut.plan.identity.id for cut in same}
        computed = compute(
            unit.billing, unit.connection, unit.period, codes, as_of, billed, buckets=unit.buckets
        )
        due = {one: _only(found, wanted) for one, found in computed.items()}
        write_versions(
            unit.connection,
            {one: states[one] for one in codes},
            [Snapshot(as_of, due)],
            {one.id: one for one in present.values() if one.id in wanted},
            unit.now,
            code_version(),
        )
        problems = {codes[one]: "; ".join(found.problems) for one, found in computed.items() if found.problems}
        missing |= problems.keys()
        holds.settle(
            unit.connection, period=unit.period.first_day, cause=UNRATED, checked=(), failed=problems, at=unit.now,
            actor=unit.billing.actor,
        )  # fmt: skip
    codes_of_all = [state.code for state in states.values()]
    return documents.current(unit.connection, unit.period.first_day, codes_of_all), missing


def _only(found: Computed, wanted: Collection[UUID]) -> Computed:
    return Computed(tuple(one for one in found.documents if one.id in wanted), found.problems)


def _stale(
    unit: _Unit,
    states: Mapping[str, CustomerState],
    present: Mapping[UUID, StoredDocument],
    cuts: Sequence[Cut],
    as_of: AsOf,
) -> set[str]:
    """The customers whose stored documents may differ from those as of the cutoff."""
    low, high = sorted((as_of.batch, unit.through.batch))
    late = touched(unit.billing, unit.connection, unit.period, low, high, unit.buckets)
    late_codes = set[int]().union(*late.values())
    view = unit.billing.view(
        unit.connection, as_of.change, customers=sorted({cut.plan.identity.customer for cut in cuts})
    )
    stale = set()
    for cut in cuts:
        customer, stored = cut.plan.identity.customer, present.get(cut.plan.identity.id)
        state = states[customer]
        if (
            stored is None
            or stored.replaceable
            or state.pending is not None
            or state.code in late_codes
            or stored.covers != cut.plan.covers
            or stored.lock_at != cut.plan.lock_at
            or state.terms != view.terms(customer).fingerprint
        ):
            stale.add(customer)
    return stale


def _withdrawn(
    unit: _Unit, present: Mapping[UUID, StoredDocument], cuts: Sequence[Cut]
) -> list[StoredDocument]:
    """Documents that nothing calls for any more: empty, and finalized without a number when their time comes."""
    cut = {one.plan.identity.id for one in cuts}
    return [
        one
        for one in present.values()
        if one.status == "draft" and not one.covers and not one.lines and one.lock_at <= unit.now and one.id not in cut
    ]


def _finalize(
    unit: _Unit, states: Mapping[str, CustomerState], ready: Sequence[Cut], withdrawn: Sequence[StoredDocument]
) -> Counter[str]:
    """Finalize, queue for payment, and take the numbers: last, so that others wait for them as short as can be."""
    counts = Counter({"finalized": len(ready) + len(withdrawn), "issued": 0, "queued": 0})
    if not ready and not withdrawn:
        return counts
    connection, billing = unit.connection, unit.billing
    present = documents.current(connection, unit.period.first_day, [state.code for state in states.values()])
    inputs: dict[int, str] = {}
    finals, dues = [], []
    view = billing.view(
        connection,
        ledger_catalog.newest_change(connection),
        customers=sorted({cut.plan.identity.customer for cut in ready}),
    )
    for cut in ready:
        stored = present[cut.plan.identity.id]
        batch = manifest.batch_before(connection, cut.cutoff)
        finals.append(_final(unit, stored, cut.cutoff, batch, inputs, states[stored.customer].terms))
        if stored.amount_due.minor > 0:
            dues.append(_due(view, stored))
    finals += [_final(unit, one, one.lock_at, unit.through.batch, inputs, "") for one in withdrawn]
    assert view.catalog is not None, "documents are due only where there is a catalog"  # noqa: S101
    payments.queue(connection, dues, at=unit.now, actor=billing.actor)
    numbers = documents.finalize(
        connection,
        finals,
        at=unit.now,
        year=billing.calendar.local_day(unit.now).year,
        number_format=view.catalog.account.number_format,
        actor=billing.actor,
    )
    counts["issued"], counts["queued"] = len(numbers), len(dues)
    return counts


def _final(
    unit: _Unit, stored: StoredDocument, cutoff: datetime, batch: int, inputs: dict[int, str], terms: str
) -> Final:
    if batch not in inputs:
        inputs[batch] = _keep_inputs(unit, batch)
    whole = sha256(f"{inputs[batch]} {terms} {code_version()}".encode()).hexdigest()
    return Final(
        id=stored.id,
        version=stored.version,
        issued=stored.lines > 0,
        cutoff=cutoff,
        inputs=inputs[batch],
        fingerprint=whole,
    )


def _keep_inputs(unit: _Unit, batch: int) -> str:
    """The usage files of these buckets as of a batch; their hashes, not their number, identify them."""
    files = manifest.files(unit.connection, unit.period.first_day, batch, buckets=unit.buckets)
    content = {"batch": batch, "files": [[file.path, file.sha256] for file in files]}
    fingerprint = sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
    documents.keep_inputs(unit.connection, fingerprint, content)
    return fingerprint


def _due(view: CatalogView, stored: StoredDocument) -> PaymentDue:
    assert view.catalog is not None, "a document's customer is in the catalog"  # noqa: S101
    payment = view.catalog.customers[stored.customer].payment
    return PaymentDue(
        document=stored.id,
        amount_minor=stored.amount_due.minor,
        gateway=payment.gateway if payment else None,
        collection=payment.collection if payment else None,
    )
