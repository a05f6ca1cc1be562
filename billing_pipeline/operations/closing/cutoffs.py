"""Which documents are cut off: found from what is recorded, so that it is the same whoever asks, and however late."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from billing_pipeline.catalog import Catalog
from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.invoicing.assemble import document_plans
from billing_pipeline.invoicing.complete import adjustment_plan
from billing_pipeline.invoicing.document import Billed, DocumentKind, DocumentPlan
from billing_pipeline.invoicing.lock import Cut, HeldInterval, History, RecordedChange, cut_off
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.documents import final_documents, holds
from billing_pipeline.ledger.documents.states import StoredDocument
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.closing.awaited_sources import delivered_at
from billing_pipeline.operations.unit import Work

_Changes = Mapping[str, Sequence[tuple[int, datetime]]]  # number and instant of changes, by customer


class Cutoffs:
    """The cutoffs of a period's documents at ``now``, with what they follow from read once."""

    def __init__(self, work: Work, now: datetime) -> None:
        self._work, self._now = work, now
        connection = work.connection
        self._known = ledger_catalog.change_before(connection, work.period.start)
        self._at_end = ledger_catalog.change_before(connection, work.period.end)
        newest = ledger_catalog.newest_change(connection)
        self._everyone, self._own = ledger_catalog.concerning(connection, self._known, newest)

    def may_have_come(self, document: StoredDocument) -> bool:
        """False where the document as it stands says that its cutoff is still to come."""
        return document.lock_at <= self._now or bool(self._everyone) or document.customer in self._own

    def of(self, customers: Mapping[str, int], billed: Mapping[int, Billed]) -> list[Cut]:
        """The documents whose cutoff has come, in the order of customer and issue date.

        Args:
            customers: whose, id → code.
            billed: what is final already, by customer code.
        """
        if not customers:
            return []
        connection, first_day = self._work.connection, self._work.first_day
        shared = {number for number, _ in self._everyone} | {self._known, self._at_end}
        views = _Views(self._work, customers, shared, self._own)
        held = holds.intervals(connection, first_day, customers.values())
        waits = list(_waits(self._work, self._at_end))
        receipts = final_documents.receipts(connection, customers.values(), first_day)
        cuts: list[Cut] = []
        for customer, code in sorted(customers.items()):
            plans = _Plans(views, customer, receipt=code in receipts)
            own = self._own.get(customer, ())
            changes = [RecordedChange(*one) for one in sorted({*self._everyone, *own}) if one[1] < self._now]
            known = self._first_step(plans, changes, own)
            changes = [one for one in changes if one.number > known]
            intervals = [HeldInterval(one.created_at, one.released_at) for one in held.get(code, ())]
            history = History(known, changes, intervals, waits)
            cuts += (
                replace(cut, terms=views.at(cut.change).terms(customer).fingerprint)
                for cut in cut_off(plans, billed[code], history, self._now)
            )
        return cuts

    def _first_step(
        self, plans: "_Plans", changes: Sequence[RecordedChange], own: Sequence[tuple[int, datetime]]
    ) -> int:
        """The catalog change from which to look for cutoffs: only openings can have one before the period's end.

        Only a customer's own changes call for openings, or call for them no more; what was cut off before stays so.
        """
        newest = changes[-1].number if changes else self._known
        looked_at = {newest, self._at_end} if self._work.period.end <= self._now else {newest}
        if own:
            looked_at |= {self._known, *(number for number, at in own if at < self._now)}
        if any(one.identity.kind is DocumentKind.OPENING for change in looked_at for one in plans(change, Billed())):
            return self._known
        return self._at_end if self._work.period.end <= self._now else newest


@dataclass(frozen=True, slots=True)
class _Plans:
    """One customer's documents, as the catalog calls for them at a change.

    Attributes:
        receipt: late usage received in the period has a document of its own.
    """

    views: "_Views"
    customer: str
    receipt: bool

    def __call__(self, change: int, billed: Billed) -> list[DocumentPlan]:
        view, work = self.views.at(change), self.views.work
        if self.customer not in work.known_customers(view):
            return []
        terms = view.terms(self.customer)
        plans = document_plans(terms, work.period, work.billing.calendar, segments(terms, work.period), billed)
        own = adjustment_plan(self.customer, terms.customer.currency, work.period)
        return [*plans, own] if self.receipt and own.identity not in billed.documents else plans


class _Views:
    """The catalog as known at each change: of all candidates, or of those whom alone the change concerns.

    Args:
        work: of the unit.
        candidates: ids of the customers.
        shared: changes at which everyone's terms are looked at.
        own: the other changes, by customer.
    """

    def __init__(self, work: Work, candidates: Collection[str], shared: Collection[int], own: _Changes) -> None:
        self.work = work
        self._candidates, self._shared, self._own = candidates, shared, own
        self._views: dict[int, CatalogView] = {}

    def at(self, change: int) -> CatalogView:
        """The catalog through ``change``; each is read once."""
        if change not in self._views:
            concerned = self._candidates if change in self._shared else self._concerned(change)
            self._views[change] = self.work.billing.view(self.work.connection, change, customers=sorted(concerned))
        return self._views[change]

    def _concerned(self, change: int) -> set[str]:
        return {
            one
            for one, changes in self._own.items()
            if one in self._candidates and any(number == change for number, _ in changes)
        }


def _waits(work: Work, known: int) -> Iterator[HeldInterval]:
    """When the period's documents with usage waited for required sources, as the catalog said at each time."""
    connection, period = work.connection, work.period
    changes = [(known, period.start), *ledger_catalog.changes_of(connection, "source", known)]
    for (change, since), (_, until) in zip(changes, [*changes[1:], (0, None)], strict=True):
        catalog = work.billing.view(connection, change, customers=()).catalog
        for complete_at in _complete_at(work, catalog) if catalog else ():
            end = min((one for one in (complete_at, until) if one is not None), default=None)
            if end is None or end > since:
                yield HeldInterval(since, end)


def _complete_at(work: Work, catalog: Catalog) -> Iterator[datetime | None]:
    """For each required source: when it had delivered the period, or its deadline had passed; None: not yet."""
    for source in catalog.sources.values():
        if source.required:
            yield delivered_at(work.billing, work.connection, work.period, source)
