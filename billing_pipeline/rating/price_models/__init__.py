"""Price models: how a metered quantity becomes an amount.

To add one: write its file here, then add its line below.
"""

from billing_pipeline.rating.price_models.dynamic import Dynamic
from billing_pipeline.rating.price_models.graduated import Graduated
from billing_pipeline.rating.price_models.graduated_percentage import GraduatedPercentage
from billing_pipeline.rating.price_models.model import EventModel, Example, Memory, Needs, PriceModel, QuantityModel
from billing_pipeline.rating.price_models.package import Package
from billing_pipeline.rating.price_models.per_unit import PerUnit
from billing_pipeline.rating.price_models.percentage import Percentage
from billing_pipeline.rating.price_models.stairstep import Stairstep
from billing_pipeline.rating.price_models.volume import Volume

PRICE_MODELS: dict[str, type[PriceModel]] = {
    "per_unit": PerUnit,
    "package": Package,
    "graduated": Graduated,
    "volume": Volume,
    "stairstep": Stairstep,
    "percentage": Percentage,
    "graduated_percentage": GraduatedPercentage,
    "dynamic": Dynamic,
}

__all__ = ["PRICE_MODELS", "EventModel", "Example", "Memory", "Needs", "PriceModel", "QuantityModel"]
