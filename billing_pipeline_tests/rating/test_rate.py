"""Rating: quantities of segments become lines, rounded once; what has no rate is named."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import calendar
from billing_pipeline.metering.segments import Segment, segments
from billing_pipeline.rating.cost import cost_of
from billing_pipeline.rating.line import MeteredQuantity, Rated
from billing_pipeline.rating.price import parse_price
from billing_pipeline.rating.rate import rate
from billing_pipeline_tests.terms import JANUARY, UTC_MONTHS, subscribed, terms_of

D = Decimal
PRICED = """
plans:
  - id: tiers
    prices: [{id: api, meter: api, price: {model: graduated,
              tiers: [{up_to: "100", unit_amount: "0.10", flat_amount: "5"}, {unit_amount: "0.08"}]}}]
  - id: regions
    prices:
      - id: api
        meter: api
        product: late
        included: "10"
        price: {model: per_unit, by: [region], rates: [{match: {region: eu}, unit_amount: "0.125"}]}
  - {id: free, prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: "0"}}]}
  - id: entry
    prices: [{id: api, meter: api, price: {model: graduated, zero_usage: first_tier_flat,
              tiers: [{up_to: "100", unit_amount: "0", flat_amount: "5"}, {unit_amount: "1"}]}}]
"""


def metered(
    segment: Segment, quantity: str, events: int = 1, cut: datetime | None = None, **region: str
) -> MeteredQuantity:
    return MeteredQuantity(segment.key, segment.start, cut or segment.end, region, D(quantity), events)


def rated(plan: str, *quantities: tuple[Any, ...], account: str = "") -> tuple[Terms, Rated]:
    """January's one segment of a plan, rated; ``quantities`` are (quantity, events, region)."""
    terms = terms_of(PRICED + subscribed(f"{plan} 2026-01-01"), account=account)
    in_force = list(segments(terms, JANUARY))
    used = [
        metered(in_force[0], amount, events, **({"region": region[0]} if region else {}))
        for amount, events, *region in quantities
    ]
    return terms, rate(terms, in_force, used, UTC_MONTHS)


@pytest.mark.parametrize(
    ("plan", "quantities", "lines"),
    [
        ("tiers", [("140", 3)], [("140", "18.20")]),
        ("tiers", [("0", 2)], [("0", "0.00")]),  # two events counted, which came to nothing: a line
        ("tiers", [("0", 0)], []),
        ("tiers", [], []),
        ("tiers", [("-5", 1)], [("-5", "0.00")]),  # rated as zero; a check names it
        ("free", [("7", 1)], [("7", "0.00")]),
        ("entry", [], [("0", "5.00")]),  # an amount without events: a line
        ("regions", [("14", 1, "eu")], [("14", "0.50")]),  # ten are free
        ("regions", [("10.04", 1, "eu")], [("10.04", "0.01")]),  # 0.005, half away from zero
        ("regions", [], []),
    ],
)
def test_lines(plan: str, quantities: list[tuple[Any, ...]], lines: list[tuple[str, str]]) -> None:
    _, result = rated(plan, *quantities)
    assert result.problems == ()
    assert [(str(line.quantity), str(line.amount)) for line in result.lines] == lines


def test_a_line_says_what_it_is_for() -> None:
    _, result = rated("regions", ("14", 1, "eu"))
    (line,) = result.lines
    assert (line.kind, line.plan, line.plan_version, line.price, line.product) == ("usage", "regions", 1, "api", "late")
    assert (line.description, line.dimensions) == ("Late product (calls)", {"region": "eu"})
    assert (line.service_start, line.service_end) == (date(2026, 1, 1), date(2026, 2, 1))


def test_what_has_no_rate_is_a_problem_and_the_rest_is_rated() -> None:
    _, result = rated("regions", ("14", 1, "eu"), ("3", 1, "us"))
    assert [line.dimensions for line in result.lines] == [{"region": "eu"}]
    (problem,) = result.problems
    assert problem.startswith("regions/api: ")
    assert "us" in problem


def test_rounding_is_the_accounts() -> None:
    _, result = rated("regions", ("10.04", 1, "eu"), account=", rounding: half_even")
    assert [str(line.amount) for line in result.lines] == ["0.00"]


def test_a_plan_change_restarts_the_tiers_and_a_day_inside_belongs_to_both() -> None:
    text = subscribed("tiers 2026-01-01", "tiers 2026-01-15T12:00:00Z")
    terms = terms_of(PRICED + text)
    first, second = segments(terms, JANUARY)
    result = rate(terms, (first, second), [metered(first, "140"), metered(second, "140")], UTC_MONTHS)
    assert [(line.service_start, line.service_end, str(line.amount)) for line in result.lines] == [
        (date(2026, 1, 1), date(2026, 1, 16), "18.20"),
        (date(2026, 1, 15), date(2026, 2, 1), "18.20"),
    ]
    assert [line.phase_start for line in result.lines] == [first.start, second.start]


@given(
    cumulative=st.lists(st.decimals(0, 1000, places=3), min_size=1, max_size=5).map(sorted),
    days=st.sets(st.integers(2, 31), min_size=5, max_size=5),
)
def test_between_two_cuts_the_difference_is_charged(cumulative: list[D], days: set[int]) -> None:
    """Wherever a segment is cut, its lines come to the whole, but for the rounding of each."""
    terms = TIERED
    (whole,) = segments(terms, JANUARY)
    inside = [datetime(2026, 1, day, tzinfo=UTC) for day in sorted(days)]
    cuts = [*inside[: len(cumulative) - 1], whole.end]
    cut = Segment(whole.subscription, whole.phase_start, whole.plan, whole.price, whole.start, whole.end, tuple(cuts))
    quantities = [
        metered(cut, str(quantity), number, at)
        for number, (quantity, at) in enumerate(zip(cumulative, cuts, strict=True), 1)
    ]
    lines = rate(terms, [cut], quantities, UTC_MONTHS).lines
    assert sum(line.quantity or 0 for line in lines) == cumulative[-1]
    exact = cost_of(parse_price(whole.price.price), cumulative[-1], {}).amount
    assert abs(sum(line.amount.minor for line in lines) - exact * 100) <= D("0.5") * len(lines)


