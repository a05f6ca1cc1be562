"""Which line stands on which document: rated lines where their price or fee is billed, then true-ups and discounts.

A period is put together whole: its final documents as they would stand now, each under the terms that were known at its
cutoff, and those that are not final under today's. So a minimum looks at all usage, and an allowance is given once.

An example: a fee of 100.00 in advance and calls at 1.00 each, with 25.00 off each month. January's opening document has
100.00 and −25.00. Its closing one, of 10 calls, has 10.00 and no discount: the allowance is used up. When 7 more calls
arrive late, it would have 17.00, still without a discount, so 7.00 are due. A discount that is given on 10 February was
not known at January's cutoffs: it takes nothing from these documents, and all of its allowance is left for others.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from billing_pipeline.catalog.discount import Discount
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingCalendar, BillingPeriod
from billing_pipeline.invoicing.discounts import discount_lines
from billing_pipeline.invoicing.document import (
    Billed,
    Document,
    DocumentPlan,
    Key,
    Order,
)
from billing_pipeline.invoicing.document_plans import document_plans, fees_in, periods_billing
from billing_pipeline.invoicing.plan_bounds import Phase, plan_true_ups
from billing_pipeline.metering.segments import SegmentKey, segments
from billing_pipeline.rating.fees.fees import fee_key
from billing_pipeline.rating.fees.schedule import IN_ARREARS, FeeKey
from billing_pipeline.rating.line import LineKind, RatedLine

_NOTHING = Billed()
Keyed = tuple[Key, RatedLine]


@dataclass(frozen=True, slots=True)
class Standing:
    """A document of a period as it would stand now, before discounts and bounds of plans.

    Attributes:
        plan: the document, with all that it bills.
        terms: those that it goes by: of a final document those known at its cutoff, else today's.
        lines: usage with the true-ups of its prices, and fees, each with its key.
        later: fees that were not due at its cutoff: they take today's discounts.
    """

    plan: DocumentPlan
    terms: Terms
    lines: Sequence[Keyed]
    later: Sequence[Keyed] = ()

    @property
    def all(self) -> Iterator[Keyed]:
        """All its lines."""
        yield from self.lines
        yield from self.later

    def discounts(self, line: RatedLine, terms: Terms) -> Sequence[Discount]:
        """The discounts that one of its lines may take; ``terms`` are today's."""
        later = any(line is other for _, other in self.later)
        return (terms if later else self.terms).discounts


Final = Mapping[date, Sequence[Standing]]
"""A customer's final documents, by the first day of their period."""


def documents(
    terms: Terms,
    period: BillingPeriod,
    calendar: BillingCalendar,
    lines: Sequence[RatedLine],
    billed: Billed = _NOTHING,
    final: Final | None = None,
    reissue: DocumentPlan | None = None,
) -> list[Document]:
    """The documents that are not final, each with its lines.

    Args:
        terms: the customer's, as known now.
        period: the documents'.
        calendar: gives local days.
        lines: all rated lines of the customer's, by today's terms.
        billed: what is final already.
        final: the final documents of this period, and of those that it shares allowances with, as they would stand now.
        reissue: one that takes the place of a void one, whatever the terms say of its date: it is the first.
    """
    final = final or {}
    again = [] if reissue is None else [reissue]
    billed = billed if reissue is None else billed.adding(reissue)
    plans = [*again, *document_plans(terms, period, calendar, segments(terms, period), billed)]
    own = final.get(period.first_day, ())
    keyed = [(key_of(terms, calendar, line), line) for line in lines]
    # What was cut off a moment ago is billed, and not final yet: it stands as today's terms have it.
    known = {key for plan in [*again, *(standing.plan for standing in own)] for key in plan.covers}
    rest = billed.keys - known
    just_cut = [
        replace(plan, covers=plan.covers & rest)
        for plan in (document_plans(terms, period, calendar, segments(terms, period)) if rest else ())
        if plan.covers & rest
    ]
    standing = [*(_holding(plan, terms, keyed) for plan in [*plans, *just_cut]), *own]
    composed = composed_lines(terms, period, calendar, standing, final)
    return [Document(plan, lines) for plan, lines in zip(plans, composed, strict=False)]


def _holding(plan: DocumentPlan, terms: Terms, keyed: Sequence[Keyed]) -> Standing:
    return Standing(plan, terms, [(key, line) for key, line in keyed if key in plan.covers])


def key_of(terms: Terms, calendar: BillingCalendar, line: RatedLine) -> Key:
    """The key of a rated line: of a segment, or of a subscription's fees for a service period."""
    if line.kind == LineKind.FEE:
        return fee_key(terms, calendar, line)
    return segment_key(line)


def segment_key(line: RatedLine) -> SegmentKey:
    """The segment that a usage line prices."""
    assert line.subscription is not None, "a usage line names its subscription"  # noqa: S101
    assert line.phase_start is not None, "a usage line names its phase"  # noqa: S101
    assert line.price is not None, "a usage line names its price"  # noqa: S101
    return SegmentKey(line.subscription, line.phase_start, line.price)


def composed_lines(
    terms: Terms,
    period: BillingPeriod,
    calendar: BillingCalendar,
    standing: Sequence[Standing],
    final: Final,
) -> list[tuple[RatedLine, ...]]:
    """The lines of each document of a period: what it covers, plans' true-ups, discounts.

    Args:
        terms: the customer's, as known now.
        period: the documents'.
        calendar: gives local days.
        standing: all documents of the period, final or not.
        final: those of other periods with which these share allowances: see :func:`sharing_periods`.
    """
    lines = _with_bounds(period, calendar, standing)
    if terms.discounts or any(document.terms.discounts for document in standing):
        for place, line in _Discounting(terms, period, calendar, standing, final).lines(lines):
            lines[place].append(line)
    return [tuple(on_document) for on_document in lines]


