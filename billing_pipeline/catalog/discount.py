"""What a customer pays less."""

from dataclasses import dataclass
from datetime import datetime

from billing_pipeline.catalog.field_types import Id, Percent, Positive


@dataclass(frozen=True, slots=True)
class Discount:
    """A percentage, or a fixed amount for each service period.

    Attributes:
        id: unique name of the discount.
        customer: id of the customer.
        start: when it starts, a local day or an instant.
        percent: percent off.
        amount: amount off in each service period, in major units.
        end: when it ends, a local day or an instant.
        periods: for how many billing periods it holds, counted from the one that holds the start.
        prices: ids of the prices that it lowers; all unless given.
    """

    id: Id
    customer: str
    start: datetime
    percent: Percent | None = None
    amount: Positive | None = None
    end: datetime | None = None
    periods: int | None = None
    prices: tuple[str, ...] = ()
