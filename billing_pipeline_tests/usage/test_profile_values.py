"""Values missing, negative or absurd, and timestamps in the future."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.usage.engine import Engine
from billing_pipeline.usage.event import LakeFile, lake_schema
from billing_pipeline.usage.expectations import Thresholds
from billing_pipeline.usage.profile import Profile, profile
from billing_pipeline.usage.profiles.facts import Magnitudes, UsageFacts
from billing_pipeline.usage.profiles.values import limits
from billing_pipeline_tests.usage.lake_writer import PERIOD, START, Row, write_file, write_lake
from billing_pipeline_tests.usage.profile_case import AFTER, JANUARY, METERS, of

D = Decimal
ORDINARY = [Row(1, place, customer=1 + place % 7, minute=place, value=D(1 + place % 5)) for place in range(300)]


def profiled(engine: Engine, folder: Path, rows: Sequence[Row], **facts: object) -> Profile:
    given = {"period": JANUARY, "now": AFTER, "meters": METERS, "files": write_lake(folder, rows)} | facts
    return profile(engine, UsageFacts(**given), Thresholds())  # type: ignore[arg-type]


def test_ordinary_usage_has_nothing_worth_a_look(engine: Engine, tmp_path: Path) -> None:
    measured = profiled(engine, tmp_path, ORDINARY)
    assert measured.figures == ()
    assert (measured.rows, measured.magnitudes) == (300, {1: {0: 300}})


def test_no_usage_is_no_trouble(engine: Engine, tmp_path: Path) -> None:
    measured = profiled(engine, tmp_path, [])
    assert (measured.figures, measured.magnitudes, measured.rows) == ((), {}, 0)
    assert len(measured.frame()) == 0


def test_an_absurd_value_names_its_customer_and_meter_only(engine: Engine, tmp_path: Path) -> None:
    slip = Row(2, 1, customer=3, minute=9000, value=D(50_000))
    (figure,) = profiled(engine, tmp_path, [*ORDINARY, slip]).figures
    assert (figure.name, figure.value, figure.customers, figure.meter, figure.batch) == ("absurd_values", 1, (3,), 1, 2)
    assert figure.note == "largest 50,000, absurd above 10,000"


@pytest.mark.parametrize(
    ("value", "absurd"),
    [("10000", 0), ("10000.000000000001", 1), ("-10000.000000000001", 1), ("9999.999999999999", 0)],
)
def test_the_limit_is_exact(engine: Engine, tmp_path: Path, value: str, absurd: int) -> None:
    """A float would not tell them apart."""
    measured = profiled(engine, tmp_path, [*ORDINARY, Row(2, 1, minute=9000, value=D(value))])
    assert len(of(measured, "absurd_values")) == absurd


def test_a_corrected_mistake_is_none(engine: Engine, tmp_path: Path) -> None:
    slip = Row(2, 1, customer=3, minute=9000, value=D(50_000))
    mended = Row(3, 1, customer=3, minute=9000, value=D(5))
    assert profiled(engine, tmp_path, [*ORDINARY, slip, mended]).figures == ()


def test_a_retracted_mistake_is_none(engine: Engine, tmp_path: Path) -> None:
    slip = Row(2, 1, customer=3, minute=9000, value=D(-50_000))
    taken_back = Row(3, 1, customer=3, minute=9000, value=D(0), retract=True)
    assert profiled(engine, tmp_path, [*ORDINARY, slip, taken_back]).figures == ()


def test_a_mistake_in_a_replaced_delivery_is_none(engine: Engine, tmp_path: Path) -> None:
    rows = [Row(1, place, minute=place, scope=7) for place in range(200)]
    rows += [Row(1, 500, minute=9000, value=D(10) ** 9, scope=7)]
    rows += [Row(2, place, minute=place, scope=7) for place in range(200)]
    assert len(of(profiled(engine, tmp_path / "one", rows, deliveries={7: [1]}), "absurd_values")) == 1
    assert profiled(engine, tmp_path / "two", rows, deliveries={7: [1, 2]}).figures == ()


def test_negative_values_are_named_with_the_lowest(engine: Engine, tmp_path: Path) -> None:
    low = [Row(2, place, customer=3, minute=9000 + place, value=D(-place)) for place in range(4)]
    (figure,) = profiled(engine, tmp_path, [*ORDINARY, *low]).figures
    assert (figure.name, figure.value, figure.customers, figure.note) == ("negative_values", 3, (3,), "lowest -3")


def test_a_meter_that_only_counts_events_has_no_values(engine: Engine, tmp_path: Path) -> None:
    rows = [Row(1, place, meter=2, minute=place, value=D(-1)) for place in range(200)]
    rows += [Row(1, 500, meter=2, minute=9000, value=D(10) ** 9)]
    assert profiled(engine, tmp_path, rows).figures == ()


def test_a_missing_value_is_named(engine: Engine, tmp_path: Path) -> None:
    """Landing never writes one; a file that was meddled with may hold it."""
    path = tmp_path / "damaged.parquet"
    schema = pa.schema([field.with_nullable(nullable=True) for field in lake_schema(())])
    row = {"customer": 4, "meter": 1, "timestamp": START, "value": None, "retract": False, "row": 1}
    pq.write_table(pa.Table.from_pylist([row], schema), path)
    damaged = LakeFile(str(path), 2, PERIOD, None, 1, 0, "", 1, ())
    measured = profiled(engine, tmp_path, [], files=[*write_lake(tmp_path, ORDINARY), damaged])
    (figure,) = measured.figures
    assert (figure.name, figure.value, figure.customers, figure.batch) == ("missing_values", 1, (4,), 2)


def test_timestamps_after_now_are_named(engine: Engine, tmp_path: Path) -> None:
    now = START.replace(hour=12)
    minutes = {1: 0, 2: 12 * 60 + 15, 3: 12 * 60 + 16}  # a clock may run a quarter of an hour ahead
    rows = [Row(1, customer, customer=customer, minute=minute) for customer, minute in minutes.items()]
    (figure,) = profiled(engine, tmp_path, rows, now=now).figures
    assert (figure.name, figure.value, figure.customers) == ("future_timestamps", 1, (3,))
    assert figure.note == "latest 2026-01-01 12:16 UTC"


def test_events_of_periods_that_have_not_begun_show_too(engine: Engine, tmp_path: Path) -> None:
    """A slip in the year lands in a period that nobody closes for years."""
    later = write_file(tmp_path, [Row(1, 1, customer=5, minute=60 * 24 * 365)], date(2027, 1, 1))
    (figure,) = profiled(engine, tmp_path, [], later_files=[later]).figures
    assert (figure.name, figure.customers) == ("future_timestamps", (5,))
    assert figure.note == "in periods that have not begun, latest 2027-01-01 00:00 UTC"


SUM = {1: Meter("compute", "sum")}


@pytest.mark.parametrize(
    ("earlier", "present", "limit"),
    [
        ({}, {0: 300}, "10000"),  # values below 10: absurd above 1,000 times that
        ({}, {-3: 300}, "10"),  # below 0.01
        ({}, {0: 99}, None),  # too few to tell
        ({}, {0: 297, 5: 3}, "10000"),  # the highest hundredth decides nothing
        ({}, {0: 290, 5: 10}, "1000000000"),
        ({}, {-9: 500, 0: 480, 3: 20}, "10000000"),  # honest usage of a cloud: nine powers of ten, none is absurd
        ({0: 300}, {5: 300}, "10000"),  # a whole period in the wrong unit: the earlier ones tell
        ({0: 99}, {5: 300}, "1000000000"),  # earlier ones that say too little say nothing
    ],
)
def test_limit(earlier: dict[int, int], present: dict[int, int], limit: str | None) -> None:
    known: Magnitudes = {1: earlier} if earlier else {}
    assert limits(known, {1: present}, SUM, Thresholds()) == ({} if limit is None else {1: D(limit)})


def test_a_limit_that_no_value_can_reach_is_none(engine: Engine, tmp_path: Path) -> None:
    large = [Row(1, place, minute=place, value=D(10) ** 17) for place in range(200)]
    assert profiled(engine, tmp_path, large).figures == ()


def test_the_same_usage_gives_the_same_profile(engine: Engine, tmp_path: Path) -> None:
    """In whatever order the engine finds it; the worst first."""
    low = [
        Row(2, 10 * customer + place, customer=customer, minute=9000 + place, value=D(-1))
        for customer in range(1, 9)
        for place in range(customer)
    ]
    first = profiled(engine, tmp_path / "one", [*ORDINARY, *low])
    assert first == profiled(engine, tmp_path / "two", [*reversed(low), *ORDINARY])
    assert [figure.value for figure in first.figures] == [8, 7, 6, 5, 4, 3, 2, 1]
