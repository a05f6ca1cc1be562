"""What holds for every price, whatever its numbers."""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Any, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from billing_pipeline.catalog.meter import Convert
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.money import EXACT, round_amount
from billing_pipeline.rating.cost import convert, cost_between, cost_of
from billing_pipeline.rating.on_demand import OnDemandPrice, invoices, running_amounts
from billing_pipeline.rating.price import Price, parse_price
from billing_pipeline.rating.price_models import PRICE_MODELS, PriceModel
from billing_pipeline_tests.rating.amounts import amount_of

D = Decimal
Terms = dict[str, Any]

NUMBERS = st.decimals(0, 1000, places=6).map(str) | st.integers(0, 20).map(str)
POSITIVE = st.decimals("0.000001", 1000, places=6).map(str) | st.integers(1, 20).map(str)
QUANTITIES = st.decimals(0, 3000, places=12) | st.integers(0, 50).map(D)
FACTORS = st.integers(1, 1000).map(D)
EVENTS = st.lists(st.decimals(0, 500, places=4), max_size=8)


def optional(required: dict[str, st.SearchStrategy[Any]], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Terms]:
    return st.fixed_dictionaries(required, optional=more)


@st.composite
def tiers(draw: st.DrawFn, *fields: str) -> list[Terms]:
    bounds = sorted(draw(st.sets(POSITIVE.map(D), max_size=4)))
    return [{**tier, **{name: draw(NUMBERS) for name in fields}} for tier in [*({"up_to": b} for b in bounds), {}]]


def model(name: str) -> st.SearchStrategy[str]:
    return st.just(name)


ZERO_USAGE = st.sampled_from(["none", "first_tier_flat"])
PER_UNIT = optional({"model": model("per_unit"), "unit_amount": NUMBERS})
PACKAGE = optional(
    {"model": model("package"), "size": POSITIVE, "amount": NUMBERS}, round=st.sampled_from(["up", "down", "none"])
)
GRADUATED = optional({"model": model("graduated"), "tiers": tiers("unit_amount", "flat_amount")}, zero_usage=ZERO_USAGE)
VOLUME = optional({"model": model("volume"), "tiers": tiers("unit_amount", "flat_amount")}, zero_usage=ZERO_USAGE)
STAIRSTEP = optional({"model": model("stairstep"), "tiers": tiers("flat_amount")})
PERCENT_TIERS = optional({"model": model("graduated_percentage"), "tiers": tiers("rate", "flat_amount")})
PERCENTAGE = optional(
    {"model": model("percentage"), "rate": NUMBERS},
    fixed_amount=NUMBERS,
    free_events=st.integers(0, 5),
    free_amount=NUMBERS,
    minimum_per_event=st.decimals(0, 3, places=2),
    maximum_per_event=st.decimals(4, 9, places=2),
)
DYNAMIC = optional({"model": model("dynamic")}, multiplier=NUMBERS)

RISING = st.one_of(PER_UNIT, PACKAGE, GRADUATED, PERCENT_TIERS)
OF_QUANTITIES = st.one_of(RISING, VOLUME, STAIRSTEP)
OF_EVENTS = st.one_of(PERCENTAGE, DYNAMIC)


def amount(price: Price, quantity: Decimal) -> Decimal:
    return cost_of(price, quantity).amount


def exact_sum(amounts: Sequence[Decimal]) -> Decimal:
    with localcontext(EXACT):
        return sum(amounts, D(0))


@given(OF_QUANTITIES, QUANTITIES, NUMBERS)
def test_the_details_of_a_quantity_add_up_to_its_amount(terms: Terms, quantity: Decimal, included: str) -> None:
    cost = cost_of(parse_price({**terms, "included": included}), quantity)
    assert exact_sum([detail.amount for detail in cost.details]) == cost.amount
    for detail in cost.details:
        if detail.unit_amount is not None:
            assert EXACT.multiply(detail.quantity, detail.unit_amount) == detail.amount


@given(OF_QUANTITIES, QUANTITIES, NUMBERS, st.sampled_from(["1", "3", "60", "1024"]))
def test_an_amount_without_reasons_is_the_same_amount(terms: Terms, usage: Decimal, free: str, divide_by: str) -> None:
    price = parse_price({**terms, "included": free})
    quantity = convert(usage, Convert(D(divide_by)))
    assert amount_of(price, quantity) == cost_of(price, quantity).amount
    assert amount_of(price, -quantity) == cost_of(price, -quantity).amount
    assert amount_of(price, quantity, included=D(0)) == cost_of(price, quantity, included=D(0)).amount


