"""Tiers: where the unit amount changes. ``up_to`` is inclusive, the last tier is open."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import ClassVar, Literal, NamedTuple, Protocol

from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.money import EXACT
from billing_pipeline.core.plain_text import plain
from billing_pipeline.rating.line import LineDetail

ZERO, ONE = Decimal(0), Decimal(1)

# Whether the first tier's flat amount is due where nothing was used: systems that people come from differ.
ZeroUsage = Literal["none", "first_tier_flat"]


class Bounded(Protocol):
    """A tier of any kind: it holds up to a bound."""

    @property
    def up_to(self) -> Decimal | None:
        """The tier's bound, inclusive; None for the last."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier: a range of units and what they cost.

    Attributes:
        up_to: the last quantity that still belongs here; absent in the last tier.
        unit_amount: major units per unit.
        flat_amount: major units, once, where the tier is entered.
    """

    up_to: Decimal | None = None
    unit_amount: Decimal = ZERO
    flat_amount: Decimal = ZERO
    at_least_one: ClassVar[tuple[str, ...]] = ("unit_amount", "flat_amount")


class Step(NamedTuple):
    """A tier that is ready to price: what it says on a line, and what it adds to the tiers below it.

    Attributes:
        offset: within a tier an amount is a straight line: offset + quantity × unit amount.
    """

    description: str
    start: Decimal
    unit_amount: Decimal
    flat: tuple[LineDetail, ...]
    offset: Decimal

    def all_of(self, quantity: Decimal) -> tuple[LineDetail, ...]:
        """The reasons where all of a quantity is at this tier's amounts."""
        part = LineDetail(self.description, quantity, self.unit_amount, quantity * self.unit_amount)
        return (part, *self.flat)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Tiers prepared once, when a price is read, so that a quantity costs one look-up and one multiplication."""

    bounds: tuple[Decimal, ...]
    steps: tuple[Step, ...] = field(repr=False)

    def index(self, quantity: Decimal) -> int:
        """The number of the tier that holds ``quantity``; a bound belongs to the tier below it."""
        return bisect_left(self.bounds, quantity)

    def step(self, quantity: Decimal) -> Step:
        """The tier that holds ``quantity``."""
        return self.steps[bisect_left(self.bounds, quantity)]

    def climb_to(self, quantity: Decimal) -> tuple[LineDetail, ...]:
        """The reasons where each tier has its own part of a quantity."""
        last = self.index(quantity)
        details: list[LineDetail] = []
        for step, end in zip(self.steps, (*self.bounds[:last], quantity), strict=False):
            details += step.all_of(end - step.start)
        return tuple(details)

    def amount_to(self, quantity: Decimal) -> Decimal:
        """The amount of a climb to a quantity: one look-up and one multiplication."""
        step = self.steps[bisect_left(self.bounds, quantity)]
        return step.offset + quantity * step.unit_amount

    def at_zero(self, zero_usage: ZeroUsage) -> tuple[LineDetail, ...]:
        """The reasons where nothing was used."""
        return self.steps[0].flat if zero_usage == "first_tier_flat" else ()


def ladder(tiers: Sequence[Tier], descriptions: Sequence[str] = ()) -> Ladder:
    """Tiers prepared as a ladder. Raises CatalogError where they do not ascend to one open tier."""
    bounds = ascending(tiers)
    starts = (ZERO, *bounds)
    steps: list[Step] = []
    offset = unit_amount = ZERO
    with localcontext(EXACT):
        for start, tier, description in zip(starts, tiers, descriptions or ranges(tiers), strict=True):
            offset += start * (unit_amount - tier.unit_amount) + tier.flat_amount  # both lines meet at the bound
            unit_amount = tier.unit_amount
            flat = (LineDetail(f"{description}: flat amount", ONE, tier.flat_amount, tier.flat_amount),)
            steps.append(Step(description, start, unit_amount, flat if tier.flat_amount else (), offset))
    return Ladder(bounds, tuple(steps))


def ascending(tiers: Sequence[Bounded]) -> tuple[Decimal, ...]:
    """The bounds of ``tiers``. Raises CatalogError where they do not ascend from above 0 to one open tier."""
    if not tiers:
        raise CatalogError("There are no tiers.", hint="The last has no up_to; one may be the only.", path=("tiers",))
    previous = ZERO
    bounds = []
    for i, tier in enumerate(tiers):
        is_last = i == len(tiers) - 1
        if is_last != (tier.up_to is None):
            message = "The last tier must be open." if is_last else "Only the last tier may be open."
            raise CatalogError(message, hint="Leave up_to out in the last tier, and only there.", path=("tiers", i))
        if tier.up_to is not None:
            if tier.up_to <= previous:
                raise CatalogError(
                    f"up_to {tier.up_to} does not exceed {previous}.",
                    hint="Write tiers in ascending order.",
                    path=("tiers", i, "up_to"),
                )
            bounds.append(previous := tier.up_to)
    return tuple(bounds)


def ranges(tiers: Sequence[Bounded]) -> tuple[str, ...]:
    """The ranges of tiers in words: ``up to 100``, ``over 100 up to 1000``, ``over 1000``."""
    words, start = [], ""
    for tier in tiers:
        end = f"up to {plain(tier.up_to)}" if tier.up_to is not None else ""
        words.append(" ".join(part for part in (start, end) if part) or "all units")
        start = f"over {plain(tier.up_to)}" if tier.up_to is not None else ""
    return tuple(words)
