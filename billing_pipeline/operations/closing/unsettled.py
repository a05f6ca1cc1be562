"""Unsettled: what other periods bring to a customer's documents. Differences of final documents, and customer credit.

A period with something final is put together again, whole: each final document under the terms known at its cutoff,
over all usage known; its fees under the terms known now. The difference to what was billed, document by document, goes
on the customer's first document that is not final.

Calls at 1.00 each, no grace; January's 10 calls were billed on 1 February, 10.00, and January is restated three times:

    5 February   15 calls in all: 15 - 10 = 5.00 more, an adjustment on February's document of 1 March
    5 March      12 calls: 12 - (10 + 5) = -3.00 on March's document of 1 April. Its total is negative: nothing is to be
                 paid, and the customer has a credit of 3.00
    5 April      13 calls: 13 - (10 + 5 - 3) = 1.00 on April's document of 1 May, which is paid with 1.00 of the credit

While April's document is a draft, this module says of it: adjustments of 1.00, credit of 3.00, and that no document of
another period comes before it. What of that it carries and uses is decided in ``invoicing/complete.py``.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby, pairwise
from uuid import UUID

from billing_pipeline.catalog.plan import Fee, FeeCadence
from billing_pipeline.catalog.subscription import first_difference
from billing_pipeline.catalog.terms import CatalogView, Terms
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.money import Money
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.adjustment import FinalDocument, ServiceStarts, adjustments, billed_lines
from billing_pipeline.invoicing.assemble import Keyed, Standing, composed_lines, segment_key
from billing_pipeline.invoicing.complete import OtherDocument, Unsettled
from billing_pipeline.invoicing.document import Billed, DocumentIdentity, DocumentKind, Order
from billing_pipeline.invoicing.document_plans import document_plans, fee_home, fees_in, sharing_periods
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import customer_credit, final_documents, finalization, late_usage
from billing_pipeline.ledger.documents.final_documents import CustomerPeriod
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.closing.measure_customers import meter_customers
from billing_pipeline.operations.unit import AsOf, Work, terms_of
from billing_pipeline.rating.fees.fees import FeesDue, service_starts
from billing_pipeline.rating.line import LineKind, RatedLine
from billing_pipeline.rating.pricing import parsed
from billing_pipeline.rating.rate import rate


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Documents as they would be, had all runs come in time: for who asks between runs, and while some are held.

    Attributes:
        cut_off: those that wait for what locks them, as of their cutoffs: they count as final.
        open: those that are not final, by customer code: their place among the customer's, and their period.
    """

    cut_off: Mapping[CustomerPeriod, Sequence[FinalDocument]] = field(default_factory=dict)
    open: Mapping[int, Mapping[Order, date]] = field(default_factory=dict)


WRITTEN = Unwritten()


