"""On-demand billing: what is due in a phase by now, and what the next invoice asks for.

80 units at 1.00 each up to 100, and 0.80 above, are invoiced as 80.00; when 120 are reached, 116.00 are due, and the
next invoice is 36.00. What is kept between the two is one :class:`Reached`: nothing is measured or priced again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import groupby

from billing_pipeline.catalog.meter import Convert
from billing_pipeline.catalog.plan import PlanPrice
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.exact import Exactly, finish_quotient, too_large
from billing_pipeline.core.money import EXACT, LARGEST_AMOUNT, Money, Rounding, round_amount
from billing_pipeline.core.plain_text import plain
from billing_pipeline.metering.measurement import Step
from billing_pipeline.rating.cost import convert, cost_of
from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price import NO_DIMENSIONS, Price
from billing_pipeline.rating.price_models import Memory, QuantityModel
from billing_pipeline.rating.pricing import conversions_of, parsed
from billing_pipeline.rating.tiers import ONE, ZERO


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a phase has come at one price, for one combination of dimension values.

    Attributes:
        quantity: cumulative, in the meter's unit.
        due: the exact amount of all of it.
        memory: what the price model goes on with.
    """

    quantity: Decimal = ZERO
    due: Decimal = ZERO
    memory: Memory = field(default_factory=dict)


START = Reached()
Combination = tuple[tuple[str, str], ...]  # names and values of the dimensions that a price tells apart


@dataclass(frozen=True, slots=True)
class Arrived:
    """What a window brought for one price and combination of dimension values.

    Attributes:
        steps: for a price that looks at each arrival, these in order.
        quantities: for any other, the quantity by now of each billing period in which something arrived, by its key.
    """

    steps: Sequence[Step] = ()
    quantities: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def numbers(self) -> Iterator[Decimal]:
        """All numbers in it."""
        yield from (step.value for step in self.steps)
        yield from self.quantities.values()


@dataclass(frozen=True, slots=True)
class Brought:
    """What a window brought for one price.

    Attributes:
        arrived: by combination of dimension values.
        days: keys of the billing periods that were measured: what is not in them any more is 0 there.
    """

    arrived: dict[Combination, Arrived] = field(default_factory=dict)
    days: set[str] = field(default_factory=set)


def together(price: Price, arrived: Mapping[Combination, Arrived]) -> dict[Combination, Arrived]:
    """What a window brought, for each combination of values that has tiers of its own.

    Raises:
        RatingError: usage without a rate shares its tiers with the rest.
    """
    if price.tiers_per == "dimension" or not price.by:
        return dict(arrived)
    steps: list[Step] = []
    quantities: dict[str, Decimal] = {}
    for combination, part in arrived.items():
        price.combination(dict(combination))
        steps += part.steps
        for day, quantity in part.quantities.items():
            quantities[day] = EXACT.add(quantities.get(day, ZERO), quantity)
    return {(): Arrived(sorted(steps, key=lambda step: (step.arrival, step.counts, step.event)), quantities)}


