"""A percentage that starts or ends inside a period cuts what it lowers there, and the parts cost what the whole did."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.invoicing.discounts import discount_lines
from billing_pipeline.metering.segments import Segment, segments
from billing_pipeline.rating.line import MeteredQuantity, RatedLine
from billing_pipeline.rating.rate import rate
from billing_pipeline_tests.terms import BASE, JANUARY, UTC_MONTHS, subscribed, terms_of

D = Decimal
TIERS = """plans:
  - id: tiers
    prices: [{id: api, meter: api, price: {model: graduated, tiers: [
      {up_to: "100", unit_amount: "0.105", flat_amount: "5"}, {up_to: "250", unit_amount: "0.0433"},
      {unit_amount: "0.02"}]}}]
"""


def cuts(discounts: str, *phases: str) -> dict[str, list[str]]:
    """Where January's segments of each price are measured."""
    terms = terms_of(f"{subscribed(*(phases or ('mixed 2025-06-01',)))}\ndiscounts: [{discounts}]")
    return {segment.price.id: [_short(cut) for cut in segment.cuts] for segment in segments(terms, JANUARY)}


def _short(at: datetime) -> str:
    return at.strftime("%m-%d %H:%M").removesuffix(" 00:00")


OFF = "id: d, customer: acme, percent: 10"


@pytest.mark.parametrize(
    ("discounts", "api", "gb"),
    [
        ("", ["02-01"], ["02-01"]),
        (f"{{{OFF}, start: 2026-01-15T12:00:00Z}}", ["01-15 12:00", "02-01"], ["01-15 12:00", "02-01"]),
        (f"{{{OFF}, start: 2026-01-15, prices: [gb]}}", ["02-01"], ["01-15", "02-01"]),
        (f"{{{OFF}, start: 2025-07-01, end: 2026-01-20}}", ["01-20", "02-01"], ["01-20", "02-01"]),
        (f"{{{OFF}, start: 2026-01-05, end: 2026-01-20, prices: [api]}}", ["01-05", "01-20", "02-01"], ["02-01"]),
        (f"{{{OFF}, start: 2026-01-05, end: 2026-01-05}}", ["02-01"], ["02-01"]),  # it never holds
        (f"{{{OFF}, start: 2026-01-01, end: 2026-02-01}}", ["02-01"], ["02-01"]),
        (f"{{{OFF}, start: 2025-12-20, periods: 1}}", ["02-01"], ["02-01"]),
        (f"{{{OFF}, start: 2026-01-20, periods: 1}}", ["01-20", "02-01"], ["01-20", "02-01"]),
        ("{id: d, customer: acme, amount: 10, start: 2026-01-05}", ["02-01"], ["02-01"]),  # applies in full
        (
            f"{{{OFF}, start: 2026-01-20}}, {{{OFF.replace('d,', 'e,')}, start: 2026-01-05, end: 2026-01-20}}",
            ["01-05", "01-20", "02-01"],
            ["01-05", "01-20", "02-01"],
        ),
    ],
)
def test_where_it_is_measured(discounts: str, api: list[str], gb: list[str]) -> None:
    assert cuts(discounts) == {"api": api, "gb": gb}


def test_another_customers_discount_cuts_nothing() -> None:
    terms = terms_of(
        f"{subscribed('basic 2026-01-01')}\ncustomers: [{{id: beta}}]\n"
        "discounts: [{id: d, customer: beta, percent: 10, start: 2026-01-15}]"
    )
    (segment,) = segments(terms, JANUARY)
    assert segment.cuts == (JANUARY.end,)


def test_a_phase_is_cut_only_inside() -> None:
    """It starts where the second phase does."""
    terms = terms_of(
        f"{subscribed('basic 2026-01-01', 'basic 2026-01-15')}\n"
        "discounts: [{id: d, customer: acme, percent: 10, start: 2026-01-15}]"
    )
    assert [len(segment.cuts) for segment in segments(terms, JANUARY)] == [1, 1]


def lines(discounts: str, used: list[tuple[int, Decimal]]) -> list[RatedLine]:
    """January's lines of the graduated price, discounts included; usage is (day, quantity)."""
    base = BASE.replace("plans:\n", TIERS)
    terms = terms_of(f"{subscribed('tiers 2026-01-01')}\ndiscounts: [{discounts}]", base=base)
    (segment,) = in_force = list(segments(terms, JANUARY))
    rated = rate(terms, in_force, _metered(segment, used), UTC_MONTHS).lines
    return [*rated, *(line for _, line in discount_lines(terms, UTC_MONTHS, JANUARY, [("", line) for line in rated]))]


def _metered(segment: Segment, used: list[tuple[int, Decimal]]) -> list[MeteredQuantity]:
    """Cumulative at each cut, as metering hands it over."""
    quantities = []
    for cut in segment.cuts:
        before = [quantity for day, quantity in used if datetime(2026, 1, day, tzinfo=UTC) < cut]
        if before:
            quantities.append(MeteredQuantity(segment.key, segment.start, cut, {}, sum(before, D(0)), len(before)))
    return quantities


def test_a_percentage_applies_to_the_usage_of_its_part() -> None:
    """80 units before it starts and 80 after: the second part pays for 20 of the first tier and 60 of the next."""
    before, after, discount = lines(f"{{{OFF}, start: 2026-01-15}}", [(3, D(80)), (20, D(80))])
    assert (str(before.amount), before.quantity, before.start) == ("13.40", D(80), datetime(2026, 1, 1, tzinfo=UTC))
    assert (str(after.amount), after.quantity, after.start) == ("4.70", D(80), datetime(2026, 1, 15, tzinfo=UTC))
    assert (str(before.service_end), str(after.service_start)) == ("2026-01-15", "2026-01-15")
    assert (discount.kind, str(discount.amount), str(discount.service_start)) == ("discount", "-0.47", "2026-01-15")


def test_a_percentage_that_ends_applies_to_the_usage_before() -> None:
    *_, discount = lines(f"{{{OFF}, start: 2025-12-01, end: 2026-01-15}}", [(3, D(80)), (20, D(80))])
    assert (str(discount.amount), str(discount.service_end)) == ("-1.34", "2026-01-15")


@given(
    used=st.lists(st.tuples(st.integers(1, 31), st.decimals(0, 300, places=3)), min_size=1, max_size=12),
    start=st.integers(1, 31),
    days=st.integers(1, 31),
    percent=st.sampled_from(["0", "12.5", "100"]),
)
def test_the_parts_cost_what_the_whole_does(
    used: list[tuple[int, Decimal]], start: int, days: int, percent: str
) -> None:
    """Up to half a cent a part, for each is rounded; and the discount is that part of its parts, up to half a cent."""
    first = datetime(2026, 1, start, tzinfo=UTC)
    ends = datetime(2026, 1, min(start + days, 31), tzinfo=UTC)
    off = f"{{id: d, customer: acme, percent: {percent}, start: {first.isoformat()}, end: {ends.isoformat()}}}"
    (whole,) = lines("", used)
    discounted = lines(off, used)
    parts = [line for line in discounted if line.kind == "usage"]
    assert abs(sum(part.amount.minor for part in parts) - whole.amount.minor) <= D(len(parts) + 1) / 2
    assert sum((part.quantity or D(0) for part in parts), D(0)) == whole.quantity
    lowered = sum(part.amount.minor for part in parts if part.start and first <= part.start < ends)
    taken = -sum(line.amount.minor for line in discounted if line.kind == "discount")
    assert abs(taken - D(percent) * lowered / 100) <= D("0.5")