def find_unsettled(
    work: Work,
    view: CatalogView,
    codes: Mapping[str, int],
    as_of: AsOf,
    at: datetime | None = None,
    *,
    cut: bool = False,
    unwritten: Unwritten = WRITTEN,
) -> dict[str, Unsettled]:
    """What other periods bring to these customers' documents, by customer; without those for whom it is nothing.

    Args:
        work: names the period.
        view: the catalog as known.
        codes: the customers, id → code.
        as_of: the last batch and catalog change to include.
        at: as all stood before this instant; None: as it stands.
        cut: it is for documents cut off then and final only now: credit that others have used since is gone.
        unwritten: what no run has written, or made final, yet.
    """
    connection = work.connection
    terms = {codes[customer]: customer_terms for customer, customer_terms in terms_of(view, codes).items()}
    waiting = _as_of(unwritten.cut_off, terms.keys(), as_of)
    differing = _differing(work, terms, as_of, at, waiting)
    credit = customer_credit.credit(connection, list(terms), at)
    if cut and credit:
        # Cut off on the 1st with 3.00 of credit, locked on the 9th: if another document took 2.00 meanwhile, 1.00.
        left = customer_credit.credit(connection, list(credit))
        credit = {code: min(minor, left.get(code, 0)) for code, minor in credit.items()}
    beside = _beside(work, terms, {(code, work.first_day) for code in terms})
    differing |= _beside(work, terms, differing)  # where one uses more of an allowance, others have less of it
    known = beside | _beside(work, terms, differing)
    finals = final_documents.finals(connection, known, as_of.batch, at)
    if waiting:
        finals = _with_cut_off(connection, finals, waiting, known, at)
    concerned = {code for code, _ in differing} | credit.keys() | {code for code, _ in finals}
    if not concerned:
        return {}
    again = _Again(work, terms, as_of, finals, _Closed(work, waiting, at))
    for code, day in sorted(differing & finals.keys(), key=lambda pair: pair[::-1]):
        try:
            again.compare(code, day)
        except RatingError as error:  # holds this customer alone, whose usage no bill can be meant to have
            again.differences[code].problems.append(f"{day}: {error}")
    others = final_documents.others(connection, concerned, work.first_day, at)
    cut_off = places(waiting)
    # Where nothing carries what came late, it gets a document of its own in the period in which it was received; other
    # fees, in that in which the change was recorded.
    receipts = final_documents.receipts(connection, concerned, work.first_day) | {
        code
        for code, instants in late_usage.late_received(connection, concerned).items()
        if any(work.period.start <= received_at < work.period.end for received_at in instants)
    }
    differing_now = {code for code, differences in again.differences.items() if differences.adjustments}
    receipts |= _changed_in_period(
        work, terms, as_of, {key: of for key, of in finals.items() if key[0] in differing_now}
    )
    if at is None:  # that document may be final by now: what came up since is for one of a later period
        billed = finalization.billed(connection, work.first_day, receipts)
        receipts = {
            code
            for code in receipts
            if all(identity.kind != DocumentKind.ADJUSTMENT for identity in billed[code].documents)
        }
    return {
        terms[code].customer.id: Unsettled(
            adjustments=tuple(again.differences[code].adjustments),
            ended=tuple(again.differences[code].ended),
            others=tuple(
                replace(other, cut_off=(code, other.order[1:]) in cut_off)
                for other in _with_unwritten(others.get(code, ()), unwritten.open.get(code, {}), work.first_day)
            ),
            credit=credit.get(code, 0),
            receipt=code in receipts,
            problems=tuple(again.differences[code].problems),
            final={day: again.standing(code, day) for of, day in beside & finals.keys() if of == code},
        )
        for code in sorted(concerned)
    }


def _changed_in_period(
    work: Work, terms: Mapping[int, Terms], as_of: AsOf, finals: Mapping[CustomerPeriod, Sequence[FinalDocument]]
) -> set[int]:
    """The customers with final documents of whom something was recorded in the period, after one was cut off."""
    cut_off: dict[int, int] = {}
    for (code, _), documents in finals.items():
        cut_off[code] = min([*(final.change for final in documents), cut_off.get(code, as_of.change)])
    if not cut_off:
        return set()
    of = {terms[code].customer.id: code for code in cut_off}
    _, own = ledger_catalog.concerning(work.connection, min(cut_off.values()), as_of.change, of.keys())
    return {
        of[customer]
        for customer, changes in own.items()
        if any(number > cut_off[of[customer]] and work.period.start <= at < work.period.end for number, at in changes)
    }


CutOff = Mapping[CustomerPeriod, Sequence[FinalDocument]]


def places(cut_off: CutOff) -> set[tuple[int, tuple[date, int, date]]]:
    """Customer code and place of each document, without the instant from which it locks, which may not be written."""
    return {(code, final.plan.order[1:]) for (code, _), waiting in cut_off.items() for final in waiting}


def _as_of(cut_off: CutOff, codes: Collection[int], as_of: AsOf) -> CutOff:
    """These customers' documents, each saying whether usage that counts was received after its cutoff."""
    return {
        key: [replace(final, late=final.plan.has_usage and final.batch < as_of.batch) for final in waiting]
        for key, waiting in cut_off.items()
        if key[0] in codes
    }


