"""A segment's price, ready for its quantities: parsed, with what of included units and bounds falls on its days."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from billing_pipeline.catalog.meter import Convert
from billing_pipeline.catalog.plan import Plan, PlanPrice
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.money import Money, rounder
from billing_pipeline.core.period import MOMENT, BillingCalendar
from billing_pipeline.metering.segments import PhasePart, Segment
from billing_pipeline.rating.bounds import prorated, true_up
from billing_pipeline.rating.cost import Cost, convert, cost_of
from billing_pipeline.rating.line import LineKind, RatedLine
from billing_pipeline.rating.price import Price, parse_price

_OWN = RatedLine._fields.index("dimensions")  # from here on a line says what is its own: also quantity and amount
_OWN_END = RatedLine._fields.index("amount") + 1

_PARSED: dict[int, tuple[PlanPrice, Price]] = {}  # by identity; keeps the key alive, so that no identity is reused


def parsed(price: PlanPrice) -> Price:
    """A plan price's terms, parsed once for each plan version in this process."""
    if id(price) not in _PARSED:
        _PARSED[id(price)] = price, parse_price(price.price)
    return _PARSED[id(price)][1]


def conversions_of(terms: Terms, price: PlanPrice) -> tuple[Convert, ...]:
    """From the metered to the priced unit, one after the other."""
    return tuple([conversion for conversion in (terms.meters[price.meter].convert, price.convert) if conversion])


def description_of(terms: Terms, price: PlanPrice) -> str:
    """What stands on the invoice: the product or price, and the unit."""
    meter, product = terms.meters[price.meter], terms.products[price.product].name if price.product else price.id
    return f"{product} ({meter.unit})" if meter.unit else product


@dataclass(frozen=True, slots=True)
class Pricing:
    """A segment's price with all that its lines have in common, made once for all of them.

    Attributes:
        price: parsed.
        conversions: from the metered to the priced unit, one after the other.
        included: free units of the segment.
        description: what stands on the invoice: the product or price, and the unit.
        round: the one rounding of a line.
    """

    terms: Terms
    segment: Segment
    calendar: BillingCalendar
    price: Price
    conversions: tuple[Convert, ...]
    included: Decimal
    description: str
    round: Callable[[Decimal], Money]

    @classmethod
    def of(cls, terms: Terms, segment: Segment, calendar: BillingCalendar) -> "Pricing":
        """The pricing of a segment, which lies within one period."""
        price = segment.price
        return cls(
            terms,
            segment,
            calendar,
            price=parsed(price),
            conversions=conversions_of(terms, price),
            included=_part_of(price.included, terms, segment, calendar),
            description=description_of(terms, price),
            round=rounder(segment.plan.currency, terms.account.rounding),
        )

    def part_of(self, whole: Decimal) -> Decimal:
        """The part of a bound that falls on the segment's days."""
        return _part_of(whole, self.terms, self.segment, self.calendar)

    def quantity(self, metered: Decimal) -> Decimal:
        """The pricing quantity: what was metered, in the priced unit."""
        for conversion in self.conversions:
            metered = convert(metered, conversion)
        return metered

    def measures(self, metered: Sequence[Decimal] | None) -> Sequence[Decimal] | None:
        """Values of single events in the priced unit; amounts are money, which is not converted."""
        if metered is None or self.price.needs != "events" or not self.conversions:
            return metered
        return tuple(self.quantity(value) for value in metered)

    def cost(self, quantity: Decimal, dimensions: Mapping[str, str], measures: Sequence[Decimal] | None = None) -> Cost:
        """What a quantity, or for a price of single events their measures, costs, with its reasons."""
        measures = self.measures(measures)
        return cost_of(self.price, quantity, dimensions, included=self.included, measures=measures)

    def service(self, start: datetime, cut: datetime) -> tuple[date, date]:
        """The local days ``[start, end)`` of what was used from ``start`` to ``cut``."""
        return _service(start, cut, self.calendar)

    def line_templates(self) -> list["LineTemplate"]:
        """What all usage lines of the segment have in common, for each stretch from a cut to the next."""
        start, nothing, templates = self.segment.start, Money(0, self.segment.plan.currency), []
        for cut in self.segment.cuts:
            line = self.line(LineKind.USAGE, self.description, self.service(start, cut), nothing, start)
            templates.append(LineTemplate(cut, line[:_OWN], line[_OWN_END:]))
            start = cut
        return templates

    def line(
        self, kind: LineKind, description: str, service: tuple[date, date], amount: Money, start: datetime
    ) -> RatedLine:
        """A line of this segment that counts from ``start``, without quantity and dimensions."""
        segment = self.segment
        plan, price = segment.plan, segment.price
        return RatedLine(
            kind, segment.subscription, plan.id, plan.version, price.id, price.product, description, *service, {}, None,
            amount, segment.phase_start, start,
        )  # fmt: skip

    def true_up(self, amounts: Iterable[Money]) -> RatedLine | None:
        """The line by which rounded amounts reach the minimum spend of the price, or are kept to its maximum.

        Args:
            amounts: of all lines of the segment, before discounts.
        """
        segment, price = self.segment, self.segment.price
        line = bound_line(self.terms, segment, self.calendar, price, self.description, amounts)
        return line and line._replace(price=price.id, product=price.product)


