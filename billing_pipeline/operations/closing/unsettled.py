"""Unsettled: what other periods bring to a customer's documents. Differences of final documents, and customer credit.

A final document is computed again under the terms in force at its lock, over all usage known; its fees under the terms
known now. The difference to what was billed for it goes on the customer's first document that is not final.

Calls at 1.00 each, no grace; January's 10 calls were billed on 1 February, 10.00, and January is restated three times:

    5 February   15 calls in all: 15 - 10 = 5.00 more, an adjustment on February's document of 1 March
    5 March      12 calls: 12 - (10 + 5) = -3.00 on March's document of 1 April. Its total is negative: nothing is to be
                 paid, and the customer has a credit of 3.00
    5 April      13 calls: 13 - (10 + 5 - 3) = 1.00 on April's document of 1 May, which is paid with 1.00 of the credit

While April's document is a draft, this module says of it: adjustments of 1.00, credit of 3.00, and that no document of
another period comes before it. What of that it carries and uses is decided in ``invoicing/complete.py``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from billing_pipeline.catalog.plan import FeeCadence
from billing_pipeline.catalog.terms import CatalogView, Terms
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.adjustment import FinalDocument, adjustments, billed_lines
from billing_pipeline.invoicing.assemble import Keyed, lines_on, segment_key
from billing_pipeline.invoicing.complete import Unsettled
from billing_pipeline.invoicing.document import DocumentIdentity, DocumentKind
from billing_pipeline.invoicing.document_plans import fee_home, fees_in
from billing_pipeline.ledger.documents import customer_credit, final_documents, finalization, late_usage
from billing_pipeline.ledger.documents.final_documents import CustomerPeriod
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.closing.measure_customers import meter_customers
from billing_pipeline.operations.unit import AsOf, Work, terms_of
from billing_pipeline.rating.line import LineKind, RatedLine
from billing_pipeline.rating.pricing import parsed
from billing_pipeline.rating.rate import rate

_LONGEST = {FeeCadence.YEAR: 366, FeeCadence.QUARTER: 92}
_A_MONTH = 31


def find_unsettled(
    work: Work,
    view: CatalogView,
    codes: Mapping[str, int],
    as_of: AsOf,
    at: datetime | None = None,
    *,
    cut: bool = False,
) -> dict[str, Unsettled]:
    """What other periods bring to these customers' documents, by customer; without those for whom it is nothing.

    Args:
        work: names the period.
        view: the catalog as known.
        codes: the customers, id → code.
        as_of: the last batch and catalog change to include.
        at: as all stood before this instant; None: as it stands.
        cut: it is for documents cut off then and final only now: credit that others have used since is gone.
    """
    connection = work.connection
    terms = {codes[customer]: customer_terms for customer, customer_terms in terms_of(view, codes).items()}
    differing = _differing(work, terms, as_of, at)
    credit = customer_credit.credit(connection, list(terms), at)
    if cut and credit:
        # Cut off on the 1st with 3.00 of credit, locked on the 9th: if another document took 2.00 meanwhile, 1.00.
        left = customer_credit.credit(connection, list(credit))
        credit = {code: min(minor, left.get(code, 0)) for code, minor in credit.items()}
    concerned = {code for code, _ in differing} | credit.keys()
    if not concerned:
        return {}
    finals = final_documents.finals(connection, differing, as_of.batch, at) if differing else {}
    differences = _Differences(work, terms, as_of).of(finals)
    others = final_documents.others(connection, concerned, work.first_day, at)
    # Where nothing carries late usage, it gets a document of its own in the period in which it was received.
    receipts = final_documents.receipts(connection, concerned, work.first_day) | {
        code
        for code, instants in late_usage.late_received(connection, concerned).items()
        if any(work.period.start <= received_at < work.period.end for received_at in instants)
    }
    return {
        terms[code].customer.id: Unsettled(
            adjustments=tuple(differences[code].adjustments),
            ended=tuple(differences[code].ended),
            others=tuple(others.get(code, ())),
            credit=credit.get(code, 0),
            receipt=code in receipts,
            problems=tuple(differences[code].problems),
        )
        for code in sorted(concerned)
    }


def may_be_unsettled(work: Work, codes: Mapping[str, int], as_of: AsOf) -> set[int]:
    """Codes of the customers for whom :func:`find_unsettled` may find something."""
    view = work.view(as_of.change, codes)
    terms = {codes[customer]: customer_terms for customer, customer_terms in terms_of(view, codes).items()}
    differing = {code for code, _ in _differing(work, terms, as_of, None)}
    return differing | customer_credit.credit(work.connection, list(terms)).keys()


def _differing(work: Work, terms: Mapping[int, Terms], as_of: AsOf, at: datetime | None) -> set[CustomerPeriod]:
    """The customers' periods whose final documents may not say any more what was billed for them."""
    has_fees = {
        code for code, customer_terms in terms.items() if any(plan.fees for plan in customer_terms.plans.values())
    }
    fingerprints = {code: terms[code].fingerprint if code in has_fees else "" for code in terms}
    # What was paid for in advance can change until its service period is over: a year's fee, for a year.
    every = {fee.every for code in has_fees for plan in terms[code].plans.values() for fee in plan.fees}
    longest = max((_LONGEST.get(cadence, _A_MONTH) for cadence in every), default=0)
    since = work.first_day - timedelta(days=_A_MONTH + longest)
    return final_documents.periods_to_adjust(work.connection, fingerprints, since, as_of.batch, at)


