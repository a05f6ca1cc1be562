"""What a customer pays less."""

from dataclasses import dataclass, replace
from datetime import MAXYEAR, UTC, datetime
from typing import Annotated

from billing_pipeline.catalog.field_types import Assigned, Id, Percent, PeriodCount, Positive
from billing_pipeline.core.period import BillingCalendar


@dataclass(frozen=True, slots=True)
class Discount:
    """A percentage, or a fixed amount for each service period.

    Attributes:
        id: unique name of the discount.
        customer: id of the customer.
        start: when it starts, a local day or an instant.
        percent: percent off.
        amount: amount off in each service period, in major units.
        end: when it ends, a local day or an instant; at its start: it never holds.
        periods: for how many billing periods it holds, counted from the one that holds the start.
        prices: ids of the prices and fees that it lowers; all unless given.
        order: a lower one applies first; given when the discount is first applied, and kept.
    """

    id: Id
    customer: str
    start: datetime
    percent: Percent | None = None
    amount: Positive | None = None
    end: datetime | None = None
    periods: PeriodCount | None = None
    prices: tuple[str, ...] = ()
    order: Annotated[int, Assigned()] = 0

    def ends(self, calendar: BillingCalendar) -> datetime | None:
        """The first instant at which it no longer holds, by its end and its periods; None: it goes on."""
        if self.periods is None or self.start.year + self.periods >= MAXYEAR:  # a period is at most a year
            return self.end
        last = calendar.nth_end(self.start, self.periods)
        return last if self.end is None else min(last, self.end)

    def lowers(self, price: str | None) -> bool:
        """Whether the discount applies to a price or fee; what is of no price is lowered by discounts on all."""
        return not self.prices or price in self.prices


def first_difference(old: Discount | None, new: Discount, calendar: BillingCalendar) -> datetime | None:
    """The first instant at which the customer pays otherwise than before; None where they pay the same."""
    before, after = _held(old, calendar) if old else None, _held(new, calendar)
    if old is None or before is None or after is None:
        holds = after or before
        return holds[0] if holds else None
    same = replace(old, start=new.start, end=new.end, periods=new.periods, order=new.order) == new
    if not same or before[0] != after[0]:
        return min(before[0], after[0])
    return None if before[1] == after[1] else min(before[1], after[1])


def _held(discount: Discount, calendar: BillingCalendar) -> tuple[datetime, datetime] | None:
    """From when to when it holds; None where it never does."""
    ends = discount.ends(calendar) or datetime.max.replace(tzinfo=UTC)
    return (discount.start, ends) if discount.start < ends else None
