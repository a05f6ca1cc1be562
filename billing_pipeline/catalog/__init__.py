"""What is sold, to whom, and where usage comes from. One dataclass a file; YAML in and out.

To find something: the shapes are in ``meter.py``, ``plan.py`` and their like, reading in ``files.py`` and ``parse.py``,
the rules between objects in ``check.py``, what this version cannot bill yet in ``support.py``.
"""

from billing_pipeline.catalog.account import Account
from billing_pipeline.catalog.catalog import KINDS, Catalog, Kind
from billing_pipeline.catalog.check import check
from billing_pipeline.catalog.checks.check_context import ParsePrice, Registries
from billing_pipeline.catalog.content import from_content, to_content
from billing_pipeline.catalog.credit_grant import CreditGrant
from billing_pipeline.catalog.customer import Credits, Customer, Exempt, Payment, TaxRate, TopUp
from billing_pipeline.catalog.difference import FieldChange, ObjectChange, difference
from billing_pipeline.catalog.discount import Discount
from billing_pipeline.catalog.export import export
from billing_pipeline.catalog.files import CatalogSource, load_files
from billing_pipeline.catalog.json_schema import json_schema
from billing_pipeline.catalog.meter import Convert, Meter
from billing_pipeline.catalog.plan import Fee, FeeCadence, Plan, PlanPrice
from billing_pipeline.catalog.problems import CatalogProblems, Problem
from billing_pipeline.catalog.product import Product
from billing_pipeline.catalog.source import Constant, EventMapping, Source
from billing_pipeline.catalog.subscription import Phase, QuantityChange, Subscription

__all__ = [
    "KINDS",
    "Account",
    "Catalog",
    "CatalogProblems",
    "CatalogSource",
    "Constant",
    "Convert",
    "CreditGrant",
    "Credits",
    "Customer",
    "Discount",
    "EventMapping",
    "Exempt",
    "Fee",
    "FeeCadence",
    "FieldChange",
    "Kind",
    "Meter",
    "ObjectChange",
    "ParsePrice",
    "Payment",
    "Phase",
    "Plan",
    "PlanPrice",
    "Problem",
    "Product",
    "QuantityChange",
    "Registries",
    "Source",
    "Subscription",
    "TaxRate",
    "TopUp",
    "check",
    "difference",
    "export",
    "from_content",
    "json_schema",
    "load_files",
    "to_content",
]
