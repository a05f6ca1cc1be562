"""The world of random histories: what is sold, and the catalog as it stands after each change."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import Any

JANUARY, FEBRUARY, MARCH = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3))
PERIODS = {JANUARY: FEBRUARY, FEBRUARY: MARCH}
CUSTOMERS = ("acme", "beta", "gamma")
REGIONS = (None, "eu", "us")

# aggregation, keep
METERS: Mapping[str, tuple[str, str]] = {
    "api": ("sum", "latest"),
    "once": ("sum", "first"),
    "peak": ("max", "latest"),
    "calls": ("count", "latest"),
    "level": ("latest", "latest"),
    "places": ("unique_count", "latest"),
    "paid": ("sum", "latest"),
}
Tiers = list[tuple[int | None, str, str]]  # up to, unit amount, flat amount


@dataclass(frozen=True)
class Price:
    """``rates``: by region, the last for all others; a single one where regions do not matter."""

    id: str
    meter: str
    product: str | None
    model: str
    rates: Mapping[str | None, Any]
    included: int = 0
    minimum: str | None = None
    maximum: str | None = None

    @property
    def by_region(self) -> bool:
        return len(self.rates) > 1


PLANS: Mapping[str, tuple[Price, ...]] = {
    "flat": (
        Price("api", "api", None, "per_unit", {None: "0.015"}),
        Price("peak", "peak", "late", "volume", {None: [(10, "1", "0"), (None, "0.75", "2")]}),
    ),
    "tiers": (
        Price(
            "api",
            "api",
            None,
            "graduated",
            {"eu": [(5, "0.125", "1"), (None, "0.1", "0")], None: [(None, "0.333", "0")]},
        ),
        Price("calls", "calls", "late", "package", {None: (3, "0.50")}),
        Price("once", "once", "slow", "per_unit", {None: "0.7"}, included=2),
    ),
    "levels": (
        Price("level", "level", "calm", "per_unit", {None: "0.01"}),
        Price("places", "places", "slow", "graduated", {None: [(1, "5", "0"), (None, "3", "0")]}),
        Price("api", "api", "calm", "volume", {None: [(7, "0.2", "0"), (None, "0.11", "0")]}),
    ),
}


@dataclass(frozen=True)
class World:
    """The catalog as a program that knows nothing of ours would note it."""

    grace: int = 2  # days, of the account
    delays: Mapping[str, int] = field(default_factory=lambda: {"late": 5, "slow": 3, "calm": 0})
    product_grace: Mapping[str, int | None] = field(default_factory=lambda: {"late": None, "slow": 4, "calm": None})
    customer_grace: Mapping[str, int | None] = field(default_factory=lambda: dict.fromkeys(CUSTOMERS))
    phases: Mapping[str, tuple[tuple[datetime, str], ...]] = field(
        default_factory=lambda: {
            "acme": ((JANUARY, "flat"),),
            "beta": ((JANUARY, "tiers"),),
            "gamma": ((JANUARY + timedelta(days=9, hours=12), "levels"),),
        }
    )

    def assigned(self, customer: str, start: datetime, plan: str) -> "World":
        """With a plan for a customer from ``start`` on; it replaces the phases that start at or after it."""
        kept = tuple(phase for phase in self.phases[customer] if phase[0] < start)
        return replace(self, phases={**self.phases, customer: (*kept, (start, plan))})

    def yaml(self) -> str:
        """As a catalog file."""
        products = "\n".join(
            f"  - {{id: {name}, invoicing_delay: {delay} days{grace_yaml(self.product_grace[name])}}}"
            for name, delay in self.delays.items()
        )
        plans = "\n".join(
            f"  - {{id: {name}, prices: [{', '.join(map(price_yaml, prices))}]}}" for name, prices in PLANS.items()
        )
        customers = "\n".join(f"  - {{id: {one}{grace_yaml(self.customer_grace[one])}}}" for one in CUSTOMERS)
        subscriptions = "\n".join(f"  - {_subscription(one, phases)}" for one, phases in self.phases.items())
        account = f"account: {{name: Example, currency: USD, grace: {self.grace} days}}"
        sections = {
            "meters": meters_yaml(),
            "products": products,
            "plans": plans,
            "customers": customers,
            "subscriptions": subscriptions,
        }
        return "\n".join([account, *(f"{name}:\n{content}" for name, content in sections.items())])


def meters_yaml() -> str:
    """All meters, as a section's list."""
    return "\n".join(
        f"  - {{id: {name}, aggregation: {how}, keep: {keep}, dimensions: [region]"
        f"{', unique_by: region' if how == 'unique_count' else ''}}}"
        for name, (how, keep) in METERS.items()
    )


def grace_yaml(days: int | None) -> str:
    """A field of grace, where there is one."""
    return "" if days is None else f", grace: {days} days"


def _subscription(customer: str, phases: tuple[tuple[datetime, str], ...]) -> str:
    listed = ", ".join(f"{{plan: {plan}, start: {start.isoformat()}}}" for start, plan in phases)
    return f"{{id: {customer}-sub, customer: {customer}, start: {phases[0][0].isoformat()}, phases: [{listed}]}}"


def price_yaml(price: Price) -> str:
    """A price of a plan."""
    rates = [
        (f"match: {{region: {region}}}, " if region else "") + _rate(price.model, rate)
        for region, rate in price.rates.items()
    ]
    terms = rates[0]
    if price.by_region:
        matched = ", ".join(f"{{{rate}}}" for rate in rates[:-1])
        terms = f"by: [region], rates: [{matched}], default: {{{rates[-1]}}}"
    product = f", product: {price.product}" if price.product else ""
    bounds = {"included": price.included or None, "minimum": price.minimum, "maximum": price.maximum}
    more = "".join(f', {name}: "{bound}"' for name, bound in bounds.items() if bound)
    return f"{{id: {price.id}, meter: {price.meter}{product}{more}, price: {{model: {price.model}, {terms}}}}}"


def _rate(model: str, rate: Any) -> str:
    if model == "per_unit":
        return f'unit_amount: "{rate}"'
    if model == "package":
        return f'size: "{rate[0]}", amount: "{rate[1]}"'
    if model == "percentage":
        return f'rate: "{rate[0]}", fixed_amount: "{rate[1]}", free_events: {rate[2]}'
    tiers = (
        (f'up_to: "{up_to}", ' if up_to else "") + f'unit_amount: "{unit}", flat_amount: "{flat}"'
        for up_to, unit, flat in rate
    )
    return f"tiers: [{', '.join(f'{{{tier}}}' for tier in tiers)}]"


def amount(price: Price, rate: Any, quantity: Fraction, part: Fraction) -> Fraction:
    """What a quantity costs, in major units, exactly; ``part`` of the included units are free."""
    q = max(quantity - price.included * part, Fraction(0))
    if price.model == "per_unit":
        return q * Fraction(rate)
    if price.model == "package":
        packages: int = ceil(q / rate[0])
        return packages * Fraction(rate[1])
    if not q:
        return Fraction(0)
    below, total = Fraction(0), Fraction(0)
    for up_to, unit, flat in rate:
        if price.model == "volume" and (up_to is None or q <= up_to):
            return q * Fraction(unit) + Fraction(flat)
        if price.model == "graduated" and q > below:
            top = q if up_to is None else min(q, Fraction(up_to))
            total += (top - below) * Fraction(unit) + Fraction(flat)
            below = top
    return total
