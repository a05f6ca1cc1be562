"""A named set of prices and fees. A used version never changes: changed content is a new version."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

from billing_pipeline.catalog.field_types import Assigned, CurrencyCode, DefaultsToAccount, Id, Line, NotNegative
from billing_pipeline.catalog.meter import Convert
from billing_pipeline.core.period import Duration


@dataclass(frozen=True, slots=True)
class PlanPrice:
    """What a plan asks for one meter's usage.

    Attributes:
        id: name of the price, unique within its plan.
        meter: id of the meter whose quantity is priced.
        price: the price model and its terms, e.g. {model: per_unit, unit_amount: "0.10"}; rating reads them.
        product: id of the product that the usage belongs to; without one it is invoiced without delay.
        included: free units, taken off before the price model.
        minimum: minimum spend, as a true-up line.
        maximum: the most that this price comes to in a period.
        convert: conversion to the unit that is priced.
    """

    id: Id
    meter: str
    price: Mapping[str, object]
    product: str | None = None
    included: NotNegative = Decimal(0)
    minimum: NotNegative | None = None
    maximum: NotNegative | None = None
    convert: Convert | None = None


PlanVersion = tuple[str, int]  # id and version


class FeeCadence(StrEnum):
    """How often a fee recurs."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    ONCE = "once"


@dataclass(frozen=True, slots=True)
class Fee:
    """A flat amount that recurs, or is due once.

    Attributes:
        id: name of the fee, unique within its plan; subscriptions give quantities by it.
        amount: for one unit and one `every`, in major units.
        name: the fee's name, as printed; its id unless given.
        every: how often it recurs; `once` is due when the plan's first phase in a subscription starts.
        timing: invoiced at the start (in_advance) or at the end (in_arrears) of what it pays for.
        prorate: whether a part of a period costs a part of the amount.
    """

    id: Id
    amount: NotNegative
    name: Line = ""
    every: FeeCadence = FeeCadence.MONTH
    timing: Literal["in_advance", "in_arrears"] = "in_advance"
    prorate: bool = True

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.id)


@dataclass(frozen=True, slots=True)
class Plan:
    """What subscriptions put customers on.

    Attributes:
        id: unique name of the plan.
        currency: ISO 4217 code of all its amounts; the account's unless given.
        version: 1 for a plan's first content, one more for each change; given when the catalog is applied.
        billing: `period` (invoiced at the period's end) or `on_demand` (invoiced in windows as usage arrives).
        invoice_every: for on_demand, the length of a window: each UTC `hour`, or `day` (the default).
        grace: overrides the product's and the account's grace.
        fees: flat amounts that recur, or are due once.
        prices: what usage costs.
        minimum: minimum spend of the whole plan, usage and fees in arrears, as a true-up line.
        maximum: maximum spend of the same, as a credit on such a line.
    """

    id: Id
    currency: Annotated[CurrencyCode, DefaultsToAccount()]
    version: Annotated[int, Assigned()] = 1
    billing: Literal["period", "on_demand"] = "period"
    invoice_every: Literal["day", "hour"] | None = None
    grace: Duration | None = None
    fees: tuple[Fee, ...] = ()
    prices: tuple[PlanPrice, ...] = ()
    minimum: NotNegative | None = None
    maximum: NotNegative | None = None

    @property
    def on_demand(self) -> bool:
        """Whether its usage is invoiced in windows of receipt, and never with its period."""
        return self.billing == "on_demand"

    @property
    def window(self) -> str:
        """The length of a window on demand: ``hour`` or ``day``."""
        return self.invoice_every or "day"

    def price(self, price_id: str) -> PlanPrice:
        """The price of that id. Raises KeyError where the plan has none."""
        for price in self.prices:
            if price.id == price_id:
                return price
        raise KeyError(price_id)
