"""A segment's price, ready to charge: parsed, with what of included units and bounds falls on its days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from billing_pipeline.catalog.meter import Convert
from billing_pipeline.catalog.price import PlanPrice
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.money import Money, Rounding, round_amount
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.metering.segments import Segment
from billing_pipeline.rating.bounds import prorated
from billing_pipeline.rating.convert import convert
from billing_pipeline.rating.line import RatedLine
from billing_pipeline.rating.price import ZERO, Charge, Price, amount_of, charge, parse_price, quantity_amount

_PARSED: dict[int, tuple[PlanPrice, Price]] = {}  # by identity; keeps the key alive, so that no identity is reused


def parsed(price: PlanPrice) -> Price:
    """A plan price's terms, parsed once for each plan version in this process."""
    known = _PARSED.get(id(price))
    if known is None:
        known = _PARSED[id(price)] = (price, parse_price(price.price))
    return known[1]


@dataclass(frozen=True, slots=True)
class Pricing:
    """A segment with all that its lines have in common, made once for all of them.

    Attributes:
        price: as it is charged.
        conversions: from the metered to the priced unit, one after the other.
        included: free units of the segment.
        days: local days of the segment; the day of a change belongs to what comes after it.
        days_of_period: of the whole billing period.
        description: what stands on the invoice: the product or price, and the unit.
    """

    terms: Terms
    segment: Segment
    calendar: BillingCalendar
    price: Price
    conversions: tuple[Convert, ...]
    included: Decimal
    days: int
    days_of_period: int
    description: str
    currency: str
    rounding: Rounding

    @classmethod
    def of(cls, terms: Terms, segment: Segment, calendar: BillingCalendar) -> "Pricing":
        """The pricing of a segment, which lies within one period."""
        period = calendar.period_of(segment.start)
        assert period is not None, "a segment lies in a period"  # noqa: S101
        price, meter = segment.price, terms.meters[segment.price.meter]
        days = _days(terms, segment, calendar)
        product = terms.products[price.product].name if price.product else price.id
        return cls(
            terms,
            segment,
            calendar,
            price=parsed(price),
            conversions=tuple(one for one in (meter.convert, price.convert) if one),
            included=_part(price.included, days, period.days),
            days=days,
            days_of_period=period.days,
            description=f"{product} ({meter.unit})" if meter.unit else product,
            currency=segment.plan.currency,
            rounding=terms.account.rounding,
        )

    def part_of(self, whole: Decimal) -> Decimal:
        """What of a bound falls on the segment's days."""
        return _part(whole, self.days, self.days_of_period)

    def quantity(self, metered: Decimal) -> Decimal:
        """The pricing quantity."""
        for conversion in self.conversions:
            metered = convert(metered, conversion)
        return metered

    def amount(self, quantity: Decimal, dimensions: Mapping[str, str]) -> Decimal:
        """What a pricing quantity costs, within ``Exactly``; a negative one is rated as zero, and a check names it."""
        return quantity_amount(self.price, quantity, dimensions, self.included)

    def events_amount(self, measures: Sequence[Decimal] | None, dimensions: Mapping[str, str]) -> Decimal:
        """What single events cost; raises RatingError where they, or their amounts, are not known."""
        return amount_of(self.price, ZERO, dimensions, measures=self.measures(measures))

    def measures(self, metered: Sequence[Decimal] | None) -> Sequence[Decimal] | None:
        """Values of single events in the priced unit; amounts are money, which is not converted."""
        if metered is None or self.price.needs != "events" or not self.conversions:
            return metered
        return tuple(self.quantity(value) for value in metered)

    def charge(
        self, quantity: Decimal, dimensions: Mapping[str, str], measures: Sequence[Decimal] | None = None
    ) -> Charge:
        """What a quantity, or for a price of single events their measures, costs, with its reasons."""
        measures = self.measures(measures)
        return charge(self.price, quantity, dimensions, included=self.included, measures=measures)

    def round(self, amount: Decimal) -> Money:
        """The one rounding of a line."""
        return round_amount(amount, self.currency, self.rounding)

    def service(self, start: datetime, cut: datetime) -> tuple[date, date]:
        """The local days ``[start, end)`` of what was used from ``start`` to ``cut``."""
        return self.calendar.local_day(start), end_day(cut, self.calendar)

    def line(self, kind: str, description: str, service: tuple[date, date], amount: Money) -> RatedLine:
        """A line of this segment, without quantity and dimensions."""
        segment = self.segment
        plan, price = segment.plan, segment.price
        return RatedLine(
            kind, segment.subscription, plan.id, plan.version, price.id, price.product, description, *service, {}, None,
            amount, segment.phase_start, segment.start,
        )  # fmt: skip


def _days(terms: Terms, segment: Segment, calendar: BillingCalendar) -> int:
    ends = {one.end for one in terms.subscriptions if one.id == segment.subscription}
    last = end_day(segment.end, calendar) if segment.end in ends else calendar.local_day(segment.end)
    return (last - calendar.local_day(segment.start)).days


def _part(whole: Decimal, days: int, days_of_period: int) -> Decimal:
    return whole if days == days_of_period or not whole else prorated(whole, days, days_of_period)


def end_day(cut: datetime, calendar: BillingCalendar) -> date:
    """The first local day after a segment that ends at ``cut``; a cut inside a day belongs to that day."""
    day = calendar.local_day(cut)
    return day if calendar.midnight(day) == cut else date.fromordinal(day.toordinal() + 1)
