"""Which line stands on which document: rated lines where their price or fee is billed, then true-ups and discounts."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

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
from billing_pipeline.invoicing.document_plans import document_plans, fees_in
from billing_pipeline.invoicing.plan_bounds import plan_true_ups
from billing_pipeline.metering.segments import Segment, SegmentKey, segments
from billing_pipeline.rating.fees.fees import fee_key
from billing_pipeline.rating.fees.schedule import IN_ARREARS
from billing_pipeline.rating.line import LineKind, RatedLine

_NOTHING = Billed()
_ELSEWHERE = -1  # the place of a line that stands on another period's document
Keyed = tuple[Key, RatedLine]


def documents(
    terms: Terms,
    period: BillingPeriod,
    calendar: BillingCalendar,
    lines: Sequence[RatedLine],
    billed: Billed = _NOTHING,
) -> list[Document]:
    """The documents that are not final, each with its lines; ``lines`` are all of the customer's, the rest as above."""
    in_force = list(segments(terms, period))
    plans = document_plans(terms, period, calendar, in_force, billed)
    final = _final_places(document_plans(terms, period, calendar, in_force), billed) if billed.keys else []
    keyed = [(key_of(terms, calendar, line), line) for line in lines]
    composed = _Composition(terms, period, calendar, in_force, [*plans, *final]).compose(keyed)
    return [Document(plan, lines) for plan, lines in zip(plans, composed, strict=False)]


def lines_on(
    terms: Terms, period: BillingPeriod, calendar: BillingCalendar, keyed: Sequence[Keyed], plan: DocumentPlan
) -> tuple[RatedLine, ...]:
    """The lines that would stand on one document, whatever the terms say of its date.

    Args:
        terms: those in force at its lock.
        period: the document's.
        calendar: gives local days.
        keyed: all lines of the period, each with what it is a line of.
        plan: the document; it has the lines of all that it covers.
    """
    in_force = list(segments(terms, period))
    whole = document_plans(terms, period, calendar, in_force)
    others = [replace(other, covers=other.covers - plan.covers) for other in whole]
    return _Composition(terms, period, calendar, in_force, [plan, *others]).compose(keyed)[0]


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


@dataclass(frozen=True, slots=True)
class _Composition:
    """A customer's documents of a period, being filled with lines.

    Attributes:
        plans: all that its lines stand on, final or not.
    """

    terms: Terms
    period: BillingPeriod
    calendar: BillingCalendar
    in_force: Sequence[Segment]
    plans: Sequence[DocumentPlan]

    def compose(self, keyed: Iterable[Keyed]) -> list[tuple[RatedLine, ...]]:
        """The lines of each document: what it covers, plans' true-ups, discounts."""
        # From the last to the first: what two of them cover stands on the first.
        places = {key: place for place, plan in reversed(list(enumerate(self.plans))) for key in plan.covers}
        lines: list[list[RatedLine]] = [[] for _ in self.plans]
        counted: list[RatedLine] = []  # a plan's bounds look at usage and arrears
        for key, line in keyed:
            if key in places:
                lines[places[key]].append(line)
                if isinstance(key, SegmentKey) or key.timing == IN_ARREARS:
                    counted.append(line)
        for place, line in plan_true_ups(self.terms, self.calendar, self.in_force, self.plans, counted):
            lines[place].append(line)
        for on_document in lines:
            on_document.sort(key=_order)
        if self.terms.discounts:
            for place, line in self._discounts(lines):
                lines[place].append(line)
        return [tuple(on_document) for on_document in lines]

    def _discounts(self, lines: Sequence[Sequence[RatedLine]]) -> list[tuple[int, RatedLine]]:
        """The discount lines and their places, by service period: each has an allowance of its own.

        Documents use it in their order, those of other periods with what they bill for the same service period, too.
        """
        bases: dict[date, list[tuple[Order, int, RatedLine]]] = defaultdict(list)
        services: dict[date, BillingPeriod] = {}
        for place, on_document in enumerate(lines):
            for line in on_document:
                service = self._service(line)
                services[service.first_day] = service
                bases[service.first_day].append((self.plans[place].order, place, line))
        discounts: list[tuple[int, RatedLine]] = []
        for day, service in sorted(services.items()):
            competing = [*bases[day], *self._elsewhere(service)]
            competing.sort(key=lambda competitor: competitor[0])
            based = [(place, line) for _, place, line in competing]
            discounts += discount_lines(self.terms, self.calendar, service, based)
        return [(place, line) for place, line in discounts if place != _ELSEWHERE]

    def _service(self, line: RatedLine) -> BillingPeriod:
        assert line.start is not None, "a rated line says from when it counts"  # noqa: S101
        service = self.calendar.period_of(line.start)
        assert service is not None, "what is billed was used or provided in a period"  # noqa: S101
        return service

    def _elsewhere(self, service: BillingPeriod) -> Iterator[tuple[Order, int, RatedLine]]:
        """Fees in advance for a service period that stand on other periods' documents: they may consume first."""
        if all(discount.amount is None for discount in self.terms.discounts):
            return  # only a fixed amount can be used up
        own = {key for plan in self.plans for key in plan.covers}
        for period in (self.calendar.previous(service), service):
            if period is None or period == self.period:
                continue
            plans = document_plans(self.terms, period, self.calendar, segments(self.terms, period))
            orders = {key: plan.order for plan in plans for key in plan.covers}
            for fees in fees_in(self.terms, period, self.calendar):
                if fees.in_advance and fees.key not in own:
                    for line in fees.lines:
                        if self._service(line) == service:
                            yield orders[fees.key], _ELSEWHERE, line


def _final_places(whole: Iterable[DocumentPlan], billed: Billed) -> list[DocumentPlan]:
    """The documents that the terms call for, with what is billed already on each."""
    return [replace(plan, covers=plan.covers & billed.keys) for plan in whole if plan.covers & billed.keys]


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
