"""Volume: the tier that the whole quantity reaches prices all of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from billing_pipeline.core.plain_text import plain
from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price_models.model import Example, Memory, QuantityModel
from billing_pipeline.rating.tiers import ZERO, Ladder, Tier, ZeroUsage, ladder


@dataclass(frozen=True, slots=True)
class Volume(QuantityModel):
    """The tier that the whole quantity reaches prices all of it, so one unit more may cost less.

    Attributes:
        tiers: in ascending order, the last one open.
        zero_usage: whether the first tier's flat amount is due where nothing was used.
    """

    tiers: tuple[Tier, ...]
    zero_usage: ZeroUsage = "none"
    in_order: ClassVar[bool] = True
    ladder: Ladder = field(init=False, repr=False, compare=False)

    example: ClassVar = Example(
        case={
            "price": {
                "model": "volume",
                "tiers": [{"up_to": "100", "unit_amount": "0.10"}, {"unit_amount": "0.08"}],
            },
            "quantity": "140",
        },
        amount="11.20",
        because="140 units reach the second tier: 140 × 0.08",
    )

    def __post_init__(self) -> None:
        """Prepare the tiers. Raises CatalogError where they do not ascend."""
        object.__setattr__(self, "ladder", ladder(self.tiers))

    def details(self, quantity: Decimal) -> tuple[LineDetail, ...]:
        """The tier reached, and its flat amount."""
        if not quantity:
            return self.ladder.at_zero(self.zero_usage)
        return self.ladder.step(quantity).all_of(quantity)

    def resume(self, memory: Memory, quantities: Sequence[Decimal]) -> tuple[Decimal, Memory]:
        """Each arrival's units at the tier that the cumulative quantity reaches with them: earlier ones stand.

        A tier's flat amount is due once a phase, when the quantity first ends in it. A reduction takes back units of
        the highest tier billed, at its rate.
        """
        units = [Decimal(number) for number in memory.get("units", ())] or [ZERO] * len(self.tiers)
        entered: list[int] = list(memory.get("entered", [0] if self.zero_usage == "first_tier_flat" else ()))
        reached = sum(units, ZERO)
        for quantity in quantities:
            if quantity > reached:
                index = self.ladder.index(quantity)
                units[index] += quantity - reached
                if index not in entered:
                    entered.append(index)
            else:
                _take_back(units, reached - quantity)
            reached = quantity
        due = sum((number * tier.unit_amount for number, tier in zip(units, self.tiers, strict=True)), ZERO)
        due += sum((self.tiers[index].flat_amount for index in entered), ZERO)
        return due, {"units": [plain(number) for number in units], "entered": entered}


def _take_back(units: list[Decimal], reduction: Decimal) -> None:
    """Take units back, of the highest tier first."""
    for index in reversed(range(len(units))):
        taken = min(units[index], reduction)
        units[index] -= taken
        reduction -= taken