def _with_cut_off(
    connection: Connection,
    finals: Mapping[CustomerPeriod, Sequence[FinalDocument]],
    cut_off: CutOff,
    looked_at: Iterable[CustomerPeriod],
    at: datetime | None,
) -> dict[CustomerPeriod, list[FinalDocument]]:
    """Final documents, with those that are cut off: what corrects these, and what these correct, counts."""
    waiting = [final for of_period in cut_off.values() for final in of_period]
    corrections = defaultdict[UUID, list[RatedLine]](list)
    corrections |= final_documents.corrections(connection, [final.plan.identity.id for final in waiting], at)
    for line in (line for final in waiting for line in final.lines):
        if line.adjusts_document is not None:
            corrections[line.adjusts_document].append(line)
    both = {key: [*finals.get(key, ()), *cut_off.get(key, ())] for key in looked_at}
    return {
        key: [
            replace(final, corrections=(*final.corrections, *corrections[final.plan.identity.id]))
            for final in of_period
        ]
        for key, of_period in both.items()
        if of_period
    }


def _with_unwritten(written: Sequence[OtherDocument], open_: Mapping[Order, date], period: date) -> list[OtherDocument]:
    """The documents of other periods, also those that no run has written yet."""
    known = {other.order for other in written}
    more = [order for order, day in open_.items() if day != period and order not in known]
    return [*written, *(OtherDocument(order, 0) for order in more)]


def _beside(work: Work, terms: Mapping[int, Terms], of: Iterable[CustomerPeriod]) -> set[CustomerPeriod]:
    """Customers' periods, with those whose documents share allowances with theirs, where there are any.

    A fixed amount off a month is one allowance for its usage, the fees in advance that the month before bills, and a
    quarter's fee in arrears that starts in it.
    """
    calendar, beside = work.billing.calendar, set[CustomerPeriod]()
    for code, day in of:
        beside.add((code, day))
        if _has_allowance(terms[code]):
            period = calendar.period(day.isoformat())
            beside |= {(code, other.first_day) for other in sharing_periods(terms[code], period, calendar)}
    return beside


def _has_allowance(terms: Terms) -> bool:
    """Whether a fixed amount is off each month: only that can be used up."""
    return any(discount.amount is not None for discount in terms.discounts)


def sharing(work: Work, codes: Mapping[str, int]) -> set[int]:
    """Codes of the customers whose documents share something: what one bills leaves less of it, or more, for others."""
    view = work.view(ledger_catalog.newest_change(work.connection), codes)
    return {
        codes[customer]
        for customer, terms in terms_of(view, codes).items()
        if _has_allowance(terms)
        or any(plan.minimum is not None or plan.maximum is not None for plan in terms.plans.values())
    }


def may_be_unsettled(work: Work, codes: Mapping[str, int], as_of: AsOf) -> set[int]:
    """Codes of the customers for whom :func:`find_unsettled` may find something."""
    view = work.view(as_of.change, codes)
    terms = {codes[customer]: customer_terms for customer, customer_terms in terms_of(view, codes).items()}
    differing = {code for code, _ in _differing(work, terms, as_of, None)}
    return differing | customer_credit.credit(work.connection, list(terms)).keys()


def _differing(
    work: Work,
    terms: Mapping[int, Terms],
    as_of: AsOf,
    at: datetime | None,
    cut_off: CutOff = WRITTEN.cut_off,
) -> set[CustomerPeriod]:
    """The customers' periods whose final documents may not say any more what was billed for them."""
    connection = work.connection
    fingerprints = {code: of.fingerprint for code, of in terms.items()}
    differing = final_documents.periods_with_late_usage(connection, terms.keys(), as_of.batch, at)
    differing |= final_documents.out_of_order(
        connection, {code for code, of in terms.items() if _has_allowance(of)}, at
    )
    changed = final_documents.under_other_terms(connection, fingerprints, at)
    for (code, day), waiting in cut_off.items():
        differing |= {(code, day) for final in waiting if final.late}
        changed += [
            final_documents.UnderOtherTerms(code, day, final.change, None)
            for final in waiting
            if final.terms != fingerprints.get(code)
        ]
    changed += _corrected_under_other_terms(connection, fingerprints, cut_off)
    return differing | set(_with_other_fees(work, terms, changed))


