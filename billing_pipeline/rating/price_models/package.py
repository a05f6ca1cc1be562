"""Package: units are sold in packages; by default a started package costs a whole one."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Literal

from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.exact import divide
from billing_pipeline.core.plain_text import plain
from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price_models.model import Example, QuantityModel


@dataclass(frozen=True, slots=True)
class Package(QuantityModel):
    """A started package costs a whole one: 101 emails in packages of 100 cost two.

    With ``round: down`` only full packages are paid for, with ``none`` a part of a package costs its part. That part
    is multiplied before it is divided; where the quotient has no last digit it is carried to 60 decimals.

    Attributes:
        size: units per package.
        amount: major units per package.
        round: what happens to the last package where it is not full.
    """

    size: Decimal
    amount: Decimal
    round: Literal["up", "down", "none"] = "up"

    example: ClassVar = Example(
        case={"price": {"model": "package", "size": "100", "amount": "5"}, "quantity": "101"},
        amount="10",
        because="101 units start 2 packages of 100, at 5 each",
    )

    def __post_init__(self) -> None:
        """Raise CatalogError for a package that holds nothing."""
        if self.size <= 0:
            raise CatalogError("A package of 0 units cannot be sold.", path=("size",))

    def details(self, quantity: Decimal) -> tuple[LineDetail, ...]:
        """Whole packages, or, with ``round: none``, the quantity's part of one."""
        if not quantity:
            return ()
        if self.round == "none":
            amount = divide(quantity * self.amount, self.size)
            return (LineDetail(f"{plain(self.amount)} per {plain(self.size)} units", quantity, None, amount),)
        packages = self._packages(quantity)
        return (LineDetail(f"packages of {plain(self.size)}", packages, self.amount, packages * self.amount),)

    def _packages(self, quantity: Decimal) -> Decimal:
        full = quantity // self.size  # exact, unlike a quotient that is rounded afterwards
        started = self.round == "up" and full * self.size < quantity
        return full + 1 if started else full