def _with_bounds(
    period: BillingPeriod, calendar: BillingCalendar, standing: Sequence[Standing]
) -> list[list[RatedLine]]:
    """The lines of each document of a period with plans' true-ups, in their order."""
    lines = [[line for _, line in document.all] for document in standing]
    counted: dict[Phase, list[RatedLine]] = defaultdict(list)  # a plan's bounds look at usage and arrears
    for document in standing:
        for key, line in document.all:
            if line.phase_start is not None and (isinstance(key, SegmentKey) or key.timing == IN_ARREARS):
                counted[key.subscription, line.phase_start].append(line)
    bounding = [(document.plan, document.terms) for document in standing]
    for place, line in plan_true_ups(calendar, period, bounding, counted):
        lines[place].append(line)
    for on_document in lines:
        on_document.sort(key=_order)
    return lines


@dataclass(frozen=True, slots=True)
class _Discounting:
    """The discounts of a customer's documents of a period; arguments as of :func:`composed_lines`."""

    terms: Terms
    period: BillingPeriod
    calendar: BillingCalendar
    standing: Sequence[Standing]
    final: Final

    def lines(self, lines: Sequence[Sequence[RatedLine]]) -> list[tuple[int, RatedLine]]:
        """The discount lines and their places, by service period: each has an allowance of its own.

        Documents use it in their order, those of other periods with what they bill for the same service period, too.
        """
        bases: dict[date, list[tuple[Order, int, RatedLine]]] = defaultdict(list)
        services: dict[date, BillingPeriod] = {}
        for place, on_document in enumerate(lines):
            for line in on_document:
                service = self._service(line)
                services[service.first_day] = service
                bases[service.first_day].append((self.standing[place].plan.order, place, line))
        discounts: list[tuple[int, RatedLine]] = []
        for day, service in sorted(services.items()):
            standing, competing = [*self.standing], bases[day]
            for elsewhere, counting in self._elsewhere(service):
                standing.append(elsewhere)
                competing += ((elsewhere.plan.order, len(standing) - 1, line) for line in counting)
            competing.sort(key=lambda competitor: competitor[0])
            based = [(place, self._placed(line)) for _, place, line in competing]

            def offered(place: int, line: RatedLine, standing: Sequence[Standing] = standing) -> Sequence[Discount]:
                return standing[place].discounts(line, self.terms)

            discounts += discount_lines(self.terms, self.calendar, service, based, offered)
        return [(place, line) for place, line in discounts if place < len(self.standing)]

    def _placed(self, line: RatedLine) -> RatedLine:
        """The line with the instant from which it counts, which what was only adjusted does not say."""
        if line.start is None and line.service_start is not None:
            return line._replace(start=self.calendar.midnight(line.service_start))
        return line

    def _service(self, line: RatedLine) -> BillingPeriod:
        start = self._placed(line).start
        assert start is not None, "a rated line says from when it counts"  # noqa: S101
        return self.calendar.service_of(start)

    def _elsewhere(self, service: BillingPeriod) -> Iterator[tuple[Standing, Sequence[RatedLine]]]:
        """Other periods' documents, each with the lines of it that may use a service period's allowance, too."""
        discounts = [*self.terms.discounts, *(discount for of in self.standing for discount in of.terms.discounts)]
        if all(discount.amount is None for discount in discounts):
            return  # only a fixed amount can be used up
        # A fee is of one service period, whatever period bills it; the key of usage is the same in each.
        own = {key for document in self.standing for key in document.plan.covers if not isinstance(key, SegmentKey)}
        for period in periods_billing(self.terms, service, self.calendar):
            if period == self.period:
                continue
            final = [_without(document, own) for document in self.final.get(period.first_day, ())]
            covered = own.union(*(document.plan.covers for document in final))
            plans = document_plans(self.terms, period, self.calendar, segments(self.terms, period))
            keyed = [(fees.key, line) for fees in fees_in(self.terms, period, self.calendar) for line in fees.lines]
            now = [_holding(replace(plan, covers=plan.covers - covered), self.terms, keyed) for plan in plans]
            standing = [*final, *now]
            for place, lines in enumerate(_with_bounds(period, self.calendar, standing)):
                # Of what is not final only its fees are known here, and no plan's bound follows from them.
                known = lines if place < len(final) else [line for _, line in standing[place].all]
                if counting := [line for line in known if self._service(line) == service]:
                    yield standing[place], counting


def _without(document: Standing, keys: Collection[FeeKey]) -> Standing:
    """A document without what others bill by now."""
    lines, later = ([(key, line) for key, line in of if key not in keys] for of in (document.lines, document.later))
    return replace(document, lines=lines, later=later)


_RANKS = {LineKind.FEE: 0, LineKind.USAGE: 1}


def _order(line: RatedLine) -> tuple[int | str, ...]:
    """The order of lines on a document: fees, usage with the true-ups of its prices, true-ups of plans."""
    rank = 1 if line.kind == LineKind.TRUE_UP and line.price else _RANKS.get(line.kind, 2)
    return (
        rank,
        str(line.service_start),
        line.subscription or "",
        line.product or "",
        line.price or "",
        "" if line.kind == LineKind.USAGE else line.kind,  # a price's true-up comes after its usage
        *(f"{name}={value}" for name, value in sorted(line.dimensions.items())),
        str(line.service_end),
        str(line.phase_start),  # several phases of one day differ in nothing else
    )
