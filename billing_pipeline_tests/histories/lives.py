"""Random whole lives: what may happen to customers in some months, in any order."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from billing_pipeline_tests.histories.oracle import Event
from billing_pipeline_tests.histories.script import Step, steps
from billing_pipeline_tests.histories.sold import FEES, PLANS, Rules
from billing_pipeline_tests.histories.world import CUSTOMERS, JANUARY, METERS, REGIONS

_DAYS = st.sampled_from([0, 2, 5])
RULES = st.builds(
    Rules,
    _DAYS,
    st.fixed_dictionaries({"late": st.none() | st.just(7), "slow": st.none() | st.just(4)}),
    st.fixed_dictionaries({name: st.none() | _DAYS for name in CUSTOMERS}),
)
_CUSTOMERS, _PLANS = st.sampled_from(CUSTOMERS), st.sampled_from(list(PLANS))
_ANY = st.integers(0, 7)
_WHEN = st.sampled_from(["now", "now", "current-period", "previous-period", "soon", "next", "tenth"])
# Few instants, so that reports meet: both ends of months and of phases, and the middle.
_HOURS_USED = [0, 12, 24 * 9 + 12, 24 * 20, 24 * 31 - 1, 24 * 31, 24 * 40 + 12, 24 * 59 - 1, 24 * 59, 24 * 75, 24 * 89]
_ASSIGNED = st.sampled_from(
    [
        *("now", "now", "current-period", "current-period, extended", "previous-period", "previous-period, extended"),
        *("soon", "next", "tenth"),
    ]
)
_EVENTS = st.builds(
    Event,
    _CUSTOMERS,
    st.sampled_from(list(METERS)),
    st.sampled_from(_HOURS_USED).map(lambda hours: JANUARY + timedelta(hours=hours)),
    st.sampled_from(["0", "1", "2", "3.5", "0.333", "12", "40.125", "-1"]),
    st.sampled_from(REGIONS),
    st.sampled_from([False] * 5 + [True]),
)
_HOURS = st.sampled_from([0, 0, 6, 24, 72, 120, 240, 24 * 21])
_PERCENT_OR_AMOUNT = st.sampled_from([("10", None), ("33.3", None), ("100", None), (None, "5"), (None, "25")])
_OFF = st.sampled_from([(), (), ("api",), ("calls", "member"), *((fee,) for fee in FEES)])


_DELIVERY = st.lists(_EVENTS, min_size=3, max_size=12)
# One event twice in a delivery, which is no restatement: a check holds who may lose usage.
_DOUBTFUL = st.builds(lambda events, value: [*events, replace(events[0], value=value)], _DELIVERY, st.just("7"))
_LAND = steps(_HOURS, "land", st.one_of(*[_DELIVERY] * 5, _DOUBTFUL))
_TICK = steps(_HOURS, "tick", st.none())
_SUBSCRIBE = steps(_HOURS, "subscribe", st.tuples(_CUSTOMERS, _PLANS, _WHEN))
_CHANGE = st.one_of(
    steps(_HOURS, "assign", st.tuples(_ANY, _PLANS, _ASSIGNED)),
    steps(_HOURS, "assign", st.tuples(_ANY, _PLANS, _ASSIGNED)),
    steps(_HOURS, "seats", st.tuples(_ANY, _ANY, _WHEN)),
    steps(_HOURS, "seats", st.tuples(_ANY, _ANY, _WHEN)),
    steps(_HOURS, "cancel", st.tuples(_ANY, _WHEN)),
    steps(_HOURS, "postpone", st.tuples(_ANY, st.sampled_from(["soon", "next", "tenth"]))),
    steps(_HOURS, "reopen", _ANY),
    _SUBSCRIBE,
)
_DISCOUNT = st.one_of(
    steps(
        _HOURS,
        "discount",
        st.builds(
            lambda customer, when, off, periods, prices: (customer, when, *off, periods, prices),
            _CUSTOMERS,
            _WHEN,
            _PERCENT_OR_AMOUNT,
            st.sampled_from([None, None, 1, 2]),
            _OFF,
        ),
    ),
    steps(_HOURS, "end_discount", st.tuples(_ANY, _WHEN)),
)
_HOLD = st.one_of(
    steps(_HOURS, "hold", st.tuples(_CUSTOMERS, st.integers(0, 2))), steps(_HOURS, "release", st.integers(0, 3))
)
_BY_HAND = st.one_of(
    steps(_HOURS, "void", st.tuples(_ANY, st.booleans())),
    steps(_HOURS, "credit", st.tuples(_ANY, st.sampled_from([None, "1"]), st.booleans())),
)
_BEGIN = st.lists(
    steps(st.just(0), "subscribe", st.tuples(_CUSTOMERS, _PLANS, st.sampled_from(["now", "now", "tenth"]))),
    min_size=1,
    max_size=3,
)


def lives(length: int) -> st.SearchStrategy[list[Step]]:
    """What happens, from the first subscriptions on."""
    any_step = st.one_of(_LAND, _LAND, _TICK, _TICK, _CHANGE, _CHANGE, _DISCOUNT, _HOLD, _BY_HAND)
    later = st.lists(any_step, min_size=length // 2, max_size=length)
    return st.tuples(_BEGIN, later).map(lambda both: [*both[0], *both[1]])
