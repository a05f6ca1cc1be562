"""Percentage: a part of each event's value, with what payment processors put around it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Self

from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.plain_text import plain
from billing_pipeline.metering.measurement import Step
from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price_models.model import EventModel, Example, Memory
from billing_pipeline.rating.tiers import ZERO

_NO_LIMIT = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class Percentage(EventModel):
    """A part of each event's value, and a fixed amount an event.

    An event is free while both free events and free amount last. The event that crosses the free amount pays for its
    excess, and the fixed amount. Minimum and maximum look at one event's rate and fixed amount together. Values that
    add up to less than zero are rated as zero.

    Attributes:
        rate: percent: 1.5 is 1.5%.
        fixed_amount: major units for each event that is not free.
        free_events: how many events are free; absent, as many as the free amount lasts.
        free_amount: how much value is free, in the unit of the values; absent, as much as the free events hold.
        minimum_per_event: major units that an event that is not free costs at least.
        maximum_per_event: major units that it costs at most.
    """

    rate: Decimal
    fixed_amount: Decimal = ZERO
    free_events: int | None = None
    free_amount: Decimal | None = None
    minimum_per_event: Decimal | None = None
    maximum_per_event: Decimal | None = None

    needs: ClassVar = "events"
    example: ClassVar = Example(
        case={
            "price": {"model": "percentage", "rate": "1.5", "fixed_amount": "0.30", "free_events": 1},
            "events": [{"value": "500"}, {"value": "20"}, {"value": "99.95"}],
        },
        amount="2.39925",
        because="the first event is free; 1.5% of 119.95 is 1.79925, and 2 events at 0.30",
    )

    def __post_init__(self) -> None:
        """Raise CatalogError for a minimum above the maximum."""
        lowest, highest = self.minimum_per_event, self.maximum_per_event
        if lowest is not None and highest is not None and lowest > highest:
            raise CatalogError(f"The minimum {lowest} exceeds the maximum {highest}.", path=("minimum_per_event",))

    def details(self, measures: Iterable[Decimal]) -> tuple[LineDetail, ...]:
        """What was free, the rate, the fixed amounts, and what minimum and maximum changed."""
        free, paid = [], []
        for free_part, paid_part in self.split(measures):
            free.append(free_part)
            if paid_part is not None:
                paid.append(paid_part)
        free_sum, paid_sum = sum(free, ZERO), sum(paid, ZERO)
        if free_sum + paid_sum < 0:
            return ()
        free_events = len(free) - len(paid)
        covered = (LineDetail(f"free (events wholly free: {free_events})", free_sum, ZERO, ZERO),)
        return (covered if free_events or free_sum else ()) + (self._paid(paid, paid_sum) if paid else ())

    def _paid(self, values: Sequence[Decimal], total: Decimal) -> tuple[LineDetail, ...]:
        unit_amount, events, fixed = self.rate.scaleb(-2), Decimal(len(values)), self.fixed_amount
        details = [LineDetail(f"{plain(self.rate)}%", total, unit_amount, total * unit_amount)]
        if fixed:
            details.append(LineDetail("fixed amount per event", events, fixed, events * fixed))
        for name, bound, changes in (
            ("minimum", self.minimum_per_event, max),
            ("maximum", self.maximum_per_event, min),
        ):
            if bound is not None:
                amounts = [value * unit_amount + fixed for value in values]
                moved = [m for amount in amounts if (m := changes(amount, bound) - amount)]
                if moved:
                    details.append(LineDetail(f"{name} per event", Decimal(len(moved)), None, sum(moved, ZERO)))
        return tuple(details)

    def split(self, values: Iterable[Decimal]) -> Iterator[tuple[Decimal, Decimal | None]]:
        """Each value's free part and the part that pays; None where the event is wholly free and pays nothing."""
        is_limited = self.free_events is not None or self.free_amount is not None
        events_left = Decimal(self.free_events) if self.free_events is not None else _NO_LIMIT
        amount_left = self.free_amount if self.free_amount is not None else _NO_LIMIT
        for value in values:
            if not is_limited or events_left <= 0 or amount_left <= 0:
                yield ZERO, value
                continue
            free = min(value, amount_left)
            events_left -= 1
            amount_left -= free
            yield free, (None if free == value else value - free)

    def resume(self, memory: Memory, steps: Sequence[Step]) -> tuple[Decimal, Memory]:
        """Events in the order of arrival: one that is taken back gives back what was free of it, and what it paid.

        What is billed stands: where an event that was free is taken back, the next one to arrive is free.
        """
        tally = _Tally.of(memory)
        for step in steps:
            if step.counts:
                tally.count(self, step)
            else:
                tally.take_back(self, step)
        return (tally.due if tally.total >= 0 else ZERO), tally.memory()

    def of_event(self, value: Decimal) -> Decimal:
        """What the part of an event that is not free costs."""
        amount = value * self.rate.scaleb(-2) + self.fixed_amount
        if self.minimum_per_event is not None:
            amount = max(amount, self.minimum_per_event)
        return amount if self.maximum_per_event is None else min(amount, self.maximum_per_event)


@dataclass(slots=True)
class _Tally:
    """The events of an on-demand phase that count so far.

    Attributes:
        due: what those that are not free cost.
        total: the sum of all values.
        events, amount: how much of what is free they use.
        free: stretches of arrivals, first and last, in which every event was wholly free.
        parts: what was free of the others, by arrival.
        going: whether the last event was wholly free, so that the last stretch goes on.
    """

    due: Decimal = ZERO
    total: Decimal = ZERO
    events: int = 0
    amount: Decimal = ZERO
    free: list[list[int]] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)
    going: bool = False

    @classmethod
    def of(cls, memory: Memory) -> Self:
        if not memory:
            return cls()
        due, total, amount = (Decimal(memory[name]) for name in ("due", "total", "amount"))
        free = [list(stretch) for stretch in memory["free"]]
        return cls(due, total, memory["events"], amount, free, dict(memory["parts"]), memory["going"])

    def memory(self) -> Memory:
        due, total, amount = plain(self.due), plain(self.total), plain(self.amount)
        return {
            "due": due, "total": total, "events": self.events, "amount": amount, "free": self.free,
            "parts": self.parts, "going": self.going,
        }  # fmt: skip

    def count(self, price: Percentage, step: Step) -> None:
        self.total += step.value
        limited = price.free_events is not None or price.free_amount is not None
        events_last = price.free_events is None or self.events < price.free_events
        amount_lasts = price.free_amount is None or self.amount < price.free_amount
        free = ZERO
        if limited and events_last and amount_lasts:
            free = step.value if price.free_amount is None else min(step.value, price.free_amount - self.amount)
            self.events += 1
            self.amount += free
            if free == step.value:
                if not self.going:
                    self.free.append([step.event, step.event])
                self.free[-1][1] = step.event
                self.going = True
                return
            self.parts[str(step.event)] = plain(free)
        self.going = False
        self.due += price.of_event(step.value - free)

    def take_back(self, price: Percentage, step: Step) -> None:
        self.total -= step.value
        part = self.parts.pop(str(step.event), None)
        wholly = any(first <= step.event <= last for first, last in self.free)
        free = step.value if wholly else Decimal(part or ZERO)
        if wholly or part is not None:
            self.events -= 1
            self.amount -= free
        if not wholly:
            self.due -= price.of_event(step.value - free)