@dataclass(frozen=True, slots=True)
class OnDemandPrice:
    """A price as a phase is billed by it.

    Attributes:
        price: its model and included units, which count once a phase.
        conversions: from the metered to the priced unit, of cumulative quantities.
    """

    price: Price
    conversions: tuple[Convert, ...] = ()

    def at(self, quantity: Decimal, dimensions: Mapping[str, str] = NO_DIMENSIONS) -> Reached:
        """What is due where a cumulative quantity is reached, however it came to be.

        Raises:
            RatingError: no rate matches, or the amount is larger than any bill.
        """
        return self._reached([quantity], {}, dimensions)

    def after(self, before: Reached, steps: Sequence[Step], dimensions: Mapping[str, str] = NO_DIMENSIONS) -> Reached:
        """What is due after further arrivals, each at the rate that it reaches.

        Args:
            before: where the phase stood.
            steps: what arrived since then, in order.
            dimensions: the values that it was used with.

        Raises:
            RatingError: as of :meth:`at`.
        """
        model = self.price.rate_for(dimensions)
        if isinstance(model, QuantityModel):
            return self._reached(list(_running(before.quantity, steps)) or [before.quantity], before.memory, dimensions)
        with Exactly():
            quantity = sum((step.change for step in steps), before.quantity)
            converted = steps
            if self.price.needs == "events" and self.conversions:  # amounts are money, which is not converted
                converted = [step._replace(value=self._converted(step.value)) for step in steps]
            due, memory = model.resume(before.memory, converted)
        return Reached(quantity, _bill(due), memory)

    def brought(
        self,
        before: Reached,
        arrived: Arrived,
        dimensions: Mapping[str, str] = NO_DIMENSIONS,
        *,
        greatest: bool = False,
    ) -> Reached:
        """What is due after what a window brought, for one combination of dimension values.

        Args:
            before: where the phase stood.
            arrived: what the window brought.
            dimensions: the values that it was used with.
            greatest: whether the phase's quantity is the greatest of its periods', instead of their sum.

        Raises:
            RatingError: as of :meth:`at`; or what was used cannot be counted.
        """
        if not all(number.is_finite() for number in arrived.numbers):
            raise RatingError("What was used cannot be counted.", hint="Correct or retract events that have no number.")
        if self.price.in_order:
            return self.after(before, arrived.steps, dimensions)
        periods = {**before.memory.get("periods", {})}
        periods |= {day: plain(quantity) for day, quantity in arrived.quantities.items()}
        of_periods = [Decimal(quantity) for quantity in periods.values()]
        with Exactly():
            quantity = max(of_periods, default=ZERO) if greatest else sum(of_periods, ZERO)
        reached = self.at(quantity, dimensions)
        return Reached(reached.quantity, reached.due, {"periods": periods})

    def priced(self, quantity: Decimal) -> Decimal:
        """A cumulative quantity in the unit that is priced."""
        with Exactly():
            return self._converted(quantity)

    def reasons(self, quantity: Decimal, due: Decimal, dimensions: Mapping[str, str]) -> tuple[LineDetail, ...]:
        """Why a phase owes what is due: the reasons of its whole quantity, or, where each arrival counts, the sum."""
        if self.price.in_order:
            return (LineDetail("all arrivals of the phase, each at its rate", quantity, None, due),)
        return cost_of(self.price, self.priced(quantity), dimensions).details

    def _reached(self, quantities: Sequence[Decimal], memory: Memory, dimensions: Mapping[str, str]) -> Reached:
        model = self.price.rate_for(dimensions)
        assert isinstance(model, QuantityModel), "prices of single events need these"  # noqa: S101
        with Exactly():
            priced = [max(self._converted(quantity) - self.price.included, ZERO) for quantity in quantities]
            due, kept = model.resume(memory, priced)
            return Reached(quantities[-1], _bill(finish_quotient(due)), kept)

    def _converted(self, quantity: Decimal) -> Decimal:
        for conversion in self.conversions:
            quantity = convert(quantity, conversion)
        return quantity


def on_demand_price(terms: Terms, price: PlanPrice) -> OnDemandPrice:
    """A plan's price on demand: its included units count once a phase, not prorated."""
    return OnDemandPrice(replace(parsed(price), included=price.included), conversions_of(terms, price))


def _running(quantity: Decimal, steps: Iterable[Step]) -> Iterator[Decimal]:
    """The cumulative quantity after each arrival that changes it."""
    for _, same in groupby(steps, key=lambda step: step.arrival):
        with Exactly():
            change = sum((step.change for step in same), ZERO)
            quantity += change
        if change:
            yield quantity


def _bill(amount: Decimal) -> Decimal:
    if not -LARGEST_AMOUNT <= amount <= LARGEST_AMOUNT:
        raise too_large()
    return amount


def quoted_steps(cumulative: Iterable[Decimal]) -> list[list[Step]]:
    """Cumulative values as events: each rise is an event of its own, a fall takes back of the last ones."""
    standing: list[Step] = []
    invoices: list[list[Step]] = []
    reached = ZERO
    for arrival, value in enumerate(cumulative, 1):
        steps: list[Step] = []
        rest = value - reached
        while rest < 0 and standing:
            last = standing.pop()
            steps.append(last._replace(arrival=arrival, counts=False))
            rest += last.value
        if rest:
            standing.append(Step(arrival, arrival, rest, counts=True))
            steps.append(standing[-1])
        reached = value
        invoices.append(steps)
    return invoices


def running_amounts(
    price: OnDemandPrice, cumulative: Sequence[Decimal], dimensions: Mapping[str, str] = NO_DIMENSIONS
) -> tuple[Decimal, ...]:
    """The exact amount due so far at each of a phase's cumulative quantities, of which each is an arrival."""
    reached, due = START, []
    for quantity, steps in zip(cumulative, quoted_steps(cumulative), strict=True):
        reached = price.after(reached, steps, dimensions) if price.price.in_order else price.at(quantity, dimensions)
        due.append(reached.due)
    return tuple(due)


def invoiced_detail(invoiced: Decimal) -> LineDetail:
    """The reason that takes off a line what windows before it invoiced."""
    return LineDetail("invoiced before", ONE, None, -invoiced)


def next_invoice(due: Decimal, invoiced: Money, rounding: Rounding) -> Money:
    """The amount of the next invoice: what is due so far, rounded once, less the rounded lines invoiced so far.

    So all invoices come to what is due, rounded; half a cent is never given back and asked for again.
    """
    return round_amount(due, invoiced.currency, rounding) - invoiced


def invoices(due: Sequence[Decimal], currency: str, rounding: Rounding = Rounding.HALF_UP) -> tuple[Money, ...]:
    """The amounts of successive invoices, from what is due so far at each."""
    invoiced, amounts = Money(0, currency), []
    for amount in due:
        amounts.append(next_invoice(amount, invoiced, rounding))
        invoiced += amounts[-1]
    return tuple(amounts)
