"""Per unit: every unit costs the same."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price_models.model import Example, QuantityModel


@dataclass(frozen=True, slots=True)
class PerUnit(QuantityModel):
    """Every unit costs the same.

    Attributes:
        unit_amount: major units per unit.
    """

    unit_amount: Decimal

    example: ClassVar = Example(
        case={"price": {"model": "per_unit", "unit_amount": "0.00000525"}, "quantity": "1200000"},
        amount="6.30",
        because="1,200,000 × 0.00000525",
    )

    def details(self, quantity: Decimal) -> tuple[LineDetail, ...]:
        """All units at their amount, as one detail."""
        return (LineDetail("all units", quantity, self.unit_amount, quantity * self.unit_amount),) if quantity else ()

    def amount_of(self, quantity: Decimal) -> Decimal:
        """The amount alone: one product."""
        return quantity * self.unit_amount
