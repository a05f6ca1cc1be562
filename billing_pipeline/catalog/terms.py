"""What one customer is billed by: the part of the catalog that matters to them, and a fingerprint of it."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from operator import attrgetter
from typing import TypeVar

from billing_pipeline.catalog.account import Account
from billing_pipeline.catalog.catalog import Catalog
from billing_pipeline.catalog.content import to_content
from billing_pipeline.catalog.customer import Customer
from billing_pipeline.catalog.discount import Discount
from billing_pipeline.catalog.meter import Meter
from billing_pipeline.catalog.plan import Plan, PlanPrice, PlanVersion
from billing_pipeline.catalog.product import Product
from billing_pipeline.catalog.subscription import Phase, Subscription
from billing_pipeline.core.period import Duration

_Owned = TypeVar("_Owned", Subscription, Discount)


@dataclass(frozen=True)
class Terms:
    """One customer's subscriptions and all that they refer to.

    Attributes:
        discounts: in the order in which they apply.
        plans: by id and version, as the phases pin them.
        fingerprint: equal for equal terms; a different one makes the customer's open periods dirty.
    """

    account: Account
    customer: Customer
    subscriptions: tuple[Subscription, ...]
    discounts: tuple[Discount, ...]
    plans: Mapping[PlanVersion, Plan]
    products: Mapping[str, Product]
    meters: Mapping[str, Meter]
    fingerprint: str

    def plan(self, phase: Phase) -> Plan:
        """The plan version that a phase pins."""
        assert phase.plan_version is not None, "a stored phase names its plan version"  # noqa: S101
        return self.plans[phase.plan, phase.plan_version]

    def delay(self, price: PlanPrice) -> Duration:
        """How long after the period's end the price's usage is invoiced."""
        return self.products[price.product].invoicing_delay if price.product else Duration()

    def grace(self, plan: Plan, price: PlanPrice) -> Duration:
        """How long late usage still changes the draft: as the customer says, else the plan, product or account."""
        product = self.products[price.product].grace if price.product else None
        for grace in (self.customer.grace, plan.grace, product):
            if grace is not None:
                return grace
        return self.account.grace


@dataclass(frozen=True)
class CatalogView:
    """The catalog as known through a change, with every plan version that is still pinned.

    Attributes:
        change: number of the last catalog change it includes; 0 for an empty ledger.
        catalog: None before the first apply.
    """

    change: int
    catalog: Catalog | None
    plan_versions: Mapping[PlanVersion, Plan]

    @cached_property
    def _subscriptions(self) -> Mapping[str, list[Subscription]]:
        return _by_customer(self.catalog.subscriptions if self.catalog else {})

    @cached_property
    def _discounts(self) -> Mapping[str, list[Discount]]:
        return _by_customer(self.catalog.discounts if self.catalog else {})

    @cached_property
    def _terms(self) -> dict[str, Terms]:
        """Made once a customer: every stage asks again."""
        return {}

    @cached_property
    def _prints(self) -> dict[int, str]:
        """Fingerprints of shared objects (plans, products, meters), by identity: each is rendered once."""
        return {}

    def subscribers(self) -> Iterator[str]:
        """Ids of the customers that have a subscription, at any time."""
        return iter(self._subscriptions)

    def terms(self, customer_id: str) -> Terms:
        """One customer's terms. Raises KeyError for an unknown customer."""
        terms = self._terms.get(customer_id)
        if terms is None:
            terms = self._terms[customer_id] = self._terms_of(customer_id)
        return terms

    def _terms_of(self, customer_id: str) -> Terms:
        assert self.catalog is not None, "a ledger with customers has a catalog"  # noqa: S101
        catalog, customer = self.catalog, self.catalog.customers[customer_id]
        subscriptions = tuple(sorted(self._subscriptions.get(customer_id, ()), key=attrgetter("start", "id")))
        discounts = tuple(sorted(self._discounts.get(customer_id, ()), key=attrgetter("order")))
        phases = [phase for subscription in subscriptions for phase in subscription.phases]
        pinned = {(phase.plan, phase.plan_version or 0) for phase in phases}
        plans = {version: self.plan_versions[version] for version in sorted(pinned)}
        prices = [price for plan in plans.values() for price in plan.prices]
        products = {price.product: catalog.products[price.product] for price in prices if price.product}
        meters = {price.meter: catalog.meters[price.meter] for price in prices}
        shared = [*plans.values(), *products.values(), *meters.values()]
        digest = sha256(self._print(catalog.account).encode())
        for own in (customer, *subscriptions, *discounts):
            digest.update(_rendered(own).encode())
        for catalog_object in shared:
            digest.update(self._print(catalog_object).encode())
        return Terms(catalog.account, customer, subscriptions, discounts, plans, products, meters, digest.hexdigest())

    def _print(self, shared: object) -> str:
        fingerprint = self._prints.get(id(shared))
        if fingerprint is None:
            fingerprint = self._prints[id(shared)] = sha256(_rendered(shared).encode()).hexdigest()
        return fingerprint


def _by_customer(objects: Mapping[str, _Owned]) -> Mapping[str, list[_Owned]]:
    by_customer: dict[str, list[_Owned]] = defaultdict(list)
    for owned in objects.values():
        by_customer[owned.customer].append(owned)
    return by_customer


def _rendered(shape: object) -> str:
    return json.dumps(to_content(shape), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
