"""What the customer thinks they buy."""

from dataclasses import dataclass

from billing_pipeline.catalog.field_types import NO_TIME, Id, Line, WholeDays
from billing_pipeline.core.period import Duration


@dataclass(frozen=True, slots=True)
class Product:
    """Groups prices that are invoiced together.

    Attributes:
        id: unique name of the product.
        name: the product's name, as printed; its id unless given.
        invoicing_delay: whole days after the period's end at which its usage is invoiced.
        grace: overrides the account's grace for this product's usage.
    """

    id: Id
    name: Line = ""
    invoicing_delay: WholeDays = NO_TIME
    grace: Duration | None = None

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.id)