def _corrected_under_other_terms(
    connection: Connection, fingerprints: Mapping[int, str], cut_off: CutOff
) -> list[final_documents.UnderOtherTerms]:
    """The documents whose fees were corrected by one that is cut off, under other terms than are known now."""
    corrected = {
        (line.adjusts_document, final.change)
        for (code, _), waiting in cut_off.items()
        for final in waiting
        for line in final.lines
        if line.adjusts == LineKind.FEE and line.adjusts_document and final.terms != fingerprints.get(code)
    }
    days = {final.plan.identity.id: key for key, waiting in cut_off.items() for final in waiting}
    days |= final_documents.periods_of(connection, {document for document, _ in corrected} - days.keys())
    return [
        final_documents.UnderOtherTerms(*days[document], change, None)
        for document, change in sorted(corrected, key=str)
    ]


def _with_other_fees(
    work: Work, terms: Mapping[int, Terms], final: Iterable[final_documents.UnderOtherTerms]
) -> Iterator[CustomerPeriod]:
    """The periods of final documents whose fees, of the days since the first difference, may be others now.

    On 10 March a plan is changed. What February's closing document bills reaches to the end of March: it is asked. What
    January's bills ends with February, and no later term can change it.
    """
    by_change: dict[int, list[final_documents.UnderOtherTerms]] = defaultdict(list)
    for document in final:
        by_change[document.change].append(document)
    calendar = work.billing.calendar
    for change, documents in sorted(by_change.items()):
        customers = {terms[document.customer].customer.id for document in documents}
        then = terms_of(work.billing.view(work.connection, change, customers=sorted(customers)), customers)
        since = {code: _first_other(then, terms[code]) for code in {document.customer for document in documents}}
        for document in documents:
            first = since[document.customer]
            if first is None:
                continue
            period = calendar.period(document.period.isoformat())
            due = fees_in(terms[document.customer], period, calendar)
            ends = [line.service_end for fees in due for line in fees.lines if line.service_end]
            reach = max([period.next_day, *ends, *([document.reach] if document.reach else [])])
            if calendar.local_day(first) < reach:
                yield document.customer, document.period


def _first_other(then: Mapping[str, Terms], now: Terms) -> datetime | None:
    """The first instant from which a customer is on other plans or quantities than then; None: there is none."""
    known = then.get(now.customer.id)
    before = {subscription.id: subscription for subscription in known.subscriptions} if known else {}
    differences = (first_difference(before.get(now_.id), now_) for now_ in now.subscriptions)
    return min((instant for instant in differences if instant is not None), default=None)


