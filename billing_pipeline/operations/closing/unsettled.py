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
from itertools import groupby
from uuid import UUID

from billing_pipeline.catalog.subscription import first_difference
from billing_pipeline.catalog.terms import CatalogView, Terms
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.money import Money
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.adjustment import FinalDocument, adjustments, billed_lines
from billing_pipeline.invoicing.assemble import Keyed, Standing, composed_lines, segment_key
from billing_pipeline.invoicing.complete import OtherDocument, Unsettled
from billing_pipeline.invoicing.document import Billed, DocumentIdentity, DocumentKind, Order
from billing_pipeline.invoicing.document_plans import document_plans, fee_home, fees_in
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.documents import customer_credit, final_documents, finalization, late_usage
from billing_pipeline.ledger.documents.final_documents import CustomerPeriod
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.closing.measure_customers import meter_customers
from billing_pipeline.operations.unit import AsOf, Work, terms_of
from billing_pipeline.rating.fees.fees import FeesDue
from billing_pipeline.rating.line import LineKind, RatedLine
from billing_pipeline.rating.pricing import parsed
from billing_pipeline.rating.rate import rate


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Documents as they would be, had a run come just now: for who asks between runs.

    Attributes:
        cut_off: those that wait for the run that locks them, as of their cutoffs: they are final.
        open: those that are not final, by customer code: their place among the customer's, and their period.
    """

    cut_off: Mapping[CustomerPeriod, Sequence[FinalDocument]] = field(default_factory=dict)
    open: Mapping[int, Mapping[Order, date]] = field(default_factory=dict)

    def added_to(
        self, finals: Mapping[CustomerPeriod, Sequence[FinalDocument]], asked: Collection[CustomerPeriod]
    ) -> dict[CustomerPeriod, list[FinalDocument]]:
        """The final documents with those that are cut off, and with what these billed for each."""
        corrections = defaultdict[UUID | None, list[RatedLine]](list)
        for line in (line for waiting in self.cut_off.values() for final in waiting for line in final.lines):
            corrections[line.adjusts_document].append(line)
        return {
            key: [
                replace(final, corrections=(*final.corrections, *corrections[final.plan.identity.id]))
                for final in (*finals.get(key, ()), *self.cut_off.get(key, ()))
            ]
            for key in finals.keys() | (self.cut_off.keys() & asked)
        }


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
        unwritten: what no run has written yet.
    """
    connection = work.connection
    terms = {codes[customer]: customer_terms for customer, customer_terms in terms_of(view, codes).items()}
    differing = _differing(work, terms, as_of, at, unwritten.cut_off)
    credit = customer_credit.credit(connection, list(terms), at)
    if cut and credit:
        # Cut off on the 1st with 3.00 of credit, locked on the 9th: if another document took 2.00 meanwhile, 1.00.
        left = customer_credit.credit(connection, list(credit))
        credit = {code: min(minor, left.get(code, 0)) for code, minor in credit.items()}
    beside = _beside(work, terms)
    asked = differing | beside
    finals = unwritten.added_to(final_documents.finals(connection, asked, as_of.batch, at), asked)
    concerned = {code for code, _ in differing} | credit.keys() | {code for code, _ in finals}
    if not concerned:
        return {}
    again = _Again(work, terms, as_of, finals)
    for code, day in sorted(differing & finals.keys(), key=lambda pair: pair[::-1]):
        try:
            again.compare(code, day)
        except RatingError as error:  # holds this customer alone, whose usage no bill can be meant to have
            again.differences[code].problems.append(f"{day}: {error}")
    others = final_documents.others(connection, concerned, work.first_day, at)
    final_now = {(code, final.plan.order) for (code, _), waiting in unwritten.cut_off.items() for final in waiting}
    # Where nothing carries late usage, it gets a document of its own in the period in which it was received.
    receipts = final_documents.receipts(connection, concerned, work.first_day) | {
        code
        for code, instants in late_usage.late_received(connection, concerned).items()
        if any(work.period.start <= received_at < work.period.end for received_at in instants)
    }
    return {
        terms[code].customer.id: Unsettled(
            adjustments=tuple(again.differences[code].adjustments),
            ended=tuple(again.differences[code].ended),
            others=tuple(
                other
                for other in _with_unwritten(others.get(code, ()), unwritten.open.get(code, {}), work.first_day)
                if (code, other.order) not in final_now
            ),
            credit=credit.get(code, 0),
            receipt=code in receipts,
            problems=tuple(again.differences[code].problems),
            final={day: again.standing(code, day) for of, day in beside & finals.keys() if of == code},
        )
        for code in sorted(concerned)
    }


def _with_unwritten(written: Sequence[OtherDocument], open_: Mapping[Order, date], period: date) -> list[OtherDocument]:
    """The documents of other periods, also those that no run has written yet."""
    known = {other.order for other in written}
    more = [order for order, day in open_.items() if day != period and order not in known]
    return [*written, *(OtherDocument(order, 0) for order in more)]


