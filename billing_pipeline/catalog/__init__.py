"""The catalog: what is sold, to whom, and where usage comes from. One dataclass a file; YAML in and out.

To find something: the shapes are in ``meter.py``, ``plan.py`` and their like, reading in ``files.py`` and ``parse.py``,
the rules between objects in ``checks/``, what this version cannot bill yet in ``support.py``.
"""

from billing_pipeline.catalog.account import Account
from billing_pipeline.catalog.catalog import Catalog
from billing_pipeline.catalog.customer import Customer
from billing_pipeline.catalog.difference import ObjectChange
from billing_pipeline.catalog.discount import Discount
from billing_pipeline.catalog.meter import Meter
from billing_pipeline.catalog.plan import Plan
from billing_pipeline.catalog.source import Source
from billing_pipeline.catalog.subscription import Phase, Subscription

__all__ = [
    "Account",
    "Catalog",
    "Customer",
    "Discount",
    "Meter",
    "ObjectChange",
    "Phase",
    "Plan",
    "Source",
    "Subscription",
]