@dataclass(slots=True)
class _CustomerDifferences:
    """One customer's differences, being collected."""

    adjustments: list[RatedLine] = field(default_factory=list)
    ended: list[tuple[date, RatedLine]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


_Pair = tuple[FinalDocument, Standing]


class _Again:
    """Final documents put together again, as they would stand now.

    Args:
        work: gives the ledger.
        terms: the customers' as known now, by code.
        as_of: the last batch and catalog change to include.
        finals: by customer code and period.
        closed: which periods are closed already.
    """

    def __init__(
        self,
        work: Work,
        terms: Mapping[int, Terms],
        as_of: AsOf,
        finals: Mapping[CustomerPeriod, Sequence[FinalDocument]],
        closed: "_Closed",
    ) -> None:
        self._work, self._terms, self._as_of, self._finals, self._closed = work, terms, as_of, finals, closed
        self._calendar = work.billing.calendar
        self._views: dict[int, CatalogView] = {}
        self._rated: dict[date, dict[tuple[int, int], tuple[RatedLine, ...]]] = {}
        self._pairs: dict[CustomerPeriod, list[_Pair]] = {}
        self.differences: dict[int, _CustomerDifferences] = defaultdict(_CustomerDifferences)

    def standing(self, code: int, day: date) -> tuple[Standing, ...]:
        """A customer's final documents of a period as they would stand now, without those issued again."""
        return tuple(standing for _, standing in self._period(code, day))

    def compare(self, code: int, day: date) -> None:
        """Keep the differences of the final documents of a customer and period to what they would say now."""
        terms, period = self._terms[code], self._calendar.period(day.isoformat())
        pairs = self._period(code, day)
        standing = [standing for _, standing in pairs]
        billed = Billed(
            frozenset(key for final, _ in pairs for key in final.plan.covers),
            frozenset(final.plan.identity for final, _ in pairs),
        )
        # What is not final bills nothing here; but a plan's bounds may stand on it.
        open_plans = document_plans(terms, period, self._calendar, segments(terms, period), billed)
        standing += [Standing(plan, terms, ()) for plan in open_plans]
        around = self._around(code, period)
        now = composed_lines(terms, period, self._calendar, standing, around)
        for (final, _), lines in zip(pairs, now, strict=False):
            self._keep(code, adjustments(lines, final, period, self._service_starts(code, final)))
        for final in self._finals[code, day]:
            if final.replaced:  # another was issued in its place: adjustments of it are taken back
                self._keep(code, adjustments((), final, period, self._service_starts(code, final)))

    def _service_starts(self, code: int, final: FinalDocument) -> ServiceStarts:
        terms = self._terms[code]
        plans = {**self._terms_at(code, final).plans, **terms.plans}
        return lambda line: service_starts(terms, self._calendar, line, plans)

    def _around(self, code: int, period: BillingPeriod) -> dict[date, tuple[Standing, ...]]:
        """The final documents of other periods that a period's share allowances with."""
        if not _has_allowance(self._terms[code]):
            return {}
        others = (other.first_day for other in sharing_periods(self._terms[code], period, self._calendar))
        return {day: self.standing(code, day) for day in others if day != period.first_day}

    def _period(self, code: int, day: date) -> list[_Pair]:
        if (code, day) not in self._pairs:
            period = self._calendar.period(day.isoformat())
            finals = [final for final in self._finals.get((code, day), ()) if not final.replaced]
            self._pairs[code, day] = [(final, self._standing(period, code, final, finals)) for final in finals]
        return self._pairs[code, day]

    def _standing(
        self, period: BillingPeriod, code: int, final: FinalDocument, finals: Sequence[FinalDocument]
    ) -> Standing:
        """One final document as it would stand now.

        The terms are those known at its cutoff, save for fees: a plan assigned later does not price its usage anew.
        """
        terms = self._terms_at(code, final)
        fees = list(self._fees(period, code, final, finals))
        usage = [line for line in billed_lines(final, period) if _is_usage(line)]
        if final.late:
            # Late usage of a volume price would change the price of what was billed for good: it stays as billed.
            in_force = {part.key: parsed(part.price).model for part in segments(terms, period)}
            kept = {key for key, model in in_force.items() if model == "volume"}
            usage = [line for line in usage if segment_key(line) in kept]
            rated = [line for line in self._rated_in(period)[code, final.change] if _is_usage(line)]
            keys = final.plan.covers - kept
            usage += (line for line in rated if segment_key(line) in keys)
        lines: list[Keyed] = [(segment_key(line), line) for line in usage]
        later: list[Keyed] = []
        then = self._fees_then(period, final, terms) if terms is not self._terms[code] else None
        if then is None:
            lines += [(due.key, line) for due in fees for line in due.lines]
        else:
            before, more = _split_all(self._terms[code], [(due.key, line) for due in fees for line in due.lines], then)
            lines, later = [*lines, *before], more
        covers = final.plan.covers | {due.key for due in fees}
        return Standing(replace(final.plan, covers=covers), terms, lines, later)

    def _fees_then(self, period: BillingPeriod, final: FinalDocument, terms: Terms) -> list[RatedLine]:
        """The fee lines that were due on a document at its cutoff."""
        due = (fees for fees in fees_in(terms, period, self._calendar) if fees.key in final.plan.covers)
        return [line for fees in due for line in fees.lines]

    def _terms_at(self, code: int, final: FinalDocument) -> Terms:
        now = self._terms[code]
        if final.terms == now.fingerprint:
            return now
        return terms_of(self._view(final.change), [now.customer.id]).get(now.customer.id, now)

    def _view(self, change: int) -> CatalogView:
        """The catalog as known at a cutoff, as far as it concerns those who have a document of that cutoff."""
        if change not in self._views:
            of = {code for (code, _), finals in self._finals.items() if any(final.change == change for final in finals)}
            customers = sorted(self._terms[code].customer.id for code in of)
            self._views[change] = self._work.billing.view(self._work.connection, change, customers=customers)
        return self._views[change]

    def _rated_in(self, period: BillingPeriod) -> dict[tuple[int, int], tuple[RatedLine, ...]]:
        """The usage of documents that some came late for, under the terms of each: by customer and change."""
        if period.first_day not in self._rated:
            by_change: dict[int, dict[str, int]] = defaultdict(dict)
            for (code, day), finals in self._finals.items():
                for final in finals if day == period.first_day else ():
                    if final.late:
                        by_change[final.change][self._terms[code].customer.id] = code
            work, rated = replace(self._work, period=period), {}
            for change, codes in sorted(by_change.items()):
                view = self._view(change)
                buckets = tuple(sorted({work.billing.facts.bucket_of(code) for code in codes.values()}))
                metering = meter_customers(replace(work, buckets=buckets), view, codes, self._as_of.batch)
                for customer, code in codes.items():
                    terms, quantities = view.terms(customer), metering.quantities.get(customer, ())
                    priced = rate(terms, metering.segments[customer], quantities, self._calendar)
                    rated[code, change] = priced.lines
                    self.differences[code].problems += (f"{period.key} {problem}" for problem in priced.problems)
            self._rated[period.first_day] = rated
        return self._rated[period.first_day]

    def _keep(self, code: int, lines: Iterable[RatedLine]) -> None:
        """Keep a customer's adjustments: those of ended subscriptions by the period whose document they go on."""
        for line in lines:
            day = self._closed_by(code, line)
            if day is None:
                self.differences[code].adjustments.append(line)
            else:
                self.differences[code].ended.append((day, line))

    def _fees(
        self, period: BillingPeriod, code: int, final: FinalDocument, finals: Sequence[FinalDocument]
    ) -> Iterator[FeesDue]:
        """What is due now for the fees of a document: those it bills, and those it would have billed."""
        terms, identity = self._terms[code], final.plan.identity
        elsewhere = {key for document in finals if document is not final for key in document.plan.covers}
        for fees in fees_in(terms, period, self._calendar):
            home = fee_home(fees, terms, period, self._calendar)
            would_have = fees.key not in elsewhere and home == replace(identity, reissue=0)
            if fees.key in final.plan.covers or would_have:
                yield fees

    def _closed_by(self, code: int, line: RatedLine) -> date | None:
        """The period whose closing document credits a fee because its subscription ends; None: the first one does.

        1200.00 were paid for a year on 1 January; the subscription is cancelled on 10 March, to end on the 16th: the
        credit of 956.71 goes on March's closing document, of 1 April, also where February's is not final yet.
        """
        if line.adjusts != LineKind.FEE or line.amount.minor > 0:
            return None
        subscriptions = self._terms[code].subscriptions
        end = next((subscription.end for subscription in subscriptions if subscription.id == line.subscription), None)
        if end is None or line.service_end is None or self._calendar.local_day(end) > line.service_end:
            return None
        period = self._calendar.period_of(end)
        if period is None:
            return None
        return None if self._closed.holds(code, self._terms[code].customer.id, period) else period.first_day


@dataclass(frozen=True, slots=True)
class _Closed:
    """Which customers' periods have a closing document that nothing is added to.

    Attributes:
        cut_off: documents that count as final.
        at: as all stood before this instant; None: as it stands.
    """

    work: Work
    cut_off: CutOff
    at: datetime | None

    def holds(self, code: int, customer: str, period: BillingPeriod) -> bool:
        """Whether a customer's period is closed: what ends in it is credited elsewhere."""
        identity = DocumentIdentity(customer, DocumentKind.CLOSING, period.first_day, period.next_day)
        if any(final.plan.identity == identity for final in self.cut_off.get((code, period.first_day), ())):
            return True
        billed = finalization.billed(self.work.connection, period.first_day, [code], self.at)
        return identity in billed[code].documents


def _split_all(terms: Terms, now: Sequence[Keyed], then: Sequence[RatedLine]) -> tuple[list[Keyed], list[Keyed]]:
    """Fee lines in two: what of them was due then, and what is due besides, which add up to the cent.

    Five seats at 10.00 were 50.00; eight from the 11th on are 16.13 + 54.19. Of 54.19 five eighths, 33.87, were due:
    with 16.13 that is the 50.00, and 20.32 are more. Of a fee of 31.00 for January 12.00 were due for the days from
    the 20th; where the start is moved to the 1st, 19.00 are more.
    """
    lines, later = list[Keyed](), list[Keyed]()
    for fee, same in groupby(sorted(now, key=lambda keyed: _fee(keyed[1])), key=lambda keyed: _fee(keyed[1])):
        due_now = list(same)
        was = [line for line in then if _fee(line) == fee]
        if _is_once(terms, due_now[0][1]):  # due for its plan, whichever day that begins
            first, end = _days(due_now[0][1])
            was = [line._replace(service_start=first, service_end=end) for line in was]
        pieces = [(key, piece) for key, line in due_now for piece in _pieces(terms, line, was)]
        before = [(key, part) for key, piece in pieces if (part := _due_before(piece, was)) is not None]
        more = [(key, rest) for key, piece in pieces if (rest := _due_besides(piece, was)) is not None]
        # What was due then was rounded as it was then: where the parts miss it by cents, the greatest has them.
        cents = sum(line.amount.minor for line in was) - sum(line.amount.minor for _, line in before)
        if before and more and 0 < abs(cents) <= len(pieces):
            _move(before, cents)
            _move(more, -cents)
        lines += before
        later += more
    return lines, later


def _fee(line: RatedLine) -> tuple[str, str, str]:
    return line.subscription or "", line.plan or "", line.price or ""


def _fee_of(terms: Terms, line: RatedLine) -> Fee:
    plan = terms.plans[line.plan or "", line.plan_version or 0]
    return next(fee for fee in plan.fees if fee.id == line.price)


def _is_once(terms: Terms, line: RatedLine) -> bool:
    return _fee_of(terms, line).every is FeeCadence.ONCE


def _move(lines: list[Keyed], cents: int) -> None:
    """Add cents to the greatest of some lines."""
    place = max(range(len(lines)), key=lambda place: lines[place][1].amount.minor)
    key, line = lines[place]
    lines[place] = key, line._replace(amount=line.amount + Money(cents, line.amount.currency))


def _pieces(terms: Terms, line: RatedLine, was: Sequence[RatedLine]) -> Iterator[RatedLine]:
    """A fee line, cut where what was due then began, ended or had another quantity; they add up to it.

    What is not prorated is the same for however many days: it is in one piece.
    """
    first, end = _days(line)
    days = {first, end}
    if _fee_of(terms, line).prorate:
        days |= {day for other in was for day in _days(other) if first < day < end}
    left = line.amount.minor
    for day, following in pairwise(sorted(days)):
        minor = left if following == end else line.amount.minor * (following - day).days // (end - first).days
        left -= minor
        amount = Money(minor, line.amount.currency)
        yield line._replace(service_start=day, service_end=following, amount=amount)


def _due_before(line: RatedLine, was: Sequence[RatedLine]) -> RatedLine | None:
    """What of a piece of a fee was due then: of three seats that were two, two. It counts from when it did."""
    quantity, before = line.quantity or Decimal(1), _quantity_then(line, was)
    if not before:
        return None
    start = next((other.start for other in was if _days(other)[0] == _days(line)[0]), line.start)
    if before >= quantity:
        return line._replace(start=start)
    minor = int(Decimal(line.amount.minor) * before / quantity)
    return line._replace(amount=Money(minor, line.amount.currency), quantity=before, start=start)


def _due_besides(line: RatedLine, was: Sequence[RatedLine]) -> RatedLine | None:
    """What of a piece of a fee is due besides."""
    before = _due_before(line, was)
    if before is None:
        return line
    quantity = (line.quantity or Decimal(1)) - (before.quantity or Decimal(1))
    if not quantity:
        return None
    return line._replace(amount=line.amount - before.amount, quantity=quantity)


def _quantity_then(line: RatedLine, was: Sequence[RatedLine]) -> Decimal:
    """How many of a fee were due then for the days of a piece."""
    first, end = _days(line)
    during = (other for other in was if _days(other)[0] < end and first < _days(other)[1])
    return max((other.quantity or Decimal(1) for other in during), default=Decimal(0))


def _days(line: RatedLine) -> tuple[date, date]:
    assert line.service_start is not None, "a fee line says what it pays for"  # noqa: S101
    assert line.service_end is not None, "a fee line says what it pays for"  # noqa: S101
    return line.service_start, line.service_end


def _is_usage(line: RatedLine) -> bool:
    """A line of a segment: usage, or a price's true-up."""
    return line.price is not None and line.kind in {LineKind.USAGE, LineKind.TRUE_UP}