@given(OF_QUANTITIES, st.decimals(0, 10**18 - 1, places=12), st.sampled_from(["1", "3", "3600"]))
def test_an_amount_without_reasons_is_the_same_however_large(terms: Terms, usage: Decimal, divide_by: str) -> None:
    price = parse_price(terms)
    quantity = convert(usage, Convert(D(divide_by)))
    try:
        cost = cost_of(price, quantity).amount
    except RatingError:
        with pytest.raises(RatingError, match="larger than any bill"):
            amount_of(price, quantity)
    else:
        assert amount_of(price, quantity) == cost


@pytest.mark.parametrize("model", PRICE_MODELS.values(), ids=PRICE_MODELS.keys())
@given(data=st.data())
def test_every_model_knows_what_its_reasons_add_up_to(model: type[PriceModel], data: st.DataObject) -> None:
    """Its own example's price is enough for this, so a new model is proven without a line here."""
    price = parse_price(cast("Terms", model.example.case["price"]))
    values = data.draw(EVENTS)
    quantity, measures = (data.draw(QUANTITIES), None) if price.needs == "quantity" else (sum(values, D(0)), values)
    cost = cost_of(price, quantity, measures=measures)
    assert exact_sum([detail.amount for detail in cost.details]) == cost.amount
    assert amount_of(price, quantity, measures=measures) == cost.amount
    assert cost.amount >= 0


@given(OF_EVENTS, EVENTS)
def test_the_details_of_events_add_up_to_their_amount(terms: Terms, values: list[Decimal]) -> None:
    cost = cost_of(parse_price(terms), sum(values, D(0)), measures=values)
    assert exact_sum([detail.amount for detail in cost.details]) == cost.amount
    assert amount_of(parse_price(terms), sum(values, D(0)), measures=values) == cost.amount


@given(RISING, QUANTITIES, QUANTITIES)
def test_more_usage_never_costs_less(terms: Terms, quantity: Decimal, other: Decimal) -> None:
    """Not so for volume and stairstep, by design: one unit more may reach a cheaper tier."""
    price = parse_price(terms)
    assert amount(price, min(quantity, other)) <= amount(price, max(quantity, other))


@given(OF_EVENTS, EVENTS, st.decimals(0, 500, places=4))
def test_one_event_more_never_costs_less(terms: Terms, values: list[Decimal], more: Decimal) -> None:
    price = parse_price(terms)
    assert cost_of(price, D(0), measures=values).amount <= cost_of(price, D(0), measures=[*values, more]).amount


@given(OF_QUANTITIES, QUANTITIES)
def test_amounts_are_never_negative(terms: Terms, quantity: Decimal) -> None:
    price = parse_price(terms)
    assert amount(price, quantity) >= 0
    assert amount(price, -quantity) == amount(price, D(0))


@given(OF_QUANTITIES, QUANTITIES, FACTORS)
def test_the_unit_of_measure_does_not_matter(terms: Terms, quantity: Decimal, factor: Decimal) -> None:
    """Counting in a unit ``factor`` times as fine, with bounds and sizes to match, costs the same."""

    def finer(value: object) -> str:
        return str(D(str(value)) * factor)

    same = {**terms}
    if "size" in terms:
        same["size"] = finer(terms["size"])
    if "tiers" in terms:
        same["tiers"] = [tier | ({"up_to": finer(tier["up_to"])} if "up_to" in tier else {}) for tier in terms["tiers"]]
    coarse, fine = cost_of(parse_price(terms), quantity), cost_of(parse_price(same), quantity * factor)
    units = {"per_unit", "graduated", "volume", "graduated_percentage"}
    if terms["model"] in units:  # what is priced by the unit costs ``factor`` times as much, flat amounts do not
        flat = exact_sum([d.amount for d in coarse.details if d.description.endswith("flat amount")])
        with localcontext(EXACT):
            assert fine.amount == (coarse.amount - flat) * factor + flat
    else:
        assert fine.amount == coarse.amount


