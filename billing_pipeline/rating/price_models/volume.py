"""Volume: the tier that the whole quantity reaches prices all of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price_models.model import Example, QuantityModel
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

    def running(self, quantities: Sequence[Decimal]) -> tuple[Decimal, ...]:
        """New units at the tier that the cumulative quantity has reached: earlier ones are invoiced and stand.

        A tier's flat amount is due once, when the cumulative quantity first ends in it. A reduction takes back the
        units billed last, at the amounts they were billed at.
        """
        billed: list[tuple[Decimal, Decimal]] = []  # units and their unit amount, oldest first
        entered: set[int] = set()
        due, previous, amounts = ZERO, ZERO, []
        if self.zero_usage == "first_tier_flat":
            entered.add(0)
            due += self.tiers[0].flat_amount
        for quantity in quantities:
            if quantity > previous:
                index = self.ladder.index(quantity)
                tier = self.tiers[index]
                billed.append((quantity - previous, tier.unit_amount))
                due += (quantity - previous) * tier.unit_amount
                if index not in entered:
                    entered.add(index)
                    due += tier.flat_amount
            else:
                due -= _take_back(billed, previous - quantity)
            previous = quantity
            amounts.append(due)
        return tuple(amounts)


def _take_back(billed: list[tuple[Decimal, Decimal]], units: Decimal) -> Decimal:
    """Remove the last ``units`` from what was billed and say what they had cost."""
    amount = ZERO
    while units > 0:
        last, unit_amount = billed.pop()
        taken = min(last, units)
        if taken < last:
            billed.append((last - taken, unit_amount))
        amount += taken * unit_amount
        units -= taken
    return amount
