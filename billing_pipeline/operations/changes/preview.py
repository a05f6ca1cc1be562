"""What a catalog change does to a customer's documents: each that it changes, and by how much; what of it lapses."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from billing_pipeline.catalog import Discount
from billing_pipeline.core.money import Money
from billing_pipeline.core.period import BillingCalendar, BillingPeriod
from billing_pipeline.core.plain_json import Json, JsonFields, fields_json
from billing_pipeline.core.plain_text import instant
from billing_pipeline.invoicing.cutoff import Cut
from billing_pipeline.invoicing.discounts import discount_of
from billing_pipeline.invoicing.document import Billed, Document, DocumentPlan, Order
from billing_pipeline.invoicing.document_plans import document_plans, periods_billing
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import finalization
from billing_pipeline.ledger.periods import periods
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.closing.cutoffs import Cutoffs
from billing_pipeline.operations.closing.recompute import recompute
from billing_pipeline.operations.closing.unsettled import Unwritten
from billing_pipeline.operations.closing.versions import billed_with, documents_cut_off
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


@dataclass(frozen=True, slots=True)
class Lapse(JsonFields):
    """What of a new discount's allowance for a service period finds only what is final, as all stands.

    Attributes:
        period: first day of the service period.
        amount: what it could have taken from that; it lapses unless more is billed for the period.
    """

    period: date
    amount: Money


def lapses(
    billing: Billing, connection: Connection, customer: str, discount: Discount, change: int
) -> tuple[Lapse, ...]:
    """What lapses of a fixed discount, by service period: what it would take if nothing were final, less what it does.

    Args:
        billing: of the run.
        connection: a transaction in which the change is recorded.
        customer: whose discount.
        discount: new with the change.
        change: its number.
    """
    now, calendar = billing.now(connection), billing.calendar
    ends, start = discount.ends(calendar), max(discount.start, calendar.midnight(calendar.first_day))
    if discount.amount is None or start > now or (ends is not None and ends <= start):
        return ()
    terms = billing.view(connection, change, customers=[customer]).terms(customer)
    services = [service for service in calendar.until(now) if start < service.end]
    services = [service for service in services if ends is None or service.start < ends]
    concerned = {period for service in services for period in periods_billing(terms, service, calendar)}
    periods_ = sorted((period for period in concerned if period.start <= now), key=lambda period: period.start)
    ((codes, works),) = _units(billing, connection, ledger_catalog.codes_of(connection, [customer]), periods_)
    known = [_Known.of(work, codes) for work in works]
    unwritten = _unwritten(known, codes, [change])[0]
    left: Counter[date] = Counter()
    for period in known:
        for sign, found in (
            (1, period.if_none_were_final(codes, change)),
            (-1, period.computed(codes, change, unwritten)),
        ):
            for line in (line for document in found for line in document.lines):
                if discount_of(line) == discount.id:
                    assert line.service_start is not None, "a discount says for which days it is"  # noqa: S101
                    service = calendar.service_of(line.start or calendar.midnight(line.service_start))
                    left[service.first_day] -= sign * line.amount.minor
    currency = terms.customer.currency
    days = [service.first_day for service in services]
    return tuple(Lapse(day, Money(left[day], currency)) for day in days if left[day] > 0)


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
        unwritten = _unwritten(known, codes, changes)
        for period in known:
            both = (period.computed(codes, *then) for then in zip(changes, unwritten, strict=True))
            yield from _differing(*both)
            done += 1
            progress(done, in_all)


def _unwritten(known: Sequence["_Known"], codes: Mapping[str, int], changes: Sequence[int]) -> list[Unwritten]:
    """What no run has written, or made final, yet: the same is cut off after each change, others are open."""
    # Open documents share adjustments whether or not a run has written them: one carries them.
    cuts = [cut for period in known for cut in period.cuts]
    open_ = [_open(known, codes, change) for change in changes]
    cut_off = documents_cut_off((period.work for period in known), cuts, codes, open_[0])
    return [Unwritten(cut_off, of_change) for of_change in open_]


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
        billed: what is final, and what is cut off.
        cuts: what waits for what locks it.
    """

    work: Work
    billed: Mapping[int, Billed]
    batch: int
    cuts: Sequence[Cut]

    @classmethod
    def of(cls, work: Work, codes: Mapping[str, int]) -> "_Known":
        """Found from what is recorded, whenever runs came."""
        final = finalization.billed(work.connection, work.first_day, codes.values())
        cuts = Cutoffs(work, work.billing.now(work.connection)).of(codes, final)
        return cls(work, billed_with(final, cuts, codes), manifest.newest_batch(work.connection), cuts)

    def computed(self, codes: Mapping[str, int], change: int, unwritten: Unwritten) -> list[Document]:
        """The documents as a change calls for them."""
        as_of = AsOf(self.batch, change)
        computed = recompute(self.work, codes, as_of, self.billed, unwritten=unwritten)
        return [document for of in computed.values() for document in of.documents]

    def if_none_were_final(self, codes: Mapping[str, int], change: int) -> list[Document]:
        """The documents as a change would call for them if all of the customer's could still be changed."""
        calendar, nothing = self.work.billing.calendar, dict.fromkeys(codes.values(), Billed())
        at = calendar.midnight(calendar.first_day)  # before anything is final
        computed = recompute(self.work, codes, AsOf(self.batch, change), nothing, at=at)
        return [document for of in computed.values() for document in of.documents]


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
