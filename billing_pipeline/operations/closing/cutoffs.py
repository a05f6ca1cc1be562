"""Documents that are cut off: found from what is recorded, so that it is the same whoever asks, and however late.

January of a customer with 3 days of grace: its closing document locks from 4 February, 00:00, on (``lock_at``). Its
cutoff is the first instant at or after that at which nothing held it, by the catalog as it was known then:

    nothing else happens                    4 February: usage received on the 3rd is on it, on the 4th it is late
    held on the 2nd, released on the 7th    7 February: usage received on the 5th is on it
    held on the 5th, released on the 6th    4 February: the hold delays the lock and not the cutoff
    grace becomes 6 days on the 2nd         7 February
    grace becomes 6 days on the 4th         4 February: recorded at the cutoff, the change is too late
    grace becomes 0 on the 2nd              2 February and a microsecond: by this change its time had come
    a required source delivers on the 8th   8 February, or 6 February where its deadline is 5 days

Whoever asks on 20 February finds the same as a run on time: each step is what the catalog called for after a change,
and counts until the next one. A document found at a step is billed for the later ones.

What is cut off stays, though nothing calls for it any more. A subscription is recorded to start on 10 January; on the
12th, before any run, its start is moved to March: January has an opening document of the 10th, and no other.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import partial

from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.invoicing.complete import adjustment_plan
from billing_pipeline.invoicing.cutoff import Cut, HeldInterval, History, PlansAt, RecordedChange, cut_off
from billing_pipeline.invoicing.document import Billed, DocumentKind, DocumentPlan, Order
from billing_pipeline.invoicing.document_plans import document_plans
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.documents import final_documents, holds
from billing_pipeline.ledger.documents.states import StoredDocument
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.closing.awaited_sources import delivered_at, required_sources
from billing_pipeline.operations.unit import Work, terms_of

_Changes = Mapping[str, Sequence[tuple[int, datetime]]]  # number and instant of changes, by customer


class Cutoffs:
    """The cutoffs of a period's documents at ``now``, with what they follow from read once.

    Args:
        work: names the period.
        now: the ledger's clock.
        only: ids of the only customers who will be asked for; None: anyone may be.
    """

    def __init__(self, work: Work, now: datetime, only: Collection[str] | None = None) -> None:
        self._work, self._now = work, now
        connection = work.connection
        self._at_start = ledger_catalog.change_before(connection, work.period.start)
        self._at_end = ledger_catalog.change_before(connection, work.period.end)
        newest = ledger_catalog.newest_change(connection)
        self._everyone, self._own = ledger_catalog.concerning(connection, self._at_start, newest, only)

    def may_have_come(self, document: StoredDocument) -> bool:
        """Whether the document's cutoff may have come: False where it says itself that it is still to come."""
        return document.lock_at <= self._now or bool(self._everyone) or document.customer in self._own

    def of_superseded(self, customers: Mapping[str, int], billed: Mapping[int, Billed]) -> list[Cut]:
        """Those of the documents that are cut off which the customers' terms of now alone may not tell of.

        Of most customers they do: since the period's start there was no change of their own, or only their first.
        """
        several = {customer for customer in customers if len(self._own.get(customer, ())) > 1}
        once = sorted(customer for customer in customers if len(self._own.get(customer, ())) == 1)
        if once and self._at_start:
            several |= terms_of(self._work.view(self._at_start, once), once).keys()
        return self.of({customer: code for customer, code in customers.items() if customer in several}, billed)

    def of(self, customers: Mapping[str, int], billed: Mapping[int, Billed]) -> list[Cut]:
        """The documents whose cutoff has come, in the order of customer and issue date.

        Args:
            customers: whose, id → code.
            billed: what is final already, by customer code.
        """
        if not customers:
            return []
        connection, first_day = self._work.connection, self._work.first_day
        shared = {number for number, _ in self._everyone} | {self._at_start, self._at_end}
        catalog = _CatalogThen(self._work, customers, shared, self._own)
        held = holds.intervals(connection, first_day, customers.values())
        waits = list(_waits(self._work, self._at_end))
        receipts = final_documents.receipts(connection, customers.values(), first_day)
        cuts: list[Cut] = []
        for customer, code in sorted(customers.items()):
            plans_at = partial(catalog.plans, customer, receipt=code in receipts)
            own = self._own.get(customer, ())
            # What a change calls for is cut off after it at the earliest: one recorded right now decides nothing yet.
            changes = [RecordedChange(*change) for change in sorted({*self._everyone, *own}) if change[1] < self._now]
            first = self._first_step(plans_at, changes, own)
            history = History(
                first,
                [change for change in changes if change.number > first],
                [HeldInterval(hold.created_at, hold.released_at) for hold in held.get(code, ())],
                waits,
            )
            cuts += (
                replace(cut, terms=catalog.at(cut.change).terms(customer).fingerprint)
                for cut in cut_off(plans_at, billed[code], history, self._now)
            )
        return cuts

    def _first_step(
        self, plans_at: PlansAt, changes: Sequence[RecordedChange], own: Sequence[tuple[int, datetime]]
    ) -> int:
        """The catalog change from which to look for cutoffs: only openings can have one before the period's end.

        Only a customer's own changes call for openings, or call for them no more; what was cut off before stays so.
        """
        over = self._work.period.end <= self._now
        newest = changes[-1].number if changes else self._at_start
        looked_at = {newest, self._at_end} if over else {newest}
        if own:
            looked_at |= {self._at_start, *(number for number, at in own if at < self._now)}
        plans_then = (plan for change in looked_at for plan in plans_at(change, Billed()))
        if any(plan.identity.kind == DocumentKind.OPENING for plan in plans_then):
            return self._at_start
        return self._at_end if over else newest


