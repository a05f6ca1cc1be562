"""Whatever the discounts and lines: what must hold, and the same amounts as an independent computation."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.catalog.discount import Discount
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.money import Money, Rounding
from billing_pipeline.invoicing.discounts import Taken, discount_lines, discounts_taken
from billing_pipeline_tests.invoicing import discount_oracle as oracle
from billing_pipeline_tests.invoicing.discounted import Based, base, discounts, january
from billing_pipeline_tests.terms import JANUARY, UTC_MONTHS

NOTHING = discounts()
DAYS = st.integers(1, 30)
INSTANTS = st.integers(-40, 45).map(lambda days: january(1) + timedelta(days=days))
PERCENTS = st.decimals(0, 100, places=2) | st.sampled_from([Decimal(0), Decimal(50), Decimal(100)])
AMOUNTS = st.integers(1, 30_000).map(lambda minor: Decimal(minor).scaleb(-2))


@st.composite
def offered(draw: st.DrawFn) -> Discount:
    is_fixed, start = draw(st.booleans()), draw(INSTANTS)
    return Discount(
        id="d",
        customer="acme",
        start=start,
        percent=None if is_fixed else draw(PERCENTS),
        amount=draw(AMOUNTS) if is_fixed else None,
        end=draw(st.none() | st.integers(0, 60).map(lambda days: start + timedelta(days=days))),
        periods=draw(st.none() | st.integers(1, 3)),
        prices=tuple(draw(st.sets(st.sampled_from(["api", "gb", "platform"]), max_size=2))),
    )


@st.composite
def based(draw: st.DrawFn, least: int = 0) -> Based:
    place, line = base(
        "0",
        draw(st.sampled_from(["opening", "closing", "delayed"])),
        price=draw(st.sampled_from(["api", "gb", "platform"])),
        start=january(draw(DAYS)),
    )
    minor = draw(st.integers(least, 20_000) | st.integers(0, 3))
    return place, line._replace(amount=Money(minor, "USD"))


def terms_with(offers: list[Discount], rounding: Rounding = Rounding.HALF_UP) -> Terms:
    named = tuple(replace(one, id=f"d{number}", order=number) for number, one in enumerate(offers, start=1))
    return replace(NOTHING, discounts=named, account=replace(NOTHING.account, rounding=rounding))


OFFERS = st.lists(offered(), min_size=1, max_size=5)
LINES = st.lists(based(), max_size=8)
ANY_LINES = st.lists(based(least=-20_000), max_size=8)


@given(offers=OFFERS, bases=LINES, rounding=st.sampled_from(Rounding))
def test_an_independent_computation_comes_to_the_same(
    offers: list[Discount], bases: list[Based], rounding: Rounding
) -> None:
    lines = [
        oracle.Line(place, line.price or "", line.start or JANUARY.start, line.amount.minor) for place, line in bases
    ]
    offs = [
        oracle.Off(
            one.start,
            one.ends(UTC_MONTHS) or JANUARY.end + timedelta(days=999),
            one.prices,
            None if one.percent is None else Fraction(one.percent),
            int((one.amount or Decimal(0)) * 100),
        )
        for one in offers
    ]
    expected = oracle.taken(lines, offs, (JANUARY.start, JANUARY.end), half_even=rounding == Rounding.HALF_EVEN)
    found = _taken(terms_with(offers, rounding), bases)
    assert [(int(one.discount.id[1:]) - 1, one.place, one.amount.minor) for one in found] == expected


@given(offers=OFFERS, bases=ANY_LINES)
def test_nothing_costs_less_than_zero(offers: list[Discount], bases: list[Based]) -> None:
    """No line is lowered below zero, no price of a document further than to zero, and nothing gets dearer."""
    shares: Counter[int] = Counter()
    for one in _taken(terms_with(offers), bases):
        for line, minor in one.shares:
            assert minor >= 0
            shares[id(line)] += minor
    before, after = Counter[object](), Counter[object]()
    for place, line in bases:
        assert shares[id(line)] <= max(line.amount.minor, 0)
        before[place, line.price] += line.amount.minor
        after[place, line.price] += line.amount.minor - shares[id(line)]
    assert all(after[one] >= min(before[one], 0) for one in before)


@given(offers=OFFERS, bases=ANY_LINES)
def test_shares_add_up_to_the_line(offers: list[Discount], bases: list[Based]) -> None:
    terms = terms_with(offers)
    found = _taken(terms, bases)
    lines = discount_lines(terms, UTC_MONTHS, JANUARY, bases)
    assert [(one.place, -sum(minor for _, minor in one.shares)) for one in found] == [
        (place, line.amount.minor) for place, line in lines
    ]
    assert all(line.amount.minor < 0 for _, line in lines)
    assert len({(place, line.description) for place, line in lines}) == len(lines)


@given(offers=OFFERS, bases=ANY_LINES)
def test_an_allowance_is_used_once(offers: list[Discount], bases: list[Based]) -> None:
    used: Counter[str] = Counter()
    for one in _taken(terms_with(offers), bases):
        used[one.discount.id] += one.amount.minor
    for number, offer in enumerate(offers, start=1):
        if offer.amount is not None:
            assert used[f"d{number}"] <= offer.amount * 100


@given(amounts=st.lists(AMOUNTS, min_size=1, max_size=4), bases=LINES, data=st.data())
def test_the_order_of_fixed_amounts_on_everything_does_not_matter_in_total(
    amounts: list[Decimal], bases: list[Based], data: st.DataObject
) -> None:
    """They take their sum, or all there is; only which line names which of them differs."""
    offers = [Discount("d", "acme", january(1), amount=amount) for amount in amounts]
    shuffled = data.draw(st.permutations(offers))
    there_is = sum(line.amount.minor for _, line in bases)
    for some in (offers, shuffled):
        total = sum(one.amount.minor for one in _taken(terms_with(some), bases))
        assert total == min(sum(int(amount * 100) for amount in amounts), there_is)


@given(percent=PERCENTS, fixed=AMOUNTS, bases=LINES.filter(lambda bases: len({place for place, _ in bases}) == 1))
def test_a_percentage_before_a_fixed_amount_takes_no_less(percent: Decimal, fixed: Decimal, bases: list[Based]) -> None:
    offers = [
        Discount("d", "acme", january(1), percent=percent),
        Discount("d", "acme", january(1), amount=fixed),
    ]
    first, last = (sum(one.amount.minor for one in _taken(terms_with(some), bases)) for some in (offers, offers[::-1]))
    assert first >= last


@given(offers=OFFERS, bases=ANY_LINES, data=st.data())
def test_the_order_of_lines_within_a_document_does_not_matter_to_one_discount(
    offers: list[Discount], bases: list[Based], data: st.DataObject
) -> None:
    terms = terms_with(offers[:1])
    places = [place for place, _ in bases]
    shuffled = data.draw(st.permutations(bases))
    ordered = sorted(shuffled, key=lambda one: places.index(one[0]))
    assert [(one.place, one.amount) for one in _taken(terms, ordered)] == [
        (one.place, one.amount) for one in _taken(terms, bases)
    ]


def _taken(terms: Terms, bases: list[Based]) -> list[Taken[str]]:
    return list(discounts_taken(terms, UTC_MONTHS, JANUARY, bases))
