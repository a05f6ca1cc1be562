"""The cutoff: the first instant at which ``lock_at`` had passed and nothing held, found from what is recorded."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.invoicing.cutoff import Cut, HeldInterval, History, RecordedChange, cut_off, free_from
from billing_pipeline.invoicing.document import Billed, DocumentIdentity, DocumentKind, DocumentPlan
from billing_pipeline.metering.segments import SegmentKey

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


def day(number: float) -> datetime:
    """Midnight of a day of February, or an hour of it."""
    return FEBRUARY + timedelta(days=number - 1)


def held(*days: tuple[float, float | None]) -> list[HeldInterval]:
    return [HeldInterval(day(start), None if end is None else day(end)) for start, end in days]


@pytest.mark.parametrize(
    ("holds", "free"),
    [
        ([], 4),
        ([(2, 3)], 4),  # released before
        ([(2, 4)], 4),  # released at that instant
        ([(2, 5)], 5),
        ([(4, 5)], 5),  # placed at that instant
        ([(4.5, 6)], 4),  # placed too late
        ([(2, 5), (5, 7)], 7),  # one after the other
        ([(2, 5), (5.5, 7)], 5),  # free in between: that is the cutoff, whatever came later
        ([(5, 7), (2, 6)], 7),  # overlapping, in any order
        ([(2, None)], None),
        ([(2, 5), (4, None)], None),
        ([(3, 3)], 4),
    ],
)
def test_the_first_free_moment(holds: list[tuple[float, float | None]], free: float | None) -> None:
    assert free_from(day(4), held(*holds)) == (None if free is None else day(free))


INTERVALS = st.lists(
    st.tuples(st.integers(1, 20), st.none() | st.integers(0, 6)).map(
        lambda one: (one[0], None if one[1] is None else one[0] + one[1])
    ),
    max_size=6,
)


@given(st.integers(1, 20), INTERVALS)
def test_nothing_holds_at_the_first_free_moment_and_something_at_each_before(
    start: int, holds: list[tuple[int, int | None]]
) -> None:
    def holding(at: int) -> bool:
        return any(begin <= at and (end is None or at < end) for begin, end in holds)

    expected = next((at for at in range(start, 60) if not holding(at)), None)
    assert free_from(day(start), held(*holds)) == (None if expected is None else day(expected))


def plan(kind: str, lock_at: float, *prices: str) -> DocumentPlan:
    issued = date(2026, 2, 1) if kind == "closing" else date(2026, 2, 6)
    identity = DocumentIdentity("acme", DocumentKind(kind), date(2026, 1, 1), issued)
    return DocumentPlan(identity, "USD", day(lock_at), frozenset(SegmentKey("s", day(0), price) for price in prices))


def cuts(
    by_change: dict[int, list[DocumentPlan]],
    now: float,
    *,
    changes: Sequence[tuple[int, float]] = (),
    holds: Sequence[tuple[float, float | None]] = (),
    waits: Sequence[tuple[float, float | None]] = (),
) -> list[tuple[str, datetime, int]]:
    """(kind, cutoff, change) of what is cut off; a catalog calls for the plans that are not billed yet."""

    def plans_at(change: int, billed: Billed) -> list[DocumentPlan]:
        return [
            DocumentPlan(one.identity, "USD", one.lock_at, one.covers - billed.keys)
            for one in by_change[change]
            if one.identity not in billed.documents and (one.covers - billed.keys or not one.covers)
        ]

    history = History(min(by_change), [RecordedChange(one, day(at)) for one, at in changes], held(*holds), held(*waits))
    found: list[Cut] = list(cut_off(plans_at, Billed(), history, day(now)))
    return [(str(cut.plan.identity.kind), cut.cutoff, cut.change) for cut in found]


BOTH = [plan("closing", 4, "a"), plan("delayed", 6, "b")]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (3.99, []),
        (4, [("closing", day(4), 0)]),
        (6, [("closing", day(4), 0), ("delayed", day(6), 0)]),
        (28, [("closing", day(4), 0), ("delayed", day(6), 0)]),  # the run is late, the cutoff is not
    ],
)
def test_documents_are_cut_off_one_by_one(now: float, expected: list[tuple[str, datetime, int]]) -> None:
    assert cuts({0: BOTH}, now) == expected


def test_a_hold_moves_the_cutoff_of_every_document_a_missing_source_of_those_with_usage() -> None:
    without_usage = plan("closing", 4)
    assert cuts({0: BOTH}, 28, holds=[(2, 9)]) == [("closing", day(9), 0), ("delayed", day(9), 0)]
    assert cuts({0: [without_usage]}, 28, holds=[(2, 9)]) == [("closing", day(9), 0)]
    assert cuts({0: BOTH}, 28, waits=[(-30, 5)]) == [("closing", day(5), 0), ("delayed", day(6), 0)]
    assert cuts({0: [without_usage]}, 28, waits=[(-30, None)]) == [("closing", day(4), 0)]
    assert cuts({0: BOTH}, 28, waits=[(-30, None)]) == []
    assert cuts({0: BOTH}, 28, waits=[(-30, 5)], holds=[(5, 6), (6, 8)]) == [
        ("closing", day(8), 0),
        ("delayed", day(8), 0),
    ]


def test_the_catalog_that_counts_is_the_one_before_the_cutoff() -> None:
    later = [plan("closing", 9, "a")]
    assert cuts({0: BOTH[:1], 1: later}, 28, changes=[(1, 3)]) == [("closing", day(9), 1)]  # grace made longer in time
    assert cuts({0: BOTH[:1], 1: later}, 28, changes=[(1, 4)]) == [("closing", day(4), 0)]  # at the cutoff: too late
    assert cuts({0: BOTH[:1], 1: later}, 28, changes=[(1, 5)]) == [("closing", day(4), 0)]


@pytest.mark.parametrize(
    ("locks", "holds", "cutoff"),
    [
        ((4, 4), [], (day(4), 7)),
        ((4, 4), [(3.5, 5.375)], (day(5.375), 8)),
        ((4, 8), [(3.5, 5.375)], (day(8), 8)),
        ((4, 8), [], (day(4), 7)),
        ((4, 2), [(3.5, 6)], (day(6), 8)),
        ((8, 2), [], (day(4.75) + MOMENT, 8)),
    ],
)
def test_the_example_that_the_module_begins_with(
    locks: tuple[float, float], holds: list[tuple[float, float | None]], cutoff: tuple[datetime, int]
) -> None:
    """Documents lock on the first day as change 7 has it, on the second as change 8, recorded on the 4th at 18:00."""
    before, after = ([plan("closing", lock_at, "a")] for lock_at in locks)
    assert cuts({7: before, 8: after}, 28, changes=[(8, 4.75)], holds=holds) == [("closing", *cutoff)]


def test_a_change_that_brings_the_lock_forward_counts_itself() -> None:
    sooner = [plan("closing", 2, "a")]
    assert cuts({0: BOTH[:1], 1: sooner}, 3, changes=[(1, 3)]) == []
    assert cuts({0: BOTH[:1], 1: sooner}, 28, changes=[(1, 3)]) == [("closing", day(3) + MOMENT, 1)]


def test_a_change_while_something_holds_counts() -> None:
    other = [plan("closing", 4, "a", "b")]
    assert cuts({0: BOTH[:1], 1: other}, 28, changes=[(1, 7)], holds=[(2, 8)]) == [("closing", day(8), 1)]


def test_what_one_document_bills_no_other_does() -> None:
    """Moved by a change to the delayed document after the closing one was cut off: it stays where it is."""
    moved = [plan("delayed", 6, "a", "b")]
    assert cuts({0: BOTH, 1: moved}, 28, changes=[(1, 5)]) == [("closing", day(4), 0), ("delayed", day(6), 1)]
    in_time = cuts({0: BOTH, 1: moved}, 28, changes=[(1, 3)])
    assert in_time == [("delayed", day(6), 1)]


@given(
    graces=st.lists(st.integers(2, 9), min_size=1, max_size=4),
    at=st.lists(st.integers(1, 12), min_size=3, max_size=3, unique=True).map(sorted),
    holds=INTERVALS,
    seen=st.lists(st.integers(1, 27), max_size=4).map(sorted),
)
def test_who_looks_when_does_not_matter(
    graces: list[int], at: list[int], holds: list[tuple[int, int | None]], seen: list[int]
) -> None:
    """Looking again and again as days pass finds what looking once at the end finds."""
    by_change = {
        number: [plan("closing", grace, "a"), plan("delayed", grace + 3, "b")] for number, grace in enumerate(graces)
    }
    changes = [(number, at[number - 1]) for number in range(1, len(graces))]

    def looked(now: int) -> list[tuple[str, datetime, int]]:
        known = [(begin, None if end is None or end > now else end) for begin, end in holds if begin <= now]
        so_far = {number: by_change[number] for number in by_change if not number or at[number - 1] <= now}
        return cuts(so_far, now, changes=[one for one in changes if one[1] <= now], holds=known)

    final = looked(28)
    for now in seen:
        assert set(looked(now)) <= set(final)
        assert {one for one in final if one[1] <= day(now)} <= set(looked(now))