@given(quantities=st.lists(st.decimals(-5, 1000, places=3), max_size=4), events=st.integers(0, 2))
@pytest.mark.parametrize("plan", ["tiers", "regions", "entry"])
def test_a_cut_before_any_usage_changes_no_amount(plan: str, quantities: list[D], events: int) -> None:
    """A segment that nothing cuts is rated like one that is cut where nothing had been measured yet."""
    terms = terms_of(PRICED + subscribed(f"{plan} 2026-01-01"))
    (whole,) = segments(terms, JANUARY)
    early = datetime(2026, 1, 2, tzinfo=UTC)
    cut = replace(whole, cuts=(early, whole.end))
    values = [{"region": "eu"}, {"region": "us"}, {}, {"region": ""}] if plan == "regions" else [{}]
    metered = [
        MeteredQuantity(whole.key, whole.start, whole.end, region, quantity, events)
        for quantity, region in zip(quantities, values, strict=False)
    ]
    uncut, again = rate(terms, [whole], metered, UTC_MONTHS), rate(terms, [cut], metered, UTC_MONTHS)
    expected = [(line.dimensions, line.quantity, line.amount) for line in uncut.lines]
    if plan == "entry":  # what is due without usage is due at the first cut
        assert sum(line.amount.minor for line in again.lines) == sum(line.amount.minor for line in uncut.lines)
    else:
        assert [(line.dimensions, line.quantity, line.amount) for line in again.lines] == expected
    assert len(again.problems) == len(uncut.problems)


TIERED = terms_of(PRICED + subscribed("tiers 2026-01-01"))


def test_service_days_are_local() -> None:
    berlin = calendar("Europe/Berlin", "month", date(2025, 1, 1))
    terms = terms_of(PRICED + subscribed("tiers 2026-01-15"), months=berlin)
    (segment,) = segments(terms, berlin.period("2026-01-01"))
    (line,) = rate(terms, [segment], [metered(segment, "1")], berlin).lines
    assert (line.service_start, line.service_end) == (date(2026, 1, 15), date(2026, 2, 1))


SINGLE = """
plans:
  - id: fee
    prices: [{id: api, meter: api, convert: {divide_by: "100"}, price: {model: percentage, rate: "10", free_events: 1,
              fixed_amount: "0.30"}}]
  - id: resold
    prices: [{id: api, meter: api, price: {model: dynamic, amount_field: cost, multiplier: "1.5"}}]
"""


def of_events(plan: str, *at_cuts: tuple[int, list[str] | None], provisional: int = 0) -> Rated:
    """January rated at some days, with the measures that there are at each."""
    terms = terms_of(SINGLE + subscribed(f"{plan} 2026-01-01"))
    (whole,) = segments(terms, JANUARY)
    cuts = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day) for day, _ in at_cuts]
    cut = Segment(whole.subscription, whole.phase_start, whole.plan, whole.price, whole.start, whole.end, tuple(cuts))
    quantities = [
        MeteredQuantity(
            whole.key, whole.start, at, {}, sum(map(D, measures or ()), D(0)), len(measures or ()), provisional,
            measures=None if measures is None else tuple(map(D, measures)),
        )
        for at, (_, measures) in zip(cuts, at_cuts, strict=True)
    ]  # fmt: skip
    return rate(terms, [cut], quantities, UTC_MONTHS)


def test_single_events_are_rated_at_each_cut_and_the_difference_is_charged() -> None:
    """Free is the first event of all; later ones cost 10% of a hundredth, and 0.30."""
    result = of_events("fee", (10, ["5000"]), (20, ["5000", "3000"]), (31, ["5000", "3000", "400"]))
    assert [(str(line.quantity), str(line.amount)) for line in result.lines] == [
        ("50", "0.00"),
        ("30", "3.30"),
        ("4", "0.70"),
    ]


def test_an_event_before_the_others_changes_what_is_free() -> None:
    """As at a later cutoff: what is due is rated anew, not added up."""
    first, second = of_events("fee", (31, ["3000"])), of_events("fee", (31, ["400", "3000"]))
    assert [str(rated.lines[0].amount) for rated in (first, second)] == ["0.00", "3.30"]


def test_amounts_are_added_or_missed() -> None:
    result = of_events("resold", (10, ["3.5"]), (31, ["3.625"]))
    assert [str(line.amount) for line in result.lines] == ["5.25", "0.19"]
    missed = of_events("resold", (31, None))
    assert missed.lines == ()
    assert missed.problems == (
        "resold/api: The price needs the amounts that make up the quantity. Send them in 'cost', in major units.",
    )


@pytest.mark.parametrize("plan", ["fee", "resold"])
def test_no_single_events_cost_nothing(plan: str) -> None:
    terms = terms_of(SINGLE + subscribed(f"{plan} 2026-01-01"))
    assert rate(terms, segments(terms, JANUARY), [], UTC_MONTHS) == Rated()


@pytest.mark.parametrize(
    ("sessions", "said"),
    [(0, "api (calls)"), (1, "provisional: 1 session is not stopped"), (7, "provisional: 7 sessions are not stopped")],
)
def test_a_line_says_that_sessions_are_open(sessions: int, said: str) -> None:
    (line,) = of_events("fee", (31, ["1", "2"]), provisional=sessions).lines
    assert line.description.endswith(said)
