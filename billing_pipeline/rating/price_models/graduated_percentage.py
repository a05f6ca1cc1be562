"""Graduated percentage: each part of a sum costs the percentage of the tier that it falls in itself."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from billing_pipeline.core.money import EXACT
from billing_pipeline.core.plain_text import plain
from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price_models.model import Example, QuantityModel
from billing_pipeline.rating.tiers import ZERO, Ladder, Tier, ladder, ranges


@dataclass(frozen=True, slots=True)
class RateTier:
    """A tier of a sum and its percentage.

    Attributes:
        up_to: the last value that still belongs here; absent in the last tier.
        rate: percent: 1.5 is 1.5%.
        flat_amount: major units, once, where the tier is entered.
    """

    up_to: Decimal | None = None
    rate: Decimal = ZERO
    flat_amount: Decimal = ZERO
    at_least_one: ClassVar[tuple[str, ...]] = ("rate", "flat_amount")


@dataclass(frozen=True, slots=True)
class GraduatedPercentage(QuantityModel):
    """Each part of a sum costs the percentage of the tier that it falls in itself.

    Attributes:
        tiers: in ascending order, the last one open; bounds are in the unit of the sum.
    """

    tiers: tuple[RateTier, ...]
    ladder: Ladder = field(init=False, repr=False, compare=False)

    example: ClassVar = Example(
        case={
            "price": {
                "model": "graduated_percentage",
                "tiers": [{"up_to": "1000", "rate": "2", "flat_amount": "10"}, {"rate": "1.5"}],
            },
            "quantity": "3000",
        },
        amount="60.000",
        because="2% of the first 1,000 is 20, 1.5% of the other 2,000 is 30, and 10 for entering the first tier",
    )

    def __post_init__(self) -> None:
        """Prepare the tiers. Raises CatalogError where they do not ascend."""
        tiers = [Tier(t.up_to, EXACT.scaleb(t.rate, -2), t.flat_amount) for t in self.tiers]
        texts = [f"{plain(t.rate)}%, {words}" for t, words in zip(self.tiers, ranges(self.tiers), strict=True)]
        object.__setattr__(self, "ladder", ladder(tiers, texts))

    def details(self, quantity: Decimal) -> tuple[LineDetail, ...]:
        """One detail for each tier entered, and one for each flat amount."""
        return self.ladder.climb_to(quantity) if quantity else ()

    def amount_of(self, quantity: Decimal) -> Decimal:
        """The amount by one multiplication, however many tiers there are."""
        return self.ladder.amount_to(quantity) if quantity else ZERO
