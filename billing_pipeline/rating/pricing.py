"""A segment's price, ready to charge: parsed, with what of included units and bounds falls on its days."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from billing_pipeline.catalog.price import PlanPrice
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.money import Money, round_amount
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.metering.segments import Segment
from billing_pipeline.rating.bounds import prorated
from billing_pipeline.rating.convert import convert
from billing_pipeline.rating.line import RatedLine
from billing_pipeline.rating.price import ZERO, Charge, Price, amount_of, charge, parse_price

_PARSED: dict[int, tuple[PlanPrice, Price]] = {}  # by identity; keeps the key alive, so that no identity is reused


def parsed(price: PlanPrice) -> Price:
    """A plan price's terms, parsed once for each plan version in this process."""
    known = _PARSED.get(id(price))
    if known is None:
        known = _PARSED[id(price)] = (price, parse_price(price.price))
    return known[1]


@dataclass(frozen=True, slots=True)
class Pricing:
    """A segment with all that its lines have in common.

    Attributes:
        days: local days of the segment; the day of a change belongs to what comes after it.
        days_of_period: of the whole billing period.
    """

    terms: Terms
    segment: Segment
    price: Price
    calendar: BillingCalendar
    days: int
    days_of_period: int

    @classmethod
    def of(cls, terms: Terms, segment: Segment, calendar: BillingCalendar) -> "Pricing":
        """The pricing of a segment, which lies within one period."""
        period = calendar.period_of(segment.start)
        assert period is not None, "a segment lies in a period"  # noqa: S101
        ends = {one.end for one in terms.subscriptions if one.id == segment.subscription}
        last = end_day(segment.end, calendar) if segment.end in ends else calendar.local_day(segment.end)
        days = (last - calendar.local_day(segment.start)).days
        return cls(terms, segment, parsed(segment.price), calendar, days, period.days)

    def part_of(self, whole: Decimal) -> Decimal:
        """What of a bound, or of included units, falls on the segment's days."""
        return whole if self.days == self.days_of_period else prorated(whole, self.days, self.days_of_period)

    def quantity(self, metered: Decimal) -> Decimal:
        """The pricing quantity; a negative one is rated as zero, and a check names it."""
        meter = self.terms.meters[self.segment.price.meter]
        return convert(convert(metered, meter.convert), self.segment.price.convert)

    def amount(self, quantity: Decimal, dimensions: Mapping[str, str]) -> Decimal:
        """What a pricing quantity costs, exact."""
        return amount_of(self.price, max(quantity, ZERO), dimensions, included=self.included)

    def charge(self, quantity: Decimal, dimensions: Mapping[str, str]) -> Charge:
        """The same, with its reasons."""
        return charge(self.price, max(quantity, ZERO), dimensions, included=self.included)

    @property
    def included(self) -> Decimal:
        """Free units of the segment."""
        return self.part_of(self.segment.price.included)

    def line(self, kind: str, description: str, amount: Money, service: tuple[date, date]) -> RatedLine:
        """A line of this segment, without quantity and dimensions."""
        plan, price = self.segment.plan, self.segment.price
        return RatedLine(
            kind=kind,
            subscription=self.segment.subscription,
            plan=plan.id,
            plan_version=plan.version,
            price=price.id,
            product=price.product,
            description=description,
            service_start=service[0],
            service_end=service[1],
            dimensions={},
            quantity=None,
            amount=amount,
            phase_start=self.segment.phase_start,
        )

    def round(self, amount: Decimal) -> Money:
        """The one rounding of a line."""
        return round_amount(amount, self.segment.plan.currency, self.terms.account.rounding)

    @property
    def description(self) -> str:
        """What stands on the invoice: the product or price, and the unit."""
        price = self.segment.price
        product = self.terms.products[price.product].name if price.product else price.id
        unit = self.terms.meters[price.meter].unit
        return f"{product} ({unit})" if unit else product


def end_day(cut: datetime, calendar: BillingCalendar) -> date:
    """The first local day after a segment that ends at ``cut``; a cut inside a day belongs to that day."""
    day = calendar.local_day(cut)
    return day if calendar.midnight(day) == cut else date.fromordinal(day.toordinal() + 1)
