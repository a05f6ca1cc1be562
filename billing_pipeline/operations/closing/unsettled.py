"""What customers' documents of a period depend on besides it: differences of final documents, and customer credit.

A final document is computed again under the terms in force at its lock, over all usage known; its fees under the terms
known now. The difference to what was billed for it goes on the customer's first document that is not final.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from billing_pipeline.catalog.plan import FeeCadence
from billing_pipeline.catalog.terms import CatalogView, Terms
from billing_pipeline.core.period import BillingCalendar, BillingPeriod
from billing_pipeline.invoicing.adjustment import FinalDocument, adjustments, billed_lines
from billing_pipeline.invoicing.assemble import Keyed, fee_home, fees_in, lines_on, segment_key
from billing_pipeline.invoicing.complete import Beside
from billing_pipeline.invoicing.document import DocumentIdentity, DocumentKind
from billing_pipeline.ledger.documents import customer_credit, final_documents, finalization, late_usage
from billing_pipeline.ledger.documents.final_documents import CustomerPeriod, Unsettled
from billing_pipeline.metering.segments import SegmentKey, segments
from billing_pipeline.operations.closing.measure_customers import meter_customers
from billing_pipeline.operations.unit import AsOf, Work
from billing_pipeline.rating.line import LineKind, RatedLine
from billing_pipeline.rating.pricing import parsed
from billing_pipeline.rating.rate import rate

_LONGEST = {FeeCadence.YEAR: 366, FeeCadence.QUARTER: 92}
_A_MONTH = 31


@dataclass(slots=True)
class _Found:
    """One customer's differences, being collected."""

    adjustments: list[RatedLine] = field(default_factory=list)
    ended: list[tuple[date, RatedLine]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def besides(
    work: Work,
    view: CatalogView,
    codes: Mapping[str, int],
    as_of: AsOf,
    at: datetime | None = None,
    *,
    cut: bool = False,
) -> dict[str, Beside]:
    """By customer; without those for whom there is nothing.

    Args:
        work: names the period.
        view: the catalog as known.
        codes: the customers, id → code.
        as_of: the last batch and catalog change to include.
        at: as all stood before this instant; None: as it stands.
        cut: it is for documents cut off then and final only now: credit that others have used since is gone.
    """
    connection = work.connection
    known = work.known_customers(view)
    terms = {code: view.terms(one) for one, code in codes.items() if one in known}
    differing = _differing(work, terms, as_of, at)
    credit = customer_credit.credit(connection, list(terms), at)
    if cut and credit:
        left = customer_credit.credit(connection, list(credit))
        credit = {code: min(minor, left.get(code, 0)) for code, minor in credit.items()}
    concerned = {code for code, _ in differing} | credit.keys()
    if not concerned:
        return {}
    finals = final_documents.finals(connection, differing, as_of.batch, at) if differing else {}
    found = _Differences(work, terms, as_of).of(finals)
    others = final_documents.others(connection, concerned, work.first_day, at)
    receipts = final_documents.receipts(connection, concerned, work.first_day) | {
        code
        for code, instants in late_usage.late_received(connection, concerned).items()
        if any(work.period.start <= one < work.period.end for one in instants)
    }
    return {
        terms[code].customer.id: Beside(
            adjustments=tuple(found[code].adjustments),
            ended=tuple(found[code].ended),
            others=tuple(others.get(code, ())),
            credit=credit.get(code, 0),
            receipt=code in receipts,
            problems=tuple(found[code].problems),
        )
        for code in sorted(concerned)
    }


def unsettled(work: Work, codes: Mapping[str, int], as_of: AsOf) -> set[int]:
    """Codes of the customers for whom :func:`besides` may find something."""
    view = work.view(as_of.change, codes)
    known = work.known_customers(view)
    terms = {code: view.terms(one) for one, code in codes.items() if one in known}
    differing = {code for code, _ in _differing(work, terms, as_of, None)}
    return differing | customer_credit.credit(work.connection, list(terms)).keys()


def _differing(work: Work, terms: Mapping[int, Terms], as_of: AsOf, at: datetime | None) -> set[CustomerPeriod]:
    """The customers' periods whose final documents may not say any more what was billed for them."""
    asked = {code: one.fingerprint if _has_fees(one) else "" for code, one in terms.items()}
    since = work.first_day - timedelta(days=_A_MONTH + max((_longest(one) for one in terms.values()), default=0))
    return final_documents.unsettled(work.connection, Unsettled(asked, since, as_of.batch, at))


def _has_fees(terms: Terms) -> bool:
    return any(plan.fees for plan in terms.plans.values())


def _longest(terms: Terms) -> int:
    """Days of the longest service period of a fee."""
    return max((_LONGEST.get(fee.every, _A_MONTH) for plan in terms.plans.values() for fee in plan.fees), default=0)


class _Differences:
    """The differences of final documents, period by period.

    Args:
        work: gives the ledger.
        terms: the customers' as known now, by code.
        as_of: the last batch and catalog change to include.
    """

    def __init__(self, work: Work, terms: Mapping[int, Terms], as_of: AsOf) -> None:
        self._work, self._terms, self._as_of = work, terms, as_of
        self._calendar: BillingCalendar = work.billing.calendar
        self._found: dict[int, _Found] = defaultdict(_Found)

    def of(self, finals: Mapping[CustomerPeriod, Sequence[FinalDocument]]) -> dict[int, _Found]:
        """Of all these final documents, by customer code."""
        by_period: dict[date, dict[int, Sequence[FinalDocument]]] = defaultdict(dict)
        for (code, day), some in finals.items():
            by_period[day][code] = some
        for day, by_customer in sorted(by_period.items()):
            work = replace(self._work, period=self._calendar.period(day.isoformat()))
            rated = self._rated(work, by_customer)
            for code, some in by_customer.items():
                standing = [one for one in some if not one.replaced]
                for final in standing:
                    self._compare(work.period, code, final, standing, rated)
                for final in some:
                    if final.replaced:
                        self._keep(code, adjustments((), final, work.period))
        return self._found

    def _rated(
        self, work: Work, by_customer: Mapping[int, Sequence[FinalDocument]]
    ) -> dict[tuple[int, int], tuple[RatedLine, ...]]:
        """The usage of the documents that some came late for, under the terms of each: by customer and change."""
        by_change: dict[int, dict[str, int]] = defaultdict(dict)
        for code, some in by_customer.items():
            for final in some:
                if final.late:
                    by_change[final.change][self._terms[code].customer.id] = code
        rated = {}
        for change, codes in sorted(by_change.items()):
            view = work.billing.view(work.connection, change, customers=sorted(codes))
            buckets = tuple(sorted({work.billing.facts.bucket_of(code) for code in codes.values()}))
            metering = meter_customers(replace(work, buckets=buckets), view, codes, self._as_of.batch)
            for customer, code in codes.items():
                terms = view.terms(customer)
                quantities = metering.quantities.get(customer, ())
                found = rate(terms, metering.segments[customer], quantities, self._calendar)
                rated[code, change] = found.lines
                self._found[code].problems += (f"{work.period.key} {problem}" for problem in found.problems)
        return rated

    def _compare(
        self,
        period: BillingPeriod,
        code: int,
        final: FinalDocument,
        some: Sequence[FinalDocument],
        rated: Mapping[tuple[int, int], Sequence[RatedLine]],
    ) -> None:
        fees = self._fees(period, code, final, some)
        billed = {one.plan.identity.id: billed_lines(one, period) for one in some}
        billed_fees = [line for line in billed[final.plan.identity.id] if line.kind == LineKind.FEE]
        if not final.late and _sums(billed_fees) == _sums(line for _, line in fees):
            return
        terms = self._then(final, code)
        usage = [line for lines in billed.values() for line in lines if _is_usage(line)]
        if final.late:
            kept = _volume(terms, period)
            usage = [line for line in usage if segment_key(line) in kept]
            usage += (line for line in rated[code, final.change] if segment_key(line) not in kept)
        keyed: list[Keyed] = [(segment_key(line), line) for line in usage]
        covers = final.plan.covers | {key for key, _ in fees}
        now = lines_on(terms, period, self._calendar, [*keyed, *fees], replace(final.plan, covers=covers))
        self._keep(code, adjustments(now, final, period))

    def _keep(self, code: int, lines: Iterable[RatedLine]) -> None:
        for line in lines:
            day = self._closed_by(code, line)
            if day is None:
                self._found[code].adjustments.append(line)
            else:
                self._found[code].ended.append((day, line))

    def _then(self, final: FinalDocument, code: int) -> Terms:
        """The customer's terms as known at the document's cutoff."""
        customer = self._terms[code].customer.id
        return self._work.billing.view(self._work.connection, final.change, customers=[customer]).terms(customer)

    def _fees(
        self, period: BillingPeriod, code: int, final: FinalDocument, some: Sequence[FinalDocument]
    ) -> list[Keyed]:
        """What is due now for the fees of a document: those it bills, and those it would have billed."""
        terms, identity = self._terms[code], final.plan.identity
        elsewhere = {key for one in some if one is not final for key in one.plan.covers}
        return [
            (fees.key, line)
            for fees in fees_in(terms, period, self._calendar)
            if fees.key in final.plan.covers
            or (fees.key not in elsewhere and fee_home(fees, terms, period) == replace(identity, reissue=0))
            for line in fees.lines
        ]

    def _closed_by(self, code: int, line: RatedLine) -> date | None:
        """The period whose closing document credits a fee because its subscription ends; None: the first one does."""
        if line.adjusts != LineKind.FEE or line.amount.minor > 0:
            return None
        end = next((one.end for one in self._terms[code].subscriptions if one.id == line.subscription), None)
        if end is None or line.service_end is None or self._calendar.local_day(end) > line.service_end:
            return None
        period = self._calendar.period_of(end)
        if period is None:
            return None
        identity = DocumentIdentity(
            self._terms[code].customer.id, DocumentKind.CLOSING, period.first_day, period.next_day
        )
        billed = finalization.billed(self._work.connection, period.first_day, [code])[code]
        return None if identity in billed.documents else period.first_day


def _is_usage(line: RatedLine) -> bool:
    """A line of a segment: usage, or a price's true-up."""
    return line.price is not None and line.kind in {LineKind.USAGE, LineKind.TRUE_UP}


def _sums(lines: Iterator[RatedLine] | Sequence[RatedLine]) -> dict[tuple[str | None, ...], int]:
    found: dict[tuple[str | None, ...], int] = defaultdict(int)
    for line in lines:
        found[line.subscription, line.plan, line.price] += line.amount.minor
    return {key: minor for key, minor in found.items() if minor}


def _volume(terms: Terms, period: BillingPeriod) -> set[SegmentKey]:
    """The segments whose late usage cannot be billed."""
    return {one.key for one in segments(terms, period) if parsed(one.price).model == "volume"}
