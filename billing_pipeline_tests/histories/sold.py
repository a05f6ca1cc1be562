"""The world of whole lives: plans with fees, bounds and prices, and what a customer has of them, noted plainly."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from billing_pipeline_tests.histories.world import Price, Tiers, grace_yaml, meters_yaml, price_yaml

DELAYS = {"late": 5, "slow": 3}  # days, by product


@dataclass(frozen=True)
class Fee:
    id: str
    amount: str
    every: str = "month"
    timing: str = "in_advance"
    prorate: bool = True

    @property
    def in_advance(self) -> bool:
        return self.timing == "in_advance"


@dataclass(frozen=True)
class Plan:
    fees: tuple[Fee, ...] = ()
    prices: tuple[Price, ...] = ()
    minimum: str | None = None
    maximum: str | None = None


_STEPS: Tiers = [(5, "0.125", "1"), (None, "0.1", "0")]
PLANS: Mapping[str, Plan] = {
    "fees": Plan((Fee("seat", "10"), Fee("base", "99.99", prorate=False), Fee("visit", "3.33", "week"))),
    "team": Plan(
        (Fee("member", "7.77"),),
        (
            Price("api", "api", None, "graduated", {"eu": _STEPS, None: [(None, "0.333", "0")]}),
            Price("calls", "calls", "late", "package", {None: (3, "0.50")}),
        ),
        minimum="20",
    ),
    "usage": Plan(
        (Fee("support", "12.50", timing="in_arrears"),),
        (
            Price("api", "api", None, "per_unit", {None: "0.7"}, included=5, minimum="9.99"),
            Price("peak", "peak", "slow", "volume", {None: [(10, "1", "0"), (None, "0.75", "2")]}),
            Price("once", "once", "late", "per_unit", {None: "3"}, maximum="25"),
        ),
    ),
    "pay": Plan(
        (Fee("card", "365", "year"), Fee("check", "1.99", "week", "in_arrears")),
        (
            # rate, fixed, free events
            Price("paid", "paid", None, "percentage", {None: ("2.9", "0.30", 2)}),
            Price("places", "places", "slow", "graduated", {None: [(1, "5", "0"), (None, "3", "0")]}),
        ),
    ),
    "free": Plan(),
    "bare": Plan(prices=(Price("level", "level", None, "per_unit", {None: "0.01"}),)),
    "behind": Plan((Fee("help", "15", timing="in_arrears"),), minimum="50"),
    "quarter": Plan((Fee("desk", "90", "quarter"), Fee("audit", "31.10", "quarter", "in_arrears"), Fee("key", "4"))),
    "least": Plan(minimum="30"),
    "most": Plan(
        (Fee("care", "20", timing="in_arrears"),),
        (
            Price("api", "api", None, "per_unit", {None: "1"}),
            Price("calls", "calls", "late", "per_unit", {None: "4"}),
        ),
        maximum="25",
    ),
    "slowly": Plan((Fee("rent", "31"),), (Price("paid", "paid", "slow", "per_unit", {None: "1"}),)),
}
FEES = tuple(fee.id for plan in PLANS.values() for fee in plan.fees)


@dataclass
class Subscription:
    """``quantities``: (from when, fee, how many). ``phases``: (from when, plan).

    ``noted``: when a phase was recorded, by its start. ``known``: what all this was, from when on; see :meth:`note`.
    """

    id: str
    customer: str
    start: datetime
    recorded_at: datetime
    phases: list[tuple[datetime, str]]
    end: datetime | None = None
    quantities: list[tuple[datetime, str, int]] = field(default_factory=list)
    noted: dict[datetime, datetime] = field(default_factory=dict)
    known: list[tuple[datetime, "Subscription"]] = field(default_factory=list)

    def note(self, at: datetime) -> None:
        """It is so from an instant on."""
        self.noted = {start: self.noted.get(start, at) for start, _ in self.phases}
        as_it_is = replace(
            self, phases=[*self.phases], quantities=[*self.quantities], noted={**self.noted}, known=[]
        )  # fmt: skip
        self.known.append((at, as_it_is))

    def before(self, instant: datetime) -> "Subscription":
        """What was recorded before an instant, or first."""
        return [one for at, one in self.known if at < instant or at == self.recorded_at][-1]

    @property
    def yaml(self) -> str:
        phases = ", ".join(f"{{plan: {plan}, start: {start.isoformat()}}}" for start, plan in self.phases)
        by_start: dict[datetime, list[str]] = {}
        for start, fee, quantity in self.quantities:
            by_start.setdefault(start, []).append(f"{fee}: {quantity}")
        changes = ", ".join(
            f"{{start: {start.isoformat()}, quantities: {{{', '.join(each)}}}}}"
            for start, each in sorted(by_start.items())
        )
        return (
            f"subscriptions:\n  - {{id: {self.id}, customer: {self.customer}, start: {self.start.isoformat()}, "
            f"phases: [{phases}], quantity_changes: [{changes}]}}"
        )


@dataclass
class Discount:
    """``ends``: from when on which end was known; ``last``: the end of the last period that it is given for."""

    id: str
    customer: str
    start: datetime
    percent: str | None
    amount: str | None
    prices: tuple[str, ...]
    ends: list[tuple[datetime, datetime | None]]
    last: datetime | None

    def known(self, before: datetime | None) -> tuple[datetime, datetime | None] | None:
        """From when to when it holds, as recorded before an instant; None where it was not recorded then."""
        ends = [end for at, end in self.ends if before is None or at < before]
        if not ends:
            return None
        both = [end for end in (ends[-1], self.last) if end is not None]
        return self.start, min(both, default=None)

    def lowers(self, price: str | None) -> bool:
        """Whether it is off a price or fee."""
        return not self.prices or price in self.prices


@dataclass(frozen=True)
class Rules:
    """Grace in days, of the account, products and customers; the most specific one counts."""

    grace: int
    of_product: Mapping[str, int | None]
    of_customer: Mapping[str, int | None]

    def of(self, customer: str, product: str | None) -> int:
        of_product = self.of_product[product] if product else None
        return next(one for one in (self.of_customer[customer], of_product, self.grace) if one is not None)

    @property
    def yaml(self) -> str:
        products = "\n".join(
            f"  - {{id: {name}, invoicing_delay: {delay} days{grace_yaml(self.of_product[name])}}}"
            for name, delay in DELAYS.items()
        )
        plans = "\n".join(_plan(name, plan) for name, plan in PLANS.items())
        customers = "\n".join(f"  - {{id: {name}{grace_yaml(days)}}}" for name, days in self.of_customer.items())
        return (
            f"account: {{name: Example, currency: USD, grace: {self.grace} days}}\nmeters:\n{meters_yaml()}\n"
            f"products:\n{products}\nplans:\n{plans}\ncustomers:\n{customers}"
        )


def _plan(name: str, plan: Plan) -> str:
    bounds = {"minimum": plan.minimum, "maximum": plan.maximum}
    bounded = "".join(f', {bound}: "{amount}"' for bound, amount in bounds.items() if amount)
    fees = ", ".join(
        f'{{id: {fee.id}, amount: "{fee.amount}", every: {fee.every}, timing: {fee.timing}, '
        f"prorate: {str(fee.prorate).lower()}}}"
        for fee in plan.fees
    )
    return f"  - {{id: {name}{bounded}, fees: [{fees}], prices: [{', '.join(map(price_yaml, plan.prices))}]}}"
