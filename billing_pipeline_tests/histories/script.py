"""Random scripts: what may happen to a ledger in two months, in any order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from billing_pipeline_tests.histories.oracle import Event
from billing_pipeline_tests.histories.world import CUSTOMERS, JANUARY, METERS, PERIODS, PLANS, REGIONS, World

START = JANUARY + timedelta(days=26)


@dataclass(frozen=True)
class Step:
    """Hours go by, then something happens."""

    hours: int
    action: str
    given: Any = None


Script = Sequence[Step]

_PERIODS = st.sampled_from(list(PERIODS))
_CUSTOMERS = st.sampled_from(CUSTOMERS)
# Few instants, so that reports meet: both ends of the periods and of phases, and the middle.
_TIMES = st.sampled_from([0, 12, 24 * 4, 24 * 9 + 11, 24 * 9 + 12, 24 * 20, 24 * 31 - 1, 24 * 31, 24 * 40, 24 * 59 - 1])
_VALUES = st.sampled_from(["0", "1", "2", "3.5", "0.333", "12", "40.125", "-1"])
_EVENTS = st.builds(
    Event,
    _CUSTOMERS,
    st.sampled_from(list(METERS)),
    _TIMES.map(lambda hours: JANUARY + timedelta(hours=hours)),
    _VALUES,
    st.sampled_from(REGIONS),
    st.sampled_from([False] * 5 + [True]),
)
_DAYS = st.sampled_from([0, 1, 3, 4, 6])
_CHANGES = st.one_of(
    st.tuples(st.just("grace"), _DAYS),
    st.tuples(st.just("customer grace"), _CUSTOMERS, st.none() | _DAYS),
    st.tuples(st.just("delay"), st.sampled_from(["late", "slow", "calm"]), _DAYS),
    st.tuples(st.just("product grace"), st.sampled_from(["late", "slow", "calm"]), st.none() | _DAYS),
)
_ASSIGNED = st.tuples(_CUSTOMERS, st.sampled_from([*PERIODS, "now", "soon", "day ten"]), st.sampled_from(list(PLANS)))
_HOURS = st.sampled_from([0, 0, 0, 1, 6, 18, 24, 24, 48, 72])


def steps(hours: st.SearchStrategy[int], action: str, given: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    """Steps of one kind."""
    return st.builds(Step, hours, st.just(action), given)


_LANDING = steps(_HOURS, "land", st.lists(_EVENTS, min_size=4, max_size=12))
_HISTORY = st.one_of(
    _LANDING,
    _LANDING,
    _LANDING,
    steps(_HOURS, "change", _CHANGES),
    steps(_HOURS, "assign", _ASSIGNED),
    steps(_HOURS, "hold", st.tuples(_CUSTOMERS, _PERIODS)),
    steps(_HOURS, "release", st.integers(0, 3)),
)
_RUNS = st.one_of(steps(_HOURS, "close", _PERIODS), steps(_HOURS, "lock", _PERIODS))


def scripts(length: int) -> st.SearchStrategy[list[Step]]:
    """What happens, with runs in between wherever they fall."""
    return st.lists(st.one_of(_HISTORY, _HISTORY, _HISTORY, _RUNS), min_size=length // 3, max_size=length)


def changed(world: World, change: tuple[Any, ...]) -> World:
    """The catalog after a change of settings."""
    match change:
        case "grace", days:
            return replace(world, grace=days)
        case "customer grace", customer, days:
            return replace(world, customer_grace={**world.customer_grace, customer: days})
        case "delay", product, days:
            return replace(world, delays={**world.delays, product: days})
        case "product grace", product, days:
            return replace(world, product_grace={**world.product_grace, product: days})
    raise AssertionError(change)