@given(OF_QUANTITIES, QUANTITIES, FACTORS)
def test_a_price_in_a_smaller_currency_unit_scales(terms: Terms, quantity: Decimal, factor: Decimal) -> None:
    """All amounts times ``factor`` cost ``factor`` times as much; bounds and sizes stay."""

    def dearer(entry: Terms) -> Terms:
        amounts = {"unit_amount", "flat_amount", "amount", "rate"}
        return {name: str(D(str(v)) * factor) if name in amounts else v for name, v in entry.items()}

    same = dearer(terms) | ({"tiers": [dearer(tier) for tier in terms["tiers"]]} if "tiers" in terms else {})
    dear, plain = amount(parse_price(same), quantity), amount(parse_price(terms), quantity)
    with localcontext(EXACT):
        difference = dear - plain * factor
    assert abs(difference) <= factor * D("1E-49")  # packages that are not rounded may have no last digit
    assert not difference or terms.get("round") == "none"


@given(GRADUATED, QUANTITIES)
def test_a_graduated_quantity_splits_at_a_tier_bound(terms: Terms, more: Decimal) -> None:
    """What is above a bound costs what it costs alone at the tiers above, with their bounds moved down."""
    assume(len(terms["tiers"]) > 1)
    (first, *rest) = terms["tiers"]
    assume(more > 0)
    bound = first["up_to"]
    moved = [tier | ({"up_to": tier["up_to"] - bound} if "up_to" in tier else {}) for tier in rest]
    above = parse_price({"model": "graduated", "tiers": moved})
    whole = parse_price(terms)
    with localcontext(EXACT):
        assert amount(whole, bound + more) == amount(whole, bound) + amount(above, more)


@given(GRADUATED, POSITIVE, QUANTITIES)
def test_a_bound_between_equal_tiers_changes_nothing(terms: Terms, at: str, quantity: Decimal) -> None:
    last = terms["tiers"][-1]
    bound = max([tier["up_to"] for tier in terms["tiers"][:-1]], default=D(0)) + D(at)
    split = [*terms["tiers"][:-1], {**last, "up_to": bound}, {**last, "flat_amount": "0"}]
    assert amount(parse_price({**terms, "tiers": split}), quantity) == amount(parse_price(terms), quantity)


@given(
    st.one_of(PERCENTAGE.filter(lambda terms: not {"free_events", "free_amount"} & terms.keys()), DYNAMIC), st.data()
)
def test_the_order_of_events_does_not_matter_without_an_allowance(terms: Terms, data: st.DataObject) -> None:
    values = data.draw(EVENTS)
    shuffled = data.draw(st.permutations(values))
    price = parse_price(terms)
    assert cost_of(price, D(0), measures=values).amount == cost_of(price, D(0), measures=shuffled).amount


@given(OF_QUANTITIES, st.lists(QUANTITIES, max_size=6))
def test_invoices_of_a_phase_add_up_to_what_is_due(terms: Terms, quantities: list[Decimal]) -> None:
    price = parse_price(terms)
    due = running_amounts(OnDemandPrice(price), quantities)
    billed = invoices(due, "USD")
    for n in range(1, len(due) + 1):
        assert sum(money.minor for money in billed[:n]) == round_amount(due[n - 1], "USD").minor


@given(OF_QUANTITIES.filter(lambda terms: terms["model"] != "volume"), st.lists(QUANTITIES, min_size=1, max_size=6))
def test_all_but_volume_are_due_as_charged(terms: Terms, quantities: list[Decimal]) -> None:
    price = parse_price(terms)
    assert running_amounts(OnDemandPrice(price), quantities) == tuple(
        amount(price, quantity) for quantity in quantities
    )


@given(VOLUME, st.lists(st.integers(0, 50).map(D), max_size=8))
def test_volume_takes_back_what_it_billed(terms: Terms, quantities: list[Decimal]) -> None:
    """Back at zero, only flat amounts remain due, each tier's at most once."""
    due = running_amounts(OnDemandPrice(parse_price(terms)), [*quantities, D(0)])
    flats = [D(tier["flat_amount"]) for tier in terms["tiers"]]
    assert 0 <= due[-1] <= sum(flats, D(0))


@given(OF_QUANTITIES, QUANTITIES, QUANTITIES)
def test_the_reasons_between_two_quantities_add_up(terms: Terms, quantity: Decimal, other: Decimal) -> None:
    price = parse_price(terms)
    before, after = cost_of(price, min(quantity, other)), cost_of(price, max(quantity, other))
    part = cost_between(before, after)
    assert part.amount == EXACT.subtract(after.amount, before.amount)
    assert exact_sum([detail.amount for detail in part.details]) == part.amount