def in_turn(cuts: Iterable[Cut]) -> Iterator[tuple[date, list[Cut]]]:
    """Documents of one period that can be locked at once, oldest cutoff first; of one instant, in their order."""
    groups: dict[tuple[datetime, Order], list[Cut]] = defaultdict(list)
    for cut in cuts:
        groups[cut.cutoff, cut.plan.order].append(cut)
    for _, same in sorted(groups.items()):
        yield same[0].plan.identity.period, same


class _CatalogThen:
    """The catalog as known at each change: of all candidates, or of those whom alone the change concerns.

    Args:
        work: of the unit.
        candidates: ids of the customers.
        shared: changes at which everyone's terms are looked at.
        own: the other changes, by customer.
    """

    def __init__(self, work: Work, candidates: Collection[str], shared: Collection[int], own: _Changes) -> None:
        self._work, self._candidates, self._shared, self._own = work, candidates, shared, own
        self._views: dict[int, CatalogView] = {}

    def at(self, change: int) -> CatalogView:
        """The catalog through ``change``; each is read once."""
        if change not in self._views:
            concerned = [
                customer
                for customer in sorted(self._candidates)
                if change in self._shared or any(number == change for number, _ in self._own.get(customer, ()))
            ]
            self._views[change] = self._work.billing.view(self._work.connection, change, customers=concerned)
        return self._views[change]

    def plans(self, customer: str, change: int, billed: Billed, *, receipt: bool) -> list[DocumentPlan]:
        """One customer's documents, as the catalog calls for them at a change.

        Args:
            customer: the customer's id.
            change: the catalog as known.
            billed: what is final already.
            receipt: late usage received in the period has a document of its own.
        """
        work, terms = self._work, terms_of(self.at(change), [customer]).get(customer)
        if terms is None:
            return []
        plans = document_plans(terms, work.period, work.billing.calendar, segments(terms, work.period), billed)
        own = adjustment_plan(customer, terms.customer.currency, work.period)
        return [*plans, own] if receipt and own.identity not in billed.documents else plans


def _waits(work: Work, at_end: int) -> Iterator[HeldInterval]:
    """When the period's documents with usage waited for required sources, as the catalog said at each time.

    Required on 1 January, with a watermark that passed the period's end on 8 February: from 1 January to 8 February.
    Required no longer by a change of 7 February: to 7 February. A source may be required in several such stretches.
    """
    connection, period = work.connection, work.period
    changes = [(at_end, period.start), *ledger_catalog.changes_of(connection, "source", at_end)]
    for (change, since), (_, until) in zip(changes, [*changes[1:], (0, None)], strict=True):
        for source in required_sources(work.billing.view(connection, change, customers=()).catalog):
            complete_at = delivered_at(work.billing, connection, period, source)
            end = min((at for at in (complete_at, until) if at is not None), default=None)
            if end is None or end > since:
                yield HeldInterval(since, end)
