"""Hours without data, in the rhythm of the source."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.usage.engine import Engine
from billing_pipeline.usage.expectations import Thresholds
from billing_pipeline.usage.profiles.facts import PeriodBatch, UsageFacts
from billing_pipeline.usage.profiles.hours import gap_figures, gaps
from billing_pipeline_tests.usage.lake_writer import START, Row, write_lake
from billing_pipeline_tests.usage.profile_case import AFTER, JANUARY

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("hours", "until", "expected"),
    [
        (set(range(48)), 48, []),
        (set(range(48)) - {5}, 48, [(5, 6)]),
        (set(range(48)) - {5, 6, 7, 20}, 48, [(5, 8), (20, 21)]),
        (set(range(44)), 48, [(44, 48)]),  # up to where usage must be in
        (set(range(4, 48)), 48, [(0, 4)]),
        ({0, 24, 72, 96}, 120, [(48, 72)]),  # once a day: the day that is missing
        ({0, 24, 300, 324}, 480, [(48, 288), (336, 480)]),
        ({hour for hour in range(480) if 9 <= hour % 24 < 17 and hour // 24 != 7}, 480, [(168, 192)]),  # office hours
        ({0, 300}, 480, []),  # now and then: no rhythm, no gap
        ({0}, 480, []),  # once a month
        ({*range(24)}, 480, [(24, 480)]),  # a stream that stopped
        (set(), 48, [(0, 48)]),  # nothing at all, where there was something before
        ({60}, 48, [(0, 48)]),  # only after the last hour that must be in
        (set(range(48)), 0, []),
        (set(range(48)), -5, []),
    ],
)
def test_gaps(hours: set[int], until: int, expected: list[tuple[int, int]]) -> None:
    found = gaps({START + hour * HOUR for hour in hours}, START, START + until * HOUR)
    assert [((first - START) // HOUR, (last - START) // HOUR) for first, last in found] == expected


@given(st.sets(st.integers(0, 99), min_size=60))
def test_gaps_of_an_hourly_source_are_the_hours_without_data(hours: set[int]) -> None:
    found = list(gaps({START + hour * HOUR for hour in hours}, START, START + 100 * HOUR))
    empty = {(first - START) // HOUR + step for first, last in found for step in range((last - first) // HOUR)}
    assert empty == set(range(100)) - hours
    assert all(earlier[1] < later[0] for earlier, later in pairwise(found))


def figures(engine: Engine, folder: Path, hours: set[int], **facts: object) -> list[tuple[int, str]]:
    rows = [Row(1, hour, minute=60 * hour + 59) for hour in sorted(hours)]
    given = {
        "period": JANUARY,
        "now": AFTER,
        "files": write_lake(folder, rows),
        "batches": {1: PeriodBatch("logs", "a.csv", len(rows), 0, len(rows))} if rows else {},
    }
    found = list(gap_figures(engine, UsageFacts(**given | facts), Thresholds()))  # type: ignore[arg-type]
    assert {figure.subject for figure in found} == {"source logs"}
    return [(int(figure.value), figure.note) for figure in found]


def test_a_source_without_gaps_says_so(engine: Engine, tmp_path: Path) -> None:
    assert figures(engine, tmp_path, set(range(31 * 24))) == [(0, "")]


def test_a_gap_says_from_when_to_when(engine: Engine, tmp_path: Path) -> None:
    hours = set(range(31 * 24)) - {30, 31}
    assert figures(engine, tmp_path, hours) == [(2, "nothing from 2026-01-02 06:00 to 2026-01-02 08:00 UTC")]


def test_a_new_source_begins_with_its_first_hour(engine: Engine, tmp_path: Path) -> None:
    hours = set(range(500, 31 * 24))
    assert figures(engine, tmp_path / "new", hours) == [(0, "")]
    before = figures(engine, tmp_path / "old", hours, earlier_sources=frozenset({"logs"}))
    assert before == [(500, "nothing from 2026-01-01 00:00 to 2026-01-21 20:00 UTC")]


def test_the_last_day_may_still_come(engine: Engine, tmp_path: Path) -> None:
    now = START + 10 * DAY
    assert figures(engine, tmp_path / "in time", set(range(9 * 24)), now=now) == [(0, "")]
    late = figures(engine, tmp_path / "late", set(range(9 * 24 - 2)), now=now + timedelta(minutes=59))
    assert late == [(2, "nothing from 2026-01-09 22:00 to 2026-01-10 00:00 UTC")]


def test_a_source_that_fell_silent_shows(engine: Engine, tmp_path: Path) -> None:
    silent = figures(engine, tmp_path, set(), earlier_sources=frozenset({"logs"}))
    assert silent == [(31 * 24, "nothing from 2026-01-01 00:00 to 2026-02-01 00:00 UTC")]
