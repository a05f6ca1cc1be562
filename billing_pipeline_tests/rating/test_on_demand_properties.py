"""On-demand phases: where windows are cut never matters, and the sum of the windows is what a plain oracle says."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.core.money import Money, Rounding, round_amount
from billing_pipeline.metering.measurement import Step
from billing_pipeline.rating.cost import cost_of
from billing_pipeline.rating.on_demand import START, OnDemandPrice, Reached, next_invoice
from billing_pipeline.rating.price import parse_price
from billing_pipeline_tests.rating import on_demand_oracle
from billing_pipeline_tests.rating.test_properties import DYNAMIC, NUMBERS, OF_QUANTITIES, PERCENTAGE, VOLUME

D = Decimal
Terms = dict[str, Any]
VALUES = st.decimals(0, 60, places=2) | st.integers(0, 40).map(D)


@st.composite
def arrivals(draw: st.DrawFn) -> list[Step]:
    """Reports of a few events: new ones, restatements and retractions, each at an arrival of its own."""
    steps: list[Step] = []
    standing: dict[int, Step] = {}
    for arrival in range(1, draw(st.integers(1, 12)) + 1):
        old = draw(st.sampled_from([None, None, *standing])) if standing else None
        if old is not None:
            steps.append(standing.pop(old)._replace(arrival=arrival, counts=False))
        if old is None or draw(st.booleans()):
            standing[arrival] = Step(arrival, arrival, draw(VALUES), counts=True)
            steps.append(standing[arrival])
    return steps


@st.composite
def cuts(draw: st.DrawFn, steps: Sequence[Step]) -> list[list[Step]]:
    """The steps in windows, some of them empty; what one arrival changes is never cut."""
    last = steps[-1].arrival
    ends = sorted(draw(st.lists(st.integers(0, last), max_size=6)))
    bounds = [0, *ends, last]
    return [[step for step in steps if after < step.arrival <= through] for after, through in pairwise(bounds)]


def played(price: OnDemandPrice, windows: Sequence[Sequence[Step]]) -> tuple[Reached, list[Money]]:
    """A phase window by window: where it ends, and its invoices."""
    reached, invoiced, amounts = START, Money(0, "USD"), []
    for steps in windows:
        reached = price.after(reached, steps)
        amounts.append(next_invoice(reached.due, invoiced, Rounding.HALF_UP))
        invoiced += amounts[-1]
    return reached, amounts


def proved(terms: Terms, data: st.DataObject, due: Callable[[Mapping[str, Any], Sequence[Step]], Fraction]) -> None:
    """The phase comes to what the oracle says, wherever it is cut, and its invoices add up to that, rounded once."""
    steps = data.draw(arrivals())
    price = OnDemandPrice(parse_price(terms))
    reached, amounts = played(price, data.draw(cuts(steps)))
    assert reached == played(price, [steps])[0]
    assert Fraction(reached.due) == due(terms, steps)
    assert sum(money.minor for money in amounts) == round_amount(reached.due, "USD").minor


@given(VOLUME, NUMBERS, st.data())
def test_volume_is_the_same_whatever_the_windows(terms: Terms, included: str, data: st.DataObject) -> None:
    terms = {name: value for name, value in terms.items() if name != "zero_usage"}
    free = Fraction(included)
    proved({**terms, "included": included}, data, lambda of, steps: on_demand_oracle.volume(of, steps, free))


@given(PERCENTAGE, st.data())
def test_percentage_is_the_same_whatever_the_windows(terms: Terms, data: st.DataObject) -> None:
    proved(terms, data, on_demand_oracle.percentage)


@given(DYNAMIC, st.data())
def test_dynamic_is_the_same_whatever_the_windows(terms: Terms, data: st.DataObject) -> None:
    proved(terms, data, on_demand_oracle.dynamic)


@given(OF_QUANTITIES.filter(lambda terms: terms["model"] != "volume"), NUMBERS, st.data())
def test_all_other_models_are_what_the_whole_quantity_costs(terms: Terms, included: str, data: st.DataObject) -> None:
    """The sum over the windows is the phase rated once, at its end."""
    steps = data.draw(arrivals())
    price = parse_price({**terms, "included": included})
    reached, amounts = played(OnDemandPrice(price), data.draw(cuts(steps)))
    assert reached.quantity == sum((step.change for step in steps), D(0))
    whole = cost_of(price, reached.quantity).amount
    assert reached.due == whole
    assert sum(money.minor for money in amounts) == round_amount(whole, "USD").minor


@given(PERCENTAGE, st.lists(VALUES, min_size=1, max_size=8))
def test_without_corrections_percentages_cost_what_they_cost_at_once(terms: Terms, values: list[Decimal]) -> None:
    steps = [Step(arrival, arrival, value, counts=True) for arrival, value in enumerate(values, 1)]
    price = parse_price(terms)
    assert OnDemandPrice(price).after(START, steps).due == cost_of(price, sum(values, D(0)), measures=values).amount
