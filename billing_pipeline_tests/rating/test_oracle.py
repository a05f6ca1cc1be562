"""An independent oracle in fractions: every model written a second time, without decimals, on 100,000 random cases."""

import random
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest

from billing_pipeline.catalog.meter import Convert
from billing_pipeline.core.money import Rounding, round_amount
from billing_pipeline.rating.bounds import true_up
from billing_pipeline.rating.cost import convert, cost_of
from billing_pipeline.rating.price import parse_price

F = Fraction
Terms = dict[str, Any]
CASES = 100_000
QUANTITIES_A_PRICE = 100
CURRENCIES = (("JPY", 0), ("USD", 2), ("KWD", 3), ("CLF", 4))
ROUNDINGS = tuple(Rounding)
NEGLIGIBLE = F(1, 10**45)  # what settling a carried quotient may differ by, times the largest numbers drawn here


def in_fractions(terms: Any) -> Any:
    """The same terms with fractions for numbers; words stay words."""
    if isinstance(terms, dict):
        return {name: in_fractions(value) for name, value in terms.items()}
    if isinstance(terms, list):
        return [in_fractions(item) for item in terms]
    return F(terms) if not isinstance(terms, str) or terms[0].isdigit() else terms


def per_unit(p: Terms, q: F) -> F:
    unit_amount: F = p["unit_amount"]
    return q * unit_amount


def package(p: Terms, q: F) -> F:
    packages: F = q / p["size"]
    amount: F = p["amount"]
    match p.get("round", "up"):
        case "up":
            return ceil(packages) * amount
        case "down":
            return floor(packages) * amount
        case _:
            return packages * amount


def tier_number(p: Terms, q: F) -> int:
    return next(i for i, tier in enumerate(p["tiers"]) if "up_to" not in tier or q <= tier["up_to"])


def graduated(p: Terms, q: F, unit: str = "unit_amount", percent: int = 1) -> F:
    total, start = F(0), F(0)
    for tier in p["tiers"]:
        end = tier.get("up_to", q)
        if q > start or (q == 0 and start == 0 and p.get("zero_usage") == "first_tier_flat"):
            total += (min(q, end) - start) * tier.get(unit, 0) / percent + tier.get("flat_amount", 0)
        start = end
    return total


def volume(p: Terms, q: F) -> F:
    tier = p["tiers"][tier_number(p, q)]
    if q == 0 and p.get("zero_usage") != "first_tier_flat":
        return F(0)
    cost: F = q * tier.get("unit_amount", 0) + tier.get("flat_amount", 0)
    return cost


def stairstep(p: Terms, q: F) -> F:
    flat_amount: F = p["tiers"][tier_number(p, q)]["flat_amount"]
    return flat_amount if q else F(0)


def graduated_percentage(p: Terms, q: F) -> F:
    return graduated(p, q, "rate", 100)


def percentage(p: Terms, values: list[F]) -> F:
    limited = "free_events" in p or "free_amount" in p
    total, used = F(0), F(0)
    for i, value in enumerate(values):
        still_free = limited and i < p.get("free_events", len(values))
        room = p["free_amount"] - used if "free_amount" in p else value + 1
        if still_free and room > 0:
            used += min(value, room)
            if value <= room:
                continue
            value -= room  # noqa: PLW2901 - the rest of it pays
        fee = value * p["rate"] / 100 + p.get("fixed_amount", 0)
        fee = max(fee, p["minimum_per_event"]) if "minimum_per_event" in p else fee
        total += min(fee, p["maximum_per_event"]) if "maximum_per_event" in p else fee
    return total


def dynamic(p: Terms, amounts: list[F]) -> F:
    multiplier: F = p.get("multiplier", F(1))
    return sum(amounts, F(0)) * multiplier


def converted(q: F, by: F, how: str) -> F:
    units = q / by
    if how == "none":
        return units
    return F(ceil(units) if how == "up" else floor(units if how == "down" else units + F(1, 2)))


def in_minor_units(amount: F, digits: int, rounding: Rounding) -> int:
    """Amounts of these tests are zero or more, so half up is half away from zero."""
    whole, rest = divmod(amount.numerator * 10**digits, amount.denominator)
    is_tie, is_more = 2 * rest == amount.denominator, 2 * rest > amount.denominator
    return int(whole) + int(is_more or (is_tie and (rounding is Rounding.HALF_UP or whole % 2 == 1)))


