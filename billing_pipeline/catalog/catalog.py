"""The whole catalog: everything that is sold, to whom, and where usage comes from, by id."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from billing_pipeline.catalog.account import Account
from billing_pipeline.catalog.credit_grant import CreditGrant
from billing_pipeline.catalog.customer import Customer
from billing_pipeline.catalog.discount import Discount
from billing_pipeline.catalog.meter import Meter
from billing_pipeline.catalog.plan import Plan
from billing_pipeline.catalog.product import Product
from billing_pipeline.catalog.source import Source
from billing_pipeline.catalog.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Catalog:
    """A checked catalog. Plans are the newest version of each; subscriptions' phases may pin older ones."""

    account: Account
    sources: Mapping[str, Source] = field(default_factory=dict)
    meters: Mapping[str, Meter] = field(default_factory=dict)
    products: Mapping[str, Product] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    customers: Mapping[str, Customer] = field(default_factory=dict)
    subscriptions: Mapping[str, Subscription] = field(default_factory=dict)
    discounts: Mapping[str, Discount] = field(default_factory=dict)
    credit_grants: Mapping[str, CreditGrant] = field(default_factory=dict)

    def of_kind(self, kind: str) -> Mapping[str, Any]:
        """The objects of a kind by id; the account under the id ``account``."""
        if kind == "account":
            return {"account": self.account}
        objects: Mapping[str, Any] = getattr(self, KINDS[kind].section)
        return objects


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """One kind of catalog object.

    Attributes:
        name: as stored and shown, e.g. ``plan``.
        section: the top-level key of a file that lists them, e.g. ``plans``.
        shape: the dataclass.
    """

    name: str
    section: str
    shape: type[Any]


KINDS: dict[str, ObjectKind] = {
    kind.name: kind
    for kind in (
        ObjectKind("account", "account", Account),
        ObjectKind("source", "sources", Source),
        ObjectKind("meter", "meters", Meter),
        ObjectKind("product", "products", Product),
        ObjectKind("plan", "plans", Plan),
        ObjectKind("customer", "customers", Customer),
        ObjectKind("subscription", "subscriptions", Subscription),
        ObjectKind("discount", "discounts", Discount),
        ObjectKind("credit_grant", "credit_grants", CreditGrant),
    )
}
