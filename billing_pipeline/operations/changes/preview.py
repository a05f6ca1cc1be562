"""What a catalog change does to a customer's documents: each that it changes, and by how much."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from billing_pipeline.core.money import Money
from billing_pipeline.core.period import BillingCalendar, BillingPeriod
from billing_pipeline.core.plain_json import Json, fields_json
from billing_pipeline.core.plain_text import instant
from billing_pipeline.invoicing.adjustment import FinalDocument
from billing_pipeline.invoicing.cutoff import Cut
from billing_pipeline.invoicing.document import Billed, Document, DocumentPlan, Order
from billing_pipeline.invoicing.document_plans import document_plans
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import finalization
from billing_pipeline.ledger.documents.final_documents import CustomerPeriod
from billing_pipeline.ledger.periods import periods
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.closing.cutoffs import Cutoffs
from billing_pipeline.operations.closing.recompute import recompute
from billing_pipeline.operations.closing.unsettled import Unwritten
from billing_pipeline.operations.closing.versions import (
    DocumentsAsOf,
    billed_with,
    documents_at_cutoffs,
    in_turn,
)
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.reading.invoice_difference import changed_lines
from billing_pipeline.operations.unit import AsOf, Work, terms_of


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """One document that a change makes different.

    Attributes:
        old: before the change; None where nothing called for it.
        new: with the change; None where nothing calls for it any more.
        lines: those that differ, as ``invoices diff`` says it.
    """

    old: Document | None
    new: Document | None
    lines: tuple[Json, ...]

    @property
    def plan(self) -> DocumentPlan:
        """The document's identity, currency and times, before or after."""
        document = self.new or self.old
        assert document is not None, "a change has a document before or after"  # noqa: S101
        return document.plan

    @property
    def old_total(self) -> Money:
        """Before the change."""
        return self.old.total if self.old else Money(0, self.plan.currency)

    @property
    def new_total(self) -> Money:
        """With the change."""
        return self.new.total if self.new else Money(0, self.plan.currency)

    @property
    def difference(self) -> Money:
        """The amount by which the total rises."""
        return self.new_total - self.old_total

    @property
    def shows(self) -> bool:
        """Whether a reader would call the document different; keys behind its lines may differ alone."""
        locks = [document.plan.lock_at for document in (self.old, self.new) if document and document.lines]
        return bool(self.lines) or bool(self.difference.minor) or len(set(locks)) > 1

    def to_json(self) -> Json:
        """As the command line prints it."""
        identity, old, new = self.plan.identity, self.old, self.new
        return {
            **fields_json(identity, "id", "customer", "kind", "period", "issue_date"),
            "lock_at": _both(instant(document.plan.lock_at) if document else None for document in (old, new)),
            "currency": self.plan.currency,
            "total": _both(map(str, (self.old_total, self.new_total))) | {"difference": str(self.difference)},
            "line_count": _both(len(document.lines) if document else 0 for document in (old, new)),
            "lines": list(self.lines),
        }


def _both(values: Iterable[object]) -> Json:
    return dict(zip(("old", "new"), values, strict=True))


def preview(
    billing: Billing, connection: Connection, customer: str, since: datetime, changes: tuple[int, int]
) -> tuple[DocumentChange, ...]:
    """The customer's documents that differ between two catalog changes, by issue date. Stores nothing.

    Both are computed with all usage known now; what is final, or cut off and waits for its lock, differs in neither:
    what changes of it is an adjustment on another.

    Args:
        billing: of the run.
        connection: a transaction in which both changes are recorded.
        customer: whose documents.
        since: from when the change bills otherwise.
        changes: numbers of the change before and of the one in question.
    """
    codes = ledger_catalog.codes_of(connection, [customer])
    concerned = list(_periods(billing.calendar, since, billing.now(connection)))
    watch = billing.watch(f"documents of {customer}")
    units = _units(billing, connection, codes, concerned)
    return tuple(sorted(_differences(units, changes, watch), key=_order))


def preview_all(
    billing: Billing, connection: Connection, customers: Collection[str], changes: tuple[int, int]
) -> tuple[DocumentChange, ...]:
    """The documents of many customers that differ between two catalog changes, in each period that is not final.

    Args and order as of :func:`preview`, one customer after the other.
    """
    now, codes = billing.now(connection), ledger_catalog.codes_of(connection, customers)
    not_final = (billing.calendar.period(day.isoformat()) for day in periods.not_final(connection))
    concerned = [period for period in not_final if period.start <= now]
    units = _units(billing, connection, codes, concerned)
    return tuple(sorted(_differences(units, changes, billing.watch("documents")), key=_order))


_Unit = tuple[Mapping[str, int], Sequence[Work]]  # customers of one bucket, id → code, and their periods


def _units(
    billing: Billing, connection: Connection, codes: Mapping[str, int], concerned: Sequence[BillingPeriod]
) -> list[_Unit]:
    by_bucket: dict[int, dict[str, int]] = defaultdict(dict)
    for customer, code in codes.items():
        by_bucket[billing.facts.bucket_of(code)][customer] = code
    return [
        (of_bucket, [Work(billing, connection, period, (bucket,)) for period in concerned])
        for bucket, of_bucket in sorted(by_bucket.items())
    ]


