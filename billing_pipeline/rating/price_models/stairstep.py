"""Stairstep: the step that the quantity reaches has one amount, however many units are on it."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price_models.model import Example, QuantityModel
from billing_pipeline.rating.tiers import Ladder, Tier, ladder


@dataclass(frozen=True, slots=True)
class Stair:
    """A step of quantities that cost one amount.

    Attributes:
        flat_amount: major units for any quantity on this step.
        up_to: the last quantity that still belongs here; absent in the last step.
    """

    flat_amount: Decimal
    up_to: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Stairstep(QuantityModel):
    """The step that the quantity reaches has one amount, however many units are on it. No usage, no amount.

    Attributes:
        tiers: the steps in ascending order, the last one open.
    """

    tiers: tuple[Stair, ...]
    ladder: Ladder = field(init=False, repr=False, compare=False)

    example: ClassVar = Example(
        case={
            "price": {
                "model": "stairstep",
                "tiers": [
                    {"up_to": "10", "flat_amount": "50"},
                    {"up_to": "50", "flat_amount": "200"},
                    {"flat_amount": "350"},
                ],
            },
            "quantity": "11",
        },
        amount="200",
        because="11 units are on the second step, which costs 200",
    )

    def __post_init__(self) -> None:
        """Prepare the steps. Raises CatalogError where they do not ascend."""
        object.__setattr__(self, "ladder", ladder([Tier(t.up_to, flat_amount=t.flat_amount) for t in self.tiers]))

    def details(self, quantity: Decimal) -> tuple[LineDetail, ...]:
        """The step that the quantity reaches, as one detail."""
        if not quantity:
            return ()
        index = self.ladder.index(quantity)
        amount = self.tiers[index].flat_amount
        return (LineDetail(f"step {self.ladder.steps[index].description}", Decimal(1), amount, amount),)
