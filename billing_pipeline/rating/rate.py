"""Quantities × prices in force → rated lines: exact, then rounded once on each line."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from billing_pipeline.catalog.price import PlanPrice
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.money import EXACT, Money, round_amount
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.metering.segments import Segment
from billing_pipeline.rating.price import Price, charge, parse_price

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class MeteredQuantity:
    """What a customer used of one price, cumulative from the segment's start to ``cut``.

    Attributes:
        segment: key of the segment (subscription, phase start, price).
        start: the segment's start.
        cut: usage before this instant is counted.
        dimensions: the values that the price tells apart.
        quantity: in the meter's unit, exact.
        events: how many events it counts.
    """

    segment: tuple[str, str, str]
    start: datetime
    cut: datetime
    dimensions: Mapping[str, str]
    quantity: Decimal
    events: int


@dataclass(frozen=True, slots=True)
class RatedLine:
    """One priced quantity of one customer and service period, rounded once.

    Attributes:
        kind: usage, fee, true_up, discount, adjustment, credit or tax.
        service_start, service_end: local days ``[start, end)`` in which it was used.
        quantity: pricing quantity; None where there is none.
        amount: rounded to the currency's minor unit.
        phase_start: start of the subscription's phase; with subscription and price it names the segment.
    """

    kind: str
    subscription: str | None
    plan: str | None
    plan_version: int | None
    price: str | None
    product: str | None
    description: str
    service_start: date | None
    service_end: date | None
    dimensions: Mapping[str, str]
    quantity: Decimal | None
    amount: Money
    phase_start: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rated:
    """The lines of one customer, and the quantities that have no rate: these hold the customer's documents."""

    lines: tuple[RatedLine, ...] = ()
    problems: tuple[str, ...] = ()


_PARSED: dict[int, tuple[PlanPrice, Price]] = {}  # by identity; keeps the key alive, so that no identity is reused


def parsed(price: PlanPrice) -> Price:
    """A plan price's terms, parsed once for each plan version in this process."""
    known = _PARSED.get(id(price))
    if known is None:
        known = _PARSED[id(price)] = (price, parse_price({"included": price.included, **price.price}))
    return known[1]


def rate(
    terms: Terms,
    in_force: Iterable[Segment],
    quantities: Iterable[MeteredQuantity],
    calendar: BillingCalendar,
) -> Rated:
    """Price one customer's quantities of one period.

    Args:
        terms: the customer's.
        in_force: the segments that were measured.
        quantities: cumulative, at every cut of every segment.
        calendar: gives the local days of service periods.
    """
    by_segment: dict[tuple[tuple[str, str, str], datetime], list[MeteredQuantity]] = defaultdict(list)
    for quantity in quantities:
        by_segment[quantity.segment, quantity.start].append(quantity)
    lines, problems = [], []
    for segment in in_force:
        price = parsed(segment.price)
        for dimensions, at_cuts in _by_dimensions(by_segment.get((segment.key, segment.start), ()), price):
            try:
                lines.extend(_segment_lines(terms, segment, price, dimensions, at_cuts, calendar))
            except RatingError as error:
                problems.append(f"{segment.plan.id}/{segment.price.id}: {error}")
    return Rated(tuple(lines), tuple(problems))


def _by_dimensions(
    quantities: Iterable[MeteredQuantity], price: Price
) -> list[tuple[Mapping[str, str], dict[datetime, MeteredQuantity]]]:
    """Quantities at the cuts, for each combination of values, in the order of the values."""
    groups: dict[tuple[tuple[str, str], ...], dict[datetime, MeteredQuantity]] = defaultdict(dict)
    for quantity in quantities:
        groups[tuple(sorted(quantity.dimensions.items()))][quantity.cut] = quantity
    if not groups and not price.by:
        groups[()] = {}  # a price may charge for no usage at all
    return [(dict(values), groups[values]) for values in sorted(groups)]


def _segment_lines(
    terms: Terms,
    segment: Segment,
    price: Price,
    dimensions: Mapping[str, str],
    at_cuts: Mapping[datetime, MeteredQuantity],
    calendar: BillingCalendar,
) -> list[RatedLine]:
    """One line between each two cuts: rated(cumulative at the second) − rated(cumulative at the first)."""
    lines = []
    amount_before, quantity_before, events_before, start = ZERO, ZERO, 0, segment.start
    for cut in segment.cuts:
        measured = at_cuts.get(cut)
        quantity, events = (measured.quantity, measured.events) if measured else (quantity_before, events_before)
        # A negative quantity is rated as zero; a check names it.
        amount = charge(price, max(quantity, ZERO), dimensions).amount
        part = EXACT.subtract(amount, amount_before)
        if events > events_before or part:
            lines.append(
                RatedLine(
                    kind="usage",
                    subscription=segment.subscription,
                    plan=segment.plan.id,
                    plan_version=segment.plan.version,
                    price=segment.price.id,
                    product=segment.price.product,
                    description=_description(terms, segment),
                    service_start=calendar.local_day(start),
                    service_end=_end_day(cut, calendar),
                    dimensions=dimensions,
                    quantity=EXACT.subtract(quantity, quantity_before),
                    amount=round_amount(part, segment.plan.currency, terms.account.rounding),
                    phase_start=segment.phase_start,
                )
            )
        amount_before, quantity_before, events_before, start = amount, quantity, events, cut
    return lines


def _description(terms: Terms, segment: Segment) -> str:
    """What stands on the invoice: the product or price, and the unit."""
    product = terms.products[segment.price.product].name if segment.price.product else segment.price.id
    unit = terms.meters[segment.price.meter].unit
    return f"{product} ({unit})" if unit else product


def _end_day(cut: datetime, calendar: BillingCalendar) -> date:
    """The first local day after a segment that ends at ``cut``; a cut inside a day belongs to that day."""
    day = calendar.local_day(cut)
    return day if calendar.midnight(day) == cut else date.fromordinal(day.toordinal() + 1)