def _beside(work: Work, terms: Mapping[int, Terms]) -> set[CustomerPeriod]:
    """The periods whose final documents these share bounds and allowances with, where there are any.

    A fixed amount off a month is one allowance for the fees in advance, which the month before bills, and its usage.
    """
    calendar, period = work.billing.calendar, work.period
    around = [near.first_day for near in (calendar.previous(period), calendar.next(period)) if near is not None]
    pairs = {(code, work.first_day) for code in terms}
    return pairs | {(code, day) for code, of in terms.items() if _has_allowance(of) for day in around}


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
    cut_off: Mapping[CustomerPeriod, Sequence[FinalDocument]] = WRITTEN.cut_off,
) -> set[CustomerPeriod]:
    """The customers' periods whose final documents may not say any more what was billed for them."""
    connection = work.connection
    fingerprints = {code: of.fingerprint for code, of in terms.items()}
    differing = final_documents.periods_with_late_usage(connection, terms.keys(), as_of.batch, at)
    changed = final_documents.under_other_terms(connection, fingerprints, at)
    for (code, day), waiting in cut_off.items():
        differing |= {(code, day) for final in waiting if final.late}
        changed += [
            final_documents.UnderOtherTerms(code, day, final.change, None)
            for final in waiting
            if final.terms != fingerprints.get(code)
        ]
    return differing | set(_with_other_fees(work, terms, changed))


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
    """

    def __init__(
        self,
        work: Work,
        terms: Mapping[int, Terms],
        as_of: AsOf,
        finals: Mapping[CustomerPeriod, Sequence[FinalDocument]],
    ) -> None:
        self._work, self._terms, self._as_of, self._finals = work, terms, as_of, finals
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
            self._keep(code, adjustments(lines, final, period))
        for final in self._finals[code, day]:
            if final.replaced:  # another was issued in its place: adjustments of it are taken back
                self._keep(code, adjustments((), final, period))

    def _around(self, code: int, period: BillingPeriod) -> dict[date, tuple[Standing, ...]]:
        """The final documents before and after a period's, as far as they are known here."""
        near = (self._calendar.previous(period), self._calendar.next(period))
        days = [other.first_day for other in near if other is not None and (code, other.first_day) in self._finals]
        return {day: self.standing(code, day) for day in days}

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
            before, more = _split_all([(due.key, line) for due in fees for line in due.lines], then)
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
        customer = self._terms[code].customer.id
        identity = DocumentIdentity(customer, DocumentKind.CLOSING, period.first_day, period.next_day)
        billed = finalization.billed(self._work.connection, period.first_day, [code])[code]
        return None if identity in billed.documents else period.first_day


def _split_all(now: Sequence[Keyed], then: Sequence[RatedLine]) -> tuple[list[Keyed], list[Keyed]]:
    """Fee lines in two: what of them was due then, and what is due besides, which add up to the cent.

    Five seats at 10.00 were 50.00; eight from the 11th on are 16.13 + 54.19. Of 54.19 five eighths, 33.87, were due:
    with 16.13 that is the 50.00, and 20.32 are more.
    """
    lines, later = list[Keyed](), list[Keyed]()
    for fee, same in groupby(sorted(now, key=lambda keyed: _fee(keyed[1])), key=lambda keyed: _fee(keyed[1])):
        split = [(key, *_split(line, then)) for key, line in same]
        # What was due then was rounded as it was then: where the parts miss it by cents, the greatest has them.
        cents = sum(line.amount.minor for line in then if _fee(line) == fee)
        cents -= sum(line.amount.minor for _, line, _ in split if line is not None)
        both = [place for place, (_, line, more) in enumerate(split) if line is not None and more is not None]
        if both and 0 < abs(cents) <= len(split):
            place = max(both, key=lambda place: split[place][2].amount.minor)  # type: ignore[union-attr]
            key, line, more = split[place]
            assert line is not None, "chosen so"  # noqa: S101
            assert more is not None, "chosen so"  # noqa: S101
            moved = Money(cents, line.amount.currency)
            split[place] = (
                key, line._replace(amount=line.amount + moved), more._replace(amount=more.amount - moved)
            )  # fmt: skip
        lines += [(key, line) for key, line, _ in split if line is not None]
        later += [(key, more) for key, _, more in split if more is not None]
    return lines, later


def _fee(line: RatedLine) -> tuple[str, str, str]:
    return line.subscription or "", line.plan or "", line.price or ""


def _split(line: RatedLine, then: Iterable[RatedLine]) -> tuple[RatedLine | None, RatedLine | None]:
    """A fee line in two: what of it was due then, and what is due besides. Of three seats that were two, one."""
    assert line.service_start is not None, "a fee line says what it pays for"  # noqa: S101
    quantity = line.quantity or Decimal(1)
    before = max(
        (
            other.quantity or Decimal(1)
            for other in then
            if _fee(other) == _fee(line)
            and other.service_start is not None
            and other.service_end is not None
            and other.service_start <= line.service_start < other.service_end
        ),
        default=Decimal(0),
    )
    if before >= quantity:
        return line, None
    if not before:
        return None, line
    minor = int(Decimal(line.amount.minor) * before / quantity)
    amount = Money(minor, line.amount.currency)
    rest = line._replace(amount=line.amount - amount, quantity=quantity - before)
    return line._replace(amount=amount, quantity=before), rest


def _is_usage(line: RatedLine) -> bool:
    """A line of a segment: usage, or a price's true-up."""
    return line.price is not None and line.kind in {LineKind.USAGE, LineKind.TRUE_UP}