def _differences(
    units: Sequence[_Unit], changes: tuple[int, int], progress: Callable[[int, int], None]
) -> Iterator[DocumentChange]:
    in_all, done = sum(len(works) for _, works in units), 0
    for codes, works in units:
        known = [_Known.of(work, codes) for work in works]
        cut_off = _cut_off(known, codes, _open(known, codes, changes[0]))
        # Open documents share adjustments whether or not a run has written them: one carries them.
        unwritten = [Unwritten(cut_off, _open(known, codes, change)) for change in changes]
        for period in known:
            both = (period.computed(codes, *then) for then in zip(changes, unwritten, strict=True))
            yield from _differing(*both)
            done += 1
            progress(done, in_all)


def _order(change: DocumentChange) -> tuple[str, date, str, date]:
    identity = change.plan.identity
    return identity.customer, identity.issue_date, str(identity.kind), identity.period


def _periods(calendar: BillingCalendar, since: datetime, now: datetime) -> Iterator[BillingPeriod]:
    """From the one before the change, whose closing documents carry fees of the next, through the current one."""
    period = calendar.period_of(max(since, calendar.midnight(calendar.first_day)))
    period = (calendar.previous(period) or period) if period else None
    while period and period.start <= now:
        yield period
        period = calendar.next(period)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is settled of customers' documents in one period.

    Attributes:
        final: what is billed on final documents.
        billed: the same, and what is cut off.
        cuts: what waits for the run that locks it.
    """

    work: Work
    final: Mapping[int, Billed]
    billed: Mapping[int, Billed]
    batch: int
    cuts: Sequence[Cut]

    @classmethod
    def of(cls, work: Work, codes: Mapping[str, int]) -> "_Known":
        """Found from what is recorded, whenever runs came."""
        final = finalization.billed(work.connection, work.first_day, codes.values())
        cuts = Cutoffs(work, work.billing.now(work.connection)).of(codes, final)
        return cls(work, final, billed_with(final, cuts, codes), manifest.newest_batch(work.connection), cuts)

    def computed(self, codes: Mapping[str, int], change: int, unwritten: Unwritten) -> list[Document]:
        """The documents as a change calls for them."""
        as_of = AsOf(self.batch, change)
        computed = recompute(self.work, codes, as_of, self.billed, unwritten=unwritten)
        return [document for of in computed.values() for document in of.documents]


def _cut_off(
    known: Sequence[_Known], codes: Mapping[str, int], open_: Mapping[int, Mapping[Order, date]]
) -> Mapping[CustomerPeriod, Sequence[FinalDocument]]:
    """What waits for the run that locks it, as that will find it: in turn, each with what those before it billed."""
    by_day, billed = {period.work.first_day: period for period in known}, dict[date, Mapping[int, Billed]]()
    cut_off: dict[CustomerPeriod, list[FinalDocument]] = defaultdict(list)
    to_come = {code: dict(orders) for code, orders in open_.items()}
    for cut in (cut for period in known for cut in period.cuts):
        to_come.setdefault(codes[cut.customer], {})[cut.plan.order] = cut.plan.identity.period
    for day, cuts in in_turn(cut for period in known for cut in period.cuts):
        period, terms = by_day[day], {cut.document: cut.terms for cut in cuts}
        before = billed.get(day, period.final)
        moments = documents_at_cutoffs(period.work, cuts, codes, before, Unwritten(cut_off, to_come))
        for as_of, document in ((one.as_of, document) for one in moments for document in _documents(one)):
            late = document.plan.has_usage and period.batch > as_of.batch
            cut_off[codes[document.plan.identity.customer], day].append(
                FinalDocument(
                    document.plan, document.lines, (), as_of.batch, as_of.change, terms[document.id], late=late
                )
            )
        billed[day] = billed_with(before, cuts, codes)
        for cut in cuts:
            del to_come[codes[cut.customer]][cut.plan.order]
    return cut_off


def _documents(moment: DocumentsAsOf) -> Iterator[Document]:
    return (document for computed in moment.documents.values() for document in computed.documents)


def _open(known: Sequence[_Known], codes: Mapping[str, int], change: int) -> dict[int, dict[Order, date]]:
    """The documents that a change calls for and that are not final, by customer code."""
    orders: dict[int, dict[Order, date]] = defaultdict(dict)
    for period in known:
        work = period.work
        view = work.billing.view(work.connection, change, customers=list(codes))
        for customer, terms in terms_of(view, codes).items():
            in_force, billed = segments(terms, work.period), period.billed[codes[customer]]
            for plan in document_plans(terms, work.period, work.billing.calendar, in_force, billed):
                orders[codes[customer]][plan.order] = work.first_day
    return orders


def _differing(old: Sequence[Document], new: Sequence[Document]) -> Iterator[DocumentChange]:
    before, after = ({document.id: document for document in documents} for documents in (old, new))
    for document_id in before | after:
        was, becomes = before.get(document_id), after.get(document_id)
        lines = changed_lines(was.lines if was else (), becomes.lines if becomes else ())
        change = DocumentChange(was, becomes, tuple(lines))
        if change.shows:
            yield change