@dataclass(slots=True)
class _CustomerDifferences:
    """One customer's differences, being collected."""

    adjustments: list[RatedLine] = field(default_factory=list)
    ended: list[tuple[date, RatedLine]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class _Differences:
    """The differences of final documents, period by period.

    Args:
        work: gives the ledger.
        terms: the customers' as known now, by code.
        as_of: the last batch and catalog change to include.
    """

    def __init__(self, work: Work, terms: Mapping[int, Terms], as_of: AsOf) -> None:
        self._work, self._terms, self._as_of = work, terms, as_of
        self._calendar = work.billing.calendar
        self._differences: dict[int, _CustomerDifferences] = defaultdict(_CustomerDifferences)

    def of(self, finals: Mapping[CustomerPeriod, Sequence[FinalDocument]]) -> dict[int, _CustomerDifferences]:
        """Of all these final documents, by customer code."""
        by_period: dict[date, dict[int, Sequence[FinalDocument]]] = defaultdict(dict)
        for (code, day), documents in finals.items():
            by_period[day][code] = documents
        for day, by_customer in sorted(by_period.items()):
            work = replace(self._work, period=self._calendar.period(day.isoformat()))
            rated = self._rated(work, by_customer)
            for code, documents in by_customer.items():
                standing = [final for final in documents if not final.replaced]
                for final in standing:
                    self._compare(work.period, code, final, standing, rated)
                for final in documents:
                    if final.replaced:  # another was issued in its place: adjustments of it are taken back
                        self._keep(code, adjustments((), final, work.period))
        return self._differences

    def _rated(
        self, work: Work, by_customer: Mapping[int, Sequence[FinalDocument]]
    ) -> dict[tuple[int, int], tuple[RatedLine, ...]]:
        """The usage of the documents that some came late for, under the terms of each: by customer and change."""
        by_change: dict[int, dict[str, int]] = defaultdict(dict)
        for code, documents in by_customer.items():
            for final in documents:
                if final.late:
                    by_change[final.change][self._terms[code].customer.id] = code
        rated = {}
        for change, codes in sorted(by_change.items()):
            view = work.billing.view(work.connection, change, customers=sorted(codes))
            buckets = tuple(sorted({work.billing.facts.bucket_of(code) for code in codes.values()}))
            metering = meter_customers(replace(work, buckets=buckets), view, codes, self._as_of.batch)
            for customer, code in codes.items():
                terms, quantities = view.terms(customer), metering.quantities.get(customer, ())
                priced = rate(terms, metering.segments[customer], quantities, self._calendar)
                rated[code, change] = priced.lines
                self._differences[code].problems += (f"{work.period.key} {problem}" for problem in priced.problems)
        return rated

    def _compare(
        self,
        period: BillingPeriod,
        code: int,
        final: FinalDocument,
        standing: Sequence[FinalDocument],
        rated: Mapping[tuple[int, int], Sequence[RatedLine]],
    ) -> None:
        """Keep the difference of one final document to what it would say now.

        Args:
            period: its period.
            code: its customer's.
            final: the document.
            standing: all final documents of the customer and period.
            rated: as of :meth:`_rated`.
        """
        fees = self._fees(period, code, final, standing)
        billed = {document.plan.identity.id: billed_lines(document, period) for document in standing}
        billed_fees = [line for line in billed[final.plan.identity.id] if line.kind == LineKind.FEE]
        if not final.late and _sums(billed_fees) == _sums(line for _, line in fees):
            return
        # The terms are those known at its cutoff, save for fees: a plan assigned later does not price its usage anew.
        customer = self._terms[code].customer.id
        terms = self._work.billing.view(self._work.connection, final.change, customers=[customer]).terms(customer)
        # All usage of the period is put together, of the other documents as billed: a minimum or a fixed discount may
        # be of several documents, and each has its part of it.
        usage = [line for lines in billed.values() for line in lines if _is_usage(line)]
        if final.late:
            # Late usage of a volume price would change the price of what was billed for good: it stays as billed.
            kept = {part.key for part in segments(terms, period) if parsed(part.price).model == "volume"}
            usage = [line for line in usage if segment_key(line) in kept]
            usage += (line for line in rated[code, final.change] if segment_key(line) not in kept)
        keyed: list[Keyed] = [(segment_key(line), line) for line in usage]
        covers = final.plan.covers | {key for key, _ in fees}
        now = lines_on(terms, period, self._calendar, [*keyed, *fees], replace(final.plan, covers=covers))
        self._keep(code, adjustments(now, final, period))

    def _keep(self, code: int, lines: Iterable[RatedLine]) -> None:
        """Keep a customer's adjustments: those of ended subscriptions by the period whose document they go on."""
        for line in lines:
            day = self._closed_by(code, line)
            if day is None:
                self._differences[code].adjustments.append(line)
            else:
                self._differences[code].ended.append((day, line))

    def _fees(
        self, period: BillingPeriod, code: int, final: FinalDocument, standing: Sequence[FinalDocument]
    ) -> list[Keyed]:
        """What is due now for the fees of a document: those it bills, and those it would have billed."""
        terms, identity = self._terms[code], final.plan.identity
        elsewhere = {key for document in standing if document is not final for key in document.plan.covers}
        return [
            (fees.key, line)
            for fees in fees_in(terms, period, self._calendar)
            if fees.key in final.plan.covers
            or (
                fees.key not in elsewhere
                and fee_home(fees, terms, period, self._calendar) == replace(identity, reissue=0)
            )
            for line in fees.lines
        ]

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


def _is_usage(line: RatedLine) -> bool:
    """A line of a segment: usage, or a price's true-up."""
    return line.price is not None and line.kind in {LineKind.USAGE, LineKind.TRUE_UP}


def _sums(lines: Iterable[RatedLine]) -> dict[tuple[str | None, ...], int]:
    """Amounts in minor units by fee, without those that are zero."""
    sums: dict[tuple[str | None, ...], int] = defaultdict(int)
    for line in lines:
        sums[line.subscription, line.plan, line.price] += line.amount.minor
    return {fee: minor for fee, minor in sums.items() if minor}