class Draw:
    """Random terms and quantities; small numbers and bounds come often, because that is where mistakes are."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - reproducible cases, no secret

    def number(self, digits: int = 4, decimals: int = 6) -> str:
        whole = self.random.randrange(10 ** self.random.randint(0, digits))
        places = self.random.choice([0, 0, 1, 2, 3, decimals])
        return f"{whole}.{self.random.randrange(10**places):0{places}}" if places else str(whole)

    def maybe(self, terms: Terms, **more: Callable[[], Any]) -> Terms:
        return terms | {name: draw() for name, draw in more.items() if self.random.random() < 0.5}

    def tiers(self, *fields: str) -> list[Terms]:
        bounds = sorted({Decimal(self.number(3)) + 1 for _ in range(self.random.randint(0, 4))})
        tiers: list[Terms] = [{"up_to": str(bound)} for bound in bounds] + [{}]
        return [tier | {name: self.number(2, 12) for name in fields} for tier in tiers]

    def price(self, model: str) -> Terms:
        zero_usage = {"zero_usage": lambda: self.random.choice(["none", "first_tier_flat"])}
        rounds = {"round": lambda: self.random.choice(["up", "down", "none"])}
        free: dict[str, Callable[[], Any]] = {"free_events": lambda: self.random.randint(0, 4)}
        free["free_amount"] = self.number
        bounds = {"minimum_per_event": lambda: self.number(1), "maximum_per_event": lambda: f"1{self.number(1)}"}
        drawn: dict[str, Callable[[], Terms]] = {
            "per_unit": lambda: {"unit_amount": self.number(4, 12)},
            "package": lambda: self.maybe({"size": f"1{self.number(3)}", "amount": self.number()}, **rounds),
            "graduated": lambda: self.maybe({"tiers": self.tiers("unit_amount", "flat_amount")}, **zero_usage),
            "volume": lambda: self.maybe({"tiers": self.tiers("unit_amount", "flat_amount")}, **zero_usage),
            "stairstep": lambda: {"tiers": self.tiers("flat_amount")},
            "graduated_percentage": lambda: {"tiers": self.tiers("rate", "flat_amount")},
            "dynamic": lambda: self.maybe({}, multiplier=lambda: self.number(1)),
            "percentage": lambda: self.maybe(
                {"rate": self.number(2)}, fixed_amount=lambda: self.number(1), **free, **bounds
            ),
        }
        return drawn[model]()

    def quantity(self, terms: Terms) -> str:
        bounds = [tier["up_to"] for tier in terms.get("tiers", ()) if "up_to" in tier]
        if bounds and self.random.random() < 0.3:
            nudge = self.random.choice(["0", "0.000000000001", "-0.000000000001"])
            return str(Decimal(self.random.choice(bounds)) + Decimal(nudge))
        return self.number(self.random.choice([2, 4, 15]), 12)


QUANTITY_ORACLES: dict[str, Callable[[Terms, F], F]] = {
    "per_unit": per_unit,
    "package": package,
    "graduated": graduated,
    "volume": volume,
    "stairstep": stairstep,
    "graduated_percentage": graduated_percentage,
}
EVENT_ORACLES: dict[str, Callable[[Terms, list[F]], F]] = {"percentage": percentage, "dynamic": dynamic}


def assert_equal(amount: Decimal, true: F, draw: Draw) -> None:
    """Equal to the last digit wherever the true amount has one; and always the same in minor units."""
    if amount.as_integer_ratio() != (true.numerator, true.denominator):
        assert not ends_in_decimals(true)
        assert abs(F(amount) - true) < NEGLIGIBLE
    currency, digits = draw.random.choice(CURRENCIES)
    rounding = draw.random.choice(ROUNDINGS)
    assert round_amount(amount, currency, rounding).minor == in_minor_units(true, digits, rounding)


def ends_in_decimals(number: F) -> bool:
    """Whether nothing is left of the denominator without its twos and fives."""
    rest = number.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


@pytest.mark.parametrize("model", QUANTITY_ORACLES)
def test_quantities_cost_what_fractions_say(model: str) -> None:
    draw = Draw(seed=3)
    for _ in range(CASES // (len(QUANTITY_ORACLES) + len(EVENT_ORACLES)) // QUANTITIES_A_PRICE + 1):
        terms = draw.price(model)
        included = draw.random.choice(["0", "0", draw.number(2)])
        divide_by = draw.random.choice(["1", "3", "60", "1024", "0.7"])
        conversion = Convert(Decimal(divide_by), draw.random.choice(["none", "up", "down", "nearest"]))
        price = parse_price({"model": model, "included": included, **terms})
        exact_terms, free, by = in_fractions(terms), F(included), F(divide_by)
        for _ in range(QUANTITIES_A_PRICE):
            quantity = draw.quantity(terms)
            cost = cost_of(price, convert(Decimal(quantity), conversion))
            units = converted(F(quantity), by, conversion.round)
            true = QUANTITY_ORACLES[model](exact_terms, max(units - free, F(0)))
            assert_equal(cost.amount, true, draw)


@pytest.mark.parametrize("model", EVENT_ORACLES)
def test_events_cost_what_fractions_say(model: str) -> None:
    draw = Draw(seed=4)
    for _ in range(CASES // (len(QUANTITY_ORACLES) + len(EVENT_ORACLES)) // QUANTITIES_A_PRICE + 1):
        terms = draw.price(model)
        price = parse_price({"model": model, **terms})
        exact_terms = in_fractions(terms)
        for _ in range(QUANTITIES_A_PRICE):
            values = [draw.number(3) for _ in range(draw.random.randint(0, 6))]
            cost = cost_of(price, Decimal(0), measures=[Decimal(value) for value in values])
            assert_equal(cost.amount, EVENT_ORACLES[model](exact_terms, [F(value) for value in values]), draw)


def test_bounds_are_what_fractions_say() -> None:
    draw = Draw(seed=5)
    for _ in range(2000):
        amounts = [Decimal(draw.number(3)) for _ in range(draw.random.randint(0, 3))]
        lines = [round_amount(amount, "USD") for amount in amounts]
        low, high = sorted([Decimal(draw.number(3)), Decimal(draw.number(3))])
        billed = sum(in_minor_units(F(amount), 2, Rounding.HALF_UP) for amount in amounts)
        lowest, highest = (in_minor_units(F(bound), 2, Rounding.HALF_UP) for bound in (low, high))
        moved = true_up(lines, "USD", minimum=low, maximum=high).minor
        assert billed + moved == min(max(billed, lowest), highest)