def bound_line(
    terms: Terms,
    part: PhasePart | Segment,
    calendar: BillingCalendar,
    bounded: Plan | PlanPrice,
    name: str,
    amounts: Iterable[Money],
) -> RatedLine | None:
    """The line by which rounded amounts reach a minimum spend, or are kept to a maximum; None where they are within.

    Args:
        terms: the customer's.
        part: of the period; as much of the bounds counts as falls on its days.
        calendar: gives local days.
        bounded: a plan, or one of its prices.
        name: of it, on the line.
        amounts: of all lines that count for it, before discounts.
    """
    if bounded.minimum is None and bounded.maximum is None:
        return None
    bounds = (bounded.minimum, bounded.maximum)
    minimum, maximum = (None if bound is None else _part_of(bound, terms, part, calendar) for bound in bounds)
    plan, rounding = part.plan, terms.account.rounding
    difference = true_up(amounts, plan.currency, minimum=minimum, maximum=maximum, rounding=rounding)
    if not difference.minor:
        return None
    description = f"{'Minimum' if difference.minor > 0 else 'Maximum'} spend: {name}"
    counts_at = part.end - MOMENT  # in the part, and after all its usage
    return RatedLine(
        LineKind.TRUE_UP, part.subscription, plan.id, plan.version, None, None, description,
        *_service(part.start, part.end, calendar), {}, None, difference, part.phase_start, counts_at,
    )  # fmt: skip


class LineTemplate(NamedTuple):
    """The fields that all usage lines from one cut to the next have in common.

    Attributes:
        before: the fields of a line that stand before its own: dimensions, quantity and amount.
        after: those that stand after them.
    """

    cut: datetime
    before: tuple[object, ...]
    after: tuple[object, ...]


def _part_of(whole: Decimal, terms: Terms, segment: PhasePart | Segment, calendar: BillingCalendar) -> Decimal:
    if not whole:
        return whole
    period = calendar.period_of(segment.start)
    assert period is not None, "a segment lies in a period"  # noqa: S101
    days = _days(terms, segment, calendar)
    return whole if days == period.days else prorated(whole, days, period.days)


def _days(terms: Terms, segment: PhasePart | Segment, calendar: BillingCalendar) -> int:
    """The local days of a segment; the day of a change belongs to what comes after it."""
    ends = {subscription.end for subscription in terms.subscriptions if subscription.id == segment.subscription}
    last = end_day(segment.end, calendar) if segment.end in ends else calendar.local_day(segment.end)
    return (last - calendar.local_day(segment.start)).days


@lru_cache(maxsize=1024)  # customers of one plan share them
def _service(start: datetime, cut: datetime, calendar: BillingCalendar) -> tuple[date, date]:
    return calendar.local_day(start), end_day(cut, calendar)


def end_day(cut: datetime, calendar: BillingCalendar) -> date:
    """The first local day after a segment that ends at ``cut``; a cut inside a day belongs to that day."""
    day = calendar.local_day(cut)
    return day if calendar.midnight(day) == cut else date.fromordinal(day.toordinal() + 1)
