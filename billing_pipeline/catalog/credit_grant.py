"""Money given ahead of use."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from billing_pipeline.catalog.field_types import Id, Positive


@dataclass(frozen=True, slots=True)
class CreditGrant:
    """Prepaid credit, drawn down by invoices.

    Attributes:
        id: unique name of the grant.
        customer: id of the customer.
        amount: in major units of the customer's currency.
        effective: from when it can be used, a local day or an instant.
        priority: grants of a lower number are used first.
        expires: from when it can no longer be used, a local day or an instant.
        source: how it came about.
        products: ids of the products that it pays for; everything unless given.
    """

    id: Id
    customer: str
    amount: Positive
    effective: datetime
    priority: int = 0
    expires: datetime | None = None
    source: Literal["purchase", "top_up", "promotion"] = "purchase"
    products: tuple[str, ...] = ()
