"""Graduated: each unit costs the rate of the tier that it falls in itself."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price_models.model import Example, QuantityModel
from billing_pipeline.rating.tiers import Ladder, Tier, ZeroUsage, ladder


@dataclass(frozen=True, slots=True)
class Graduated(QuantityModel):
    """Each unit costs the rate of the tier that it falls in itself; a tier's flat amount is due once it is entered.

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
                "model": "graduated",
                "tiers": [{"up_to": "100", "unit_amount": "0.10"}, {"unit_amount": "0.08", "flat_amount": "5"}],
            },
            "quantity": "140",
        },
        amount="18.20",
        because="100 × 0.10, then 40 × 0.08, and 5 for entering the second tier",
    )

    def __post_init__(self) -> None:
        """Prepare the tiers. Raises CatalogError where they do not ascend."""
        object.__setattr__(self, "ladder", ladder(self.tiers))

    def details(self, quantity: Decimal) -> tuple[LineDetail, ...]:
        """One detail for each tier entered, and one for each flat amount."""
        if not quantity:
            return self.ladder.at_zero(self.zero_usage)
        return self.ladder.climb_to(quantity)

    def amount_of(self, quantity: Decimal) -> Decimal:
        """The amount by one multiplication, however many tiers there are."""
        return self.ladder.amount_to(quantity) if quantity else QuantityModel.amount_of(self, quantity)
