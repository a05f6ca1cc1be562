"""Every row that landed is accounted for, or somebody is told whose are not."""

from pathlib import Path

import pytest

from billing_pipeline.usage.engine import Engine
from billing_pipeline.usage.expectations import Thresholds
from billing_pipeline.usage.profile import profile
from billing_pipeline.usage.profiles.facts import Figure, PeriodBatch, UsageFacts
from billing_pipeline_tests.usage.lake_writer import Row, write_lake
from billing_pipeline_tests.usage.profile_case import AFTER, JANUARY, METERS, counts, of

ROWS = [Row(1, place, customer=1 + place % 2, minute=place) for place in range(10)]
LATE = Row(2, 1, customer=2, minute=100)
DELIVERIES = {1: PeriodBatch("logs", "a.csv", 12, 2, 10), 2: PeriodBatch("logs", "b.csv", 1, 0, 1)}
EVEN = ((1, 1, 5, 4, 1, 0, 0), (2, 1, 5, 3, 1, 1, 0))


def found(engine: Engine, folder: Path, rows: list[Row], **facts: object) -> list[Figure]:
    given = {
        "period": JANUARY,
        "now": AFTER,
        "meters": METERS,
        "files": write_lake(folder, rows),
        "batches": {row.batch: DELIVERIES[row.batch] for row in rows},
        "counts": counts(*EVEN),
        "settled_through": 1,
    }
    return of(profile(engine, UsageFacts(**given | facts), Thresholds()), "unreconciled_rows")  # type: ignore[arg-type]


def test_even_is_even(engine: Engine, tmp_path: Path) -> None:
    assert found(engine, tmp_path, ROWS) == []


@pytest.mark.parametrize(
    ("counted", "customer", "rows"),
    [
        ((1, 1, 4, 3, 1, 0, 0), 1, 1),  # metering did not count a row of the lake
        ((1, 1, 7, 6, 1, 0, 0), 1, 2),  # or counted more than there are
        ((1, 1, 5, 1, 1, 0, 0), 1, 3),  # a row is neither accepted nor superseded nor retracted
        ((1, 1, 5, 5, 1, 0, 0), 1, 1),  # or both
    ],
)
def test_a_count_that_does_not_add_up_names_the_customer(
    engine: Engine, tmp_path: Path, counted: tuple[int, int, int, int, int, int, int], customer: int, rows: int
) -> None:
    (figure,) = found(engine, tmp_path, ROWS, counts=counts(counted, EVEN[1]))
    assert (figure.customers, figure.meter, figure.value, figure.batch) == ((customer,), 1, rows, None)


def test_a_customer_that_metering_missed_altogether_is_named(engine: Engine, tmp_path: Path) -> None:
    (figure,) = found(engine, tmp_path, ROWS, counts=counts(EVEN[0]))
    assert (figure.customers, figure.value, figure.note) == ((2,), 5, "5 rows in the lake, 0 counted")


def test_counts_without_rows_in_the_lake_are_named(engine: Engine, tmp_path: Path) -> None:
    (figure,) = found(engine, tmp_path, ROWS, counts=counts(*EVEN, (9, 1, 3, 3, 0, 0, 0)))
    assert (figure.customers, figure.value, figure.note) == ((9,), 3, "0 rows in the lake, 3 counted")


def test_usage_that_metering_has_not_seen_is_left_for_the_next_time(engine: Engine, tmp_path: Path) -> None:
    assert found(engine, tmp_path / "waiting", [*ROWS, LATE]) == []
    (figure,) = found(engine, tmp_path / "seen", [*ROWS, LATE], settled_through=2)
    assert (figure.customers, figure.value) == ((2,), 1)


def test_a_delivery_whose_rows_do_not_add_up_names_its_customers(engine: Engine, tmp_path: Path) -> None:
    lost = {1: PeriodBatch("logs", "a.csv", 13, 2, 10)}
    (figure,) = found(engine, tmp_path, ROWS, batches=lost)
    assert (figure.customers, figure.value, figure.subject) == ((1, 2), 1, "batch 1 of logs (a.csv)")
    assert figure.note == "13 rows landed, 10 are in the lake, 2 in quarantine"


def test_a_file_that_lost_rows_names_its_customers(engine: Engine, tmp_path: Path) -> None:
    whole = write_lake(tmp_path / "whole", ROWS)
    (cut,) = write_lake(tmp_path / "cut", ROWS[:9])
    meddled = [type(cut)(cut.path, 1, cut.period, None, whole[0].rows, 0, "", 1, ())]
    by_customer, by_file = found(engine, tmp_path, ROWS, files=meddled)
    assert (by_customer.customers, by_customer.value) == ((2,), 1)
    assert (by_file.customers, by_file.note) == ((1, 2), "the manifest says 10 rows, the lake's files hold 9")
