"""Whatever changes when: fees equal the oracle's, their parts make the whole, and nothing falls due twice or never."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from billing_pipeline.catalog import Account, Catalog, Customer, Phase, Plan, Subscription
from billing_pipeline.catalog.plan import Fee, FeeCadence
from billing_pipeline.catalog.subscription import QuantityChange
from billing_pipeline.catalog.terms import CatalogView, Terms
from billing_pipeline.core.money import Rounding
from billing_pipeline.core.period import BillingCalendar, calendar
from billing_pipeline.rating.bounds import prorated
from billing_pipeline.rating.fees.fees import FeesDue, fee_key, fees_due, fees_of
from billing_pipeline.rating.fees.schedule import Part, Schedule
from billing_pipeline.rating.line import RatedLine
from billing_pipeline_tests.rating.fees.fee_oracle import Line, Oracle

DAY = timedelta(days=1)
ZONES = ["UTC", "Europe/Berlin", "Asia/Tokyo", "America/New_York", "America/Havana", "Africa/Cairo", "Asia/Beirut"]
FIRSTS = {
    "day": (2025, 1, 3),
    "week": (2025, 1, 1),
    "month": (2025, 1, 1),
    "quarter": (2024, 11, 1),
    "year": (2023, 7, 1),
}
RECURRING = [every for every in FeeCadence if every is not FeeCadence.ONCE]

CALENDARS = st.builds(
    lambda zone, cadence: calendar(zone, cadence, date(*FIRSTS[cadence])),
    st.sampled_from(ZONES),
    st.sampled_from(sorted(FIRSTS)),
)
AMOUNTS = st.one_of(
    st.decimals(0, 1000, places=2), st.decimals(0, 10, places=12), st.integers(0, 3).map(lambda n: Decimal(n) / 2)
)
QUANTITIES = st.one_of(st.integers(0, 4).map(Decimal), st.decimals(0, 9, places=3))
# At local midnights, just beside them, and anywhere, over three years with a leap day.
SECONDS = st.one_of(st.just(0), st.sampled_from([1, 86_399]), st.integers(0, 86_399))
DAYS = st.integers(0, 1200).map(lambda n: date(2026, 1, 1) + n * DAY) | st.sampled_from(
    [date(2026, 1, 31), date(2028, 2, 29), date(2026, 3, 29), date(2026, 10, 25), date(2027, 12, 31)]
)


@st.composite
def instants(draw: st.DrawFn, place: BillingCalendar) -> datetime:
    day, seconds = draw(DAYS), draw(SECONDS)
    return place.midnight(day) + timedelta(seconds=seconds)


def fees(cadences: Sequence[FeeCadence]) -> st.SearchStrategy[tuple[Fee, ...]]:
    fee = st.builds(
        Fee,
        st.sampled_from("abc"),
        AMOUNTS,
        every=st.sampled_from(cadences),
        timing=st.sampled_from(["in_advance", "in_arrears"]),
        prorate=st.sampled_from([True, True, False]),
    )
    return st.lists(fee, min_size=1, max_size=3, unique_by=lambda fee: fee.id).map(tuple)


@st.composite
def subscribed(draw: st.DrawFn, cadences: Sequence[FeeCadence]) -> tuple[Terms, BillingCalendar]:
    """A customer with one subscription to two plans, in up to four phases."""
    place = draw(CALENDARS)
    names = ["one", "two"]
    plans = {name: Plan(name, "USD", fees=draw(fees(cadences))) for name in names}
    starts = sorted(draw(st.lists(instants(place), min_size=1, max_size=4, unique=True)))
    phases = tuple(Phase(draw(st.sampled_from(names)), start, None, 1) for start in starts)
    end = draw(
        st.none()
        | instants(place).filter(lambda end: end > starts[-1])
        | st.just(starts[0] if len(starts) == 1 else None)
    )
    changes = sorted(draw(st.lists(instants(place), max_size=3, unique=True)))
    quantities = st.dictionaries(st.sampled_from("abc"), QUANTITIES, max_size=3)
    own = Subscription(
        "s",
        "acme",
        starts[0],
        phases,
        end,
        draw(quantities),
        tuple(QuantityChange(at, draw(quantities)) for at in changes if at >= starts[0] and (end is None or at < end)),
        draw(st.sampled_from(["calendar", "anniversary"])),
    )
    account = Account("X", "USD", rounding=draw(st.sampled_from(Rounding)))
    return terms(account, plans, own), place


def terms(account: Account, plans: dict[str, Plan], own: Subscription) -> Terms:
    catalog = Catalog(account, plans=plans, customers={"acme": Customer("acme", "USD")}, subscriptions={"s": own})
    return CatalogView(1, catalog, {(plan.id, plan.version): plan for plan in plans.values()}).terms("acme")


def lines(all_due: list[FeesDue]) -> list[Line]:
    return sorted(
        (due.due, line.price or "", line.service_start, line.service_end, line.quantity, line.amount.minor)
        for due in all_due
        for line in due.lines
        if line.service_start and line.service_end and line.quantity is not None
    )


FIRST, LAST = date(2026, 1, 1), date(2027, 9, 30)


@given(subscribed(list(FeeCadence)))
def test_fees_equal_the_oracles(case: tuple[Terms, BillingCalendar]) -> None:
    terms, place = case
    all_due = list(fees_due(terms, place, FIRST, LAST))
    assert lines(all_due) == Oracle(terms, place, terms.subscriptions[0]).lines(FIRST, LAST)


@given(subscribed(list(FeeCadence)), st.dates(FIRST, LAST))
def test_what_is_due_is_due_once_however_days_are_asked_for(case: tuple[Terms, BillingCalendar], middle: date) -> None:
    terms, place = case
    whole = list(fees_due(terms, place, FIRST, LAST))
    halves = [*fees_due(terms, place, FIRST, middle), *fees_due(terms, place, middle + DAY, LAST)]
    assert sorted(due.key for due in whole) == sorted(due.key for due in halves)
    assert len({due.key for due in whole}) == len(whole)
    assert {due.key: due for due in whole} == {due.key: due for due in halves}


@given(subscribed(list(FeeCadence)))
def test_a_key_finds_its_lines_and_a_line_its_key(case: tuple[Terms, BillingCalendar]) -> None:
    terms, place = case
    for due in fees_due(terms, place, FIRST, LAST):
        assert fees_of(terms, place, due.key) == due.lines
        assert {fee_key(terms, place, line) for line in due.lines} <= {due.key}
        moved = due.due == place.local_day(terms.subscriptions[0].start)
        assert due.key.day == due.due or (due.in_advance and moved)


@given(subscribed(list(FeeCadence)), st.integers(0, 900))
def test_a_line_names_the_same_period_after_a_cancellation(case: tuple[Terms, BillingCalendar], after: int) -> None:
    """In advance: what was billed for a period can always be compared with what it costs now."""
    terms, place = case
    (own,) = terms.subscriptions
    end = own.phases[-1].start + timedelta(days=after)
    assume(own.end is None or end < own.end)
    ended = replace(terms, subscriptions=(replace(own, end=end),))
    for due in fees_due(terms, place, FIRST, LAST):
        if due.in_advance:
            assert {fee_key(ended, place, line) for line in due.lines} <= {due.key}
            days_now = sum(_days(line) for line in fees_of(ended, place, due.key))
            assert days_now <= sum(map(_days, due.lines))


def _days(line: RatedLine) -> int:
    assert line.service_start is not None
    assert line.service_end is not None
    return (line.service_end - line.service_start).days


@given(subscribed(RECURRING))
def test_parts_make_up_the_charged_days_of_their_service_period(case: tuple[Terms, BillingCalendar]) -> None:
    """Of a fee that both plans have: no day twice, none left out; unrounded parts of the whole add up to it."""
    given_terms, place = case
    (own,) = given_terms.subscriptions
    shared = tuple(replace(fee, prorate=True) for fee in given_terms.plans[own.phases[0].plan, 1].fees)
    with_shared = replace(
        given_terms, plans={key: replace(plan, fees=shared) for key, plan in given_terms.plans.items()}
    )
    schedule = Schedule.of(own, with_shared, place)
    for every, timing in schedule.kinds():
        for period in schedule.periods(every, timing, FIRST, LAST):
            first, following = max(period.first_day, schedule.first_day), min(period.next_day, schedule.next_day)
            charged = [first + n * DAY for n in range(max((following - first).days, 0))]
            by_fee: dict[str, list[Part]] = defaultdict(list)
            for part in schedule.parts(every, timing, period):
                by_fee[part.fee.id].append(part)
            for fee in shared:
                if (fee.every, fee.timing) == (every, timing):
                    days = [part.first_day + n * DAY for part in by_fee[fee.id] for n in range(part.days)]
                    assert days == charged
                    if len(days) == period.days:
                        parts = [Fraction(prorated(fee.amount, part.days, period.days)) for part in by_fee[fee.id]]
                        assert abs(sum(parts) - Fraction(fee.amount)) < Fraction(1, 10**55)


def test_the_oracle_is_no_mirror() -> None:
    """It knows one case by heart."""
    own = Subscription(
        "s", "acme", datetime(2026, 1, 10, tzinfo=UTC), (Phase("one", datetime(2026, 1, 10, tzinfo=UTC), None, 1),)
    )
    given_terms = terms(Account("X", "USD"), {"one": Plan("one", "USD", fees=(Fee("a", Decimal(100)),))}, own)
    place = calendar("UTC", "month", date(2026, 1, 1))
    assert Oracle(given_terms, place, own).lines(date(2026, 1, 1), date(2026, 2, 1)) == [
        (date(2026, 1, 10), "a", date(2026, 1, 10), date(2026, 2, 1), Decimal(1), 7097),
        (date(2026, 2, 1), "a", date(2026, 2, 1), date(2026, 3, 1), Decimal(1), 10000),
    ]
