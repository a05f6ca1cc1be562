"""End a customer's discount."""

from dataclasses import dataclass, replace

from billing_pipeline.core.plain_text import instant
from billing_pipeline.operations.changes.customer_change import CustomerCatalog, CustomerChange, ended, owner
from billing_pipeline.operations.changes.start import NOW
from billing_pipeline.operations.context import Billing


@dataclass(frozen=True, slots=True)
class EndDiscount:
    """End a discount.

    Attributes:
        id: the discount's id.
        end: until when
    """

    id: str
    end: str = NOW

    def customer_id(self, billing: Billing) -> str:
        """Whose discount it is."""
        return owner(billing, "discount", self.id)

    def changed(self, recorded: CustomerCatalog) -> CustomerChange:
        """The discount with its new end; one that has ended before stays as it is. Raises Refused: it starts later."""
        standing, ends = recorded.catalog.discounts[self.id], recorded.start(self.end)
        words = f"discount end {self.id} --end {instant(ends)}"
        return ended(recorded, standing, replace(standing, end=ends), ends, standing.ends(recorded.calendar), words)
