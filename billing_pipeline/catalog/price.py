"""A price as it stands in a plan: which meter, how much is free, and the price model's own terms."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from billing_pipeline.catalog.field_types import Id, NotNegative
from billing_pipeline.catalog.meter import Convert


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
