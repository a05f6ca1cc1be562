"""Sessions and levels: tables of small cases, and random histories over two periods against an independent oracle."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.errors import UsageError
from billing_pipeline.core.period import Duration
from billing_pipeline.metering.measure import Measured, Measurement, Quantity, UsageCount, measure
from billing_pipeline.metering.measurement import Timeline
from billing_pipeline.usage.engine import Engine
from billing_pipeline_tests.examples import examples
from billing_pipeline_tests.metering import spans_oracle
from billing_pipeline_tests.usage.lake_writer import END, START, Row, write_lake

D = Decimal
UTC = ZoneInfo("UTC")
DECEMBER = date(2025, 12, 1)
HOUR = 60  # minutes
MONTH = 31 * 24 * HOUR
JOBS = Meter("jobs", "duration", session_by="job")
STOCK = Meter("stock", "weighted_sum")


def measured(
    engine: Engine,
    folder: Path,
    rows: Sequence[Row],
    meter: Meter,
    *measurements: Measurement,
    now: datetime | None = None,
) -> Measured:
    """Rows before the period are in files of the one before."""
    earlier = write_lake(folder, [row for row in rows if row.timestamp < START], DECEMBER)
    files = write_lake(folder, [row for row in rows if row.timestamp >= START])
    measurements = measurements or (Measurement(1, 1, meter.id, START, END),)
    return measure(
        engine, files, {}, measurements, {meter.id: meter}, {meter.id: 1}, timeline=Timeline(UTC, now, earlier)
    )


def whole_month(
    engine: Engine, folder: Path, rows: Sequence[Row], meter: Meter, now: datetime | None = None
) -> Quantity:
    (quantity,) = measured(engine, folder, rows, meter, now=now).quantities
    return quantity


def start(minute: int, job: str = "a", **more: str) -> Row:
    return Row(1, 0, minute=minute, dimensions={"phase": "start", "job": job, **more})


def stop(minute: int, job: str = "a", **more: str) -> Row:
    return Row(1, 0, minute=minute, dimensions={"phase": "stop", "job": job, **more})


def level(minute: int, value: str, **dimensions: str) -> Row:
    return Row(1, 0, minute=minute, value=D(value), dimensions=dimensions)


def numbered(rows: Sequence[Row]) -> list[Row]:
    """Received in this order."""
    return [replace(row, row=place) for place, row in enumerate(rows)]


LASTING: Sequence[tuple[Meter, list[Row], str, int]] = [
    (JOBS, [start(0), stop(10)], "600", 0),
    (JOBS, [stop(10), start(0)], "600", 0),
    (JOBS, [start(0), start(5, "b"), stop(10), stop(20, "b")], "1500", 0),
    (JOBS, [start(0), start(5), stop(10)], "600", 0),  # a second start changes nothing
    (JOBS, [start(0), stop(10), stop(20)], "600", 0),  # the second stop waits
    (JOBS, [start(-HOUR), stop(HOUR)], "3600", 0),  # split at the boundary
    (JOBS, [start(MONTH - 10), stop(MONTH + 10)], "600", 0),
    (JOBS, [start(MONTH - 10)], "600", 1),
    (JOBS, [start(-HOUR)], str(MONTH * 60), 1),
    (JOBS, [start(-2 * HOUR), stop(-HOUR), start(5), stop(6)], "60", 0),  # over before
    (JOBS, [start(5), stop(5)], "0", 0),
    (JOBS, [start(0), stop(5), start(5), stop(15)], "900", 0),
    (JOBS, [start(0), start(5), stop(5), stop(15)], "900", 0),  # in whatever order they are received
    (replace(JOBS, max_session=Duration(hours=2)), [start(0)], "7200", 0),
    (replace(JOBS, max_session=Duration(days=1)), [start(-HOUR), stop(MONTH)], str(23 * 3600), 0),
    (replace(JOBS, max_session=Duration(hours=2)), [start(MONTH - 60)], "3600", 1),
    (replace(JOBS, multiplier="gb"), [start(0, gb="0.5"), stop(10)], "300", 0),  # GB-seconds: the start's GB
    (replace(JOBS, multiplier="gb"), [start(0, gb="0.5"), start(4, gb="2"), stop(10, gb="7")], "840", 0),
    (replace(JOBS, filter={"region": ("eu",)}), [start(0, region="eu"), stop(5), start(6, region="us")], "300", 0),
    (STOCK, [level(0, "2"), level(HOUR, "3"), level(3 * HOUR, "0")], "8", 0),
    (STOCK, [level(-HOUR, "2"), level(HOUR, "0")], "2", 0),  # stands since before
    (STOCK, [level(MONTH - HOUR, "2.5")], "2.5", 0),
    (STOCK, [level(0, "2", disk="a"), level(0, "3", disk="b"), level(HOUR, "0", disk="a")], str(2 + 3 * 744), 0),
    (STOCK, [level(0, "-1"), level(HOUR, "0")], "-1", 0),
    (replace(STOCK, per="second"), [level(0, "2"), level(1, "0")], "120", 0),
    (replace(STOCK, per="day"), [level(0, "2")], "62", 0),
    (replace(STOCK, multiplier="copies"), [level(0, "2", copies="3"), level(HOUR, "2", copies="0")], "6", 0),
    (replace(STOCK, filter={"tier": ("hot",)}), [level(0, "2", tier="hot"), level(0, "5", tier="cold")], "1488", 0),
    # 18 digits for a month, and a part of a unit: neither overflows, neither is lost
    (
        replace(STOCK, per="second"),
        [level(0, "999999999999999999.999999999999")],
        "2678399999999999999999999.9999973216",
        0,
    ),
]


def apart(cases: Sequence[tuple[Meter, Sequence[Row]]]) -> tuple[dict[str, Meter], list[Row]]:
    """Meters and rows with which cases are measured together: each is a customer with a meter, 1 and so on."""
    meters = {str(code): replace(meter, id=str(code)) for code, (meter, _) in enumerate(cases, start=1)}
    return meters, numbered(
        [replace(row, customer=code, meter=code) for code, (_, rows) in enumerate(cases, start=1) for row in rows]
    )


@pytest.fixture(scope="module")
def lasting(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Quantity]:
    """What comes of all the cases above."""
    folder = tmp_path_factory.mktemp("lasting")
    meters, rows = apart([(meter, rows) for meter, rows, *_ in LASTING])
    earlier = write_lake(folder, [row for row in rows if row.timestamp < START], DECEMBER)
    files = write_lake(folder, [row for row in rows if row.timestamp >= START])
    asked = [Measurement(code, code, name, START, END) for code, name in enumerate(meters, start=1)]
    codes = {name: code for code, name in enumerate(meters, start=1)}
    return measure(engine, files, {}, asked, meters, codes, timeline=Timeline(UTC, None, earlier)).quantities


@pytest.mark.parametrize("number", range(1, len(LASTING) + 1))
def test_what_lasts(lasting: Sequence[Quantity], number: int) -> None:
    *_, quantity, provisional = LASTING[number - 1]
    (whole,) = (each for each in lasting if each.number == number)
    assert (str(whole.quantity), whole.provisional) == (quantity, provisional)


BEGINNING: Sequence[tuple[Meter, list[Row], str, str]] = [
    (JOBS, [start(MONTH - 10), stop(MONTH + 10)], "600, open", "600"),
    (JOBS, [start(MONTH + 214 * HOUR)], "", "7200, open, grows"),
    (replace(JOBS, max_session=Duration(hours=1)), [start(MONTH + 214 * HOUR)], "", "3600"),
    (JOBS, [start(4 * 24 * HOUR), stop(4 * 24 * HOUR)], "0", ""),
    (STOCK, [level(MONTH - 12 * HOUR, "10"), level(MONTH + 6 * HOUR, "0")], "120", "60, grows"),
    (STOCK, [level(MONTH - 12 * HOUR, "10")], "120", "2160, grows"),
]


@pytest.mark.parametrize("month", ["in January", "in February"])
def test_the_examples_that_the_module_begins_with(engine: Engine, tmp_path: Path, month: str) -> None:
    """Each month is measured from its own files and those before, on 10 February."""
    first, next_month = (START, END) if month == "in January" else (END, END + timedelta(days=28))
    meters, rows = apart([(meter, rows) for meter, rows, *_ in BEGINNING])
    earlier = write_lake(tmp_path, [row for row in rows if row.timestamp < first], DECEMBER)
    files = write_lake(tmp_path, [row for row in rows if first <= row.timestamp < next_month])
    usage = measure(
        engine,
        files,
        {},
        [Measurement(code, code, name, first, next_month) for code, name in enumerate(meters, start=1)],
        meters,
        {name: code for code, name in enumerate(meters, start=1)},
        timeline=Timeline(UTC, END + timedelta(days=9), earlier),
    )
    said = {
        each.number: f"{each.quantity}{', open' if each.provisional else ''}{', grows' if each.counted_to else ''}"
        for each in usage.quantities
    }
    assert len(said) == len(usage.quantities)
    expected = enumerate((case[2 if first == START else 3] for case in BEGINNING), start=1)
    assert said == {code: text for code, text in expected if text}


def test_an_hour_in_seconds_is_carried_to_sixty_decimals(engine: Engine, tmp_path: Path) -> None:
    whole = whole_month(engine, tmp_path, numbered([level(0, "1"), level(1, "0")]), STOCK)
    assert whole.quantity == D("0.01" + "6" * 57 + "7")


def test_a_level_of_nothing_is_no_usage_in_the_next_period(engine: Engine, tmp_path: Path) -> None:
    rows = numbered([level(-2 * HOUR, "5"), level(-HOUR, "0"), start(0)])
    assert measured(engine, tmp_path, rows[:2], STOCK).quantities == []


def test_what_is_open_counts_until_now_and_grows(engine: Engine, tmp_path: Path) -> None:
    now = START + timedelta(hours=3)
    quantity = whole_month(engine, tmp_path, [start(HOUR)], JOBS, now)
    assert (quantity.quantity, quantity.provisional, quantity.counted_to) == (D(7200), 1, now)
    quantity = whole_month(engine, tmp_path, [level(HOUR, "5")], STOCK, now)
    assert (quantity.quantity, quantity.provisional, quantity.counted_to) == (D(10), 0, now)
    quantity = whole_month(engine, tmp_path, [start(HOUR)], JOBS, END)
    assert (quantity.quantity, quantity.provisional, quantity.counted_to) == (D((MONTH - HOUR) * 60), 1, None)
    quantity = whole_month(engine, tmp_path, numbered([start(HOUR), stop(2 * HOUR)]), JOBS, now)
    assert (quantity.quantity, quantity.provisional, quantity.counted_to) == (D(3600), 0, None)


def test_at_the_first_instant_of_a_period_what_runs_on_is_known_to_grow(engine: Engine, tmp_path: Path) -> None:
    quantity = whole_month(engine, tmp_path, [start(-HOUR)], JOBS, START)
    assert (quantity.quantity, quantity.events, quantity.counted_to) == (D(0), 1, START)


def test_cut_points_split_a_session(engine: Engine, tmp_path: Path) -> None:
    ends = [START + timedelta(minutes=minute) for minute in (5, 10, 30)]
    measurements = [Measurement(number, 1, "jobs", START, end) for number, end in enumerate(ends)]
    measurements.append(Measurement(3, 1, "jobs", ends[0], END))
    quantities = measured(engine, tmp_path, numbered([start(2), stop(20)]), JOBS, *measurements).quantities
    assert [(each.number, each.quantity, each.events) for each in quantities] == [
        (0, D(180), 1),
        (1, D(480), 1),
        (2, D(1080), 1),
        (3, D(900), 1),
    ]


def test_a_session_has_the_dimensions_of_its_start(engine: Engine, tmp_path: Path) -> None:
    rows = numbered([start(0, region="eu"), stop(1, region="us"), start(2, "b"), stop(4, "b", region="eu")])
    measurement = Measurement(1, 1, "jobs", START, END, by=("region",))
    quantities = measured(engine, tmp_path, rows, JOBS, measurement).quantities
    assert [(each.dimensions, each.quantity) for each in quantities] == [({"region": "eu"}, D(60)), ({}, D(120))]


def test_a_stop_that_waits_for_its_start_is_counted(engine: Engine, tmp_path: Path) -> None:
    rows = numbered([start(-HOUR), stop(1), stop(2), stop(3, "b"), stop(-30, "c"), start(4, "d"), stop(4, "d")])
    (count,) = measured(engine, tmp_path, rows, JOBS).counts
    assert count == UsageCount(1, "jobs", 5, 5, 0, 0, unpriced=0, pending=2)  # a's second one, and b's


def test_earlier_periods_are_not_counted_again(engine: Engine, tmp_path: Path) -> None:
    rows = numbered([level(-HOUR, "1"), level(-HOUR, "2"), level(HOUR, "3")])
    assert measured(engine, tmp_path, rows, STOCK).counts == [UsageCount(1, "stock", 1, 1, 0, 0, 0)]
    assert measured(engine, tmp_path, rows[:2], STOCK).counts == []
    added = Meter("added", "sum")
    assert [each.quantity for each in measured(engine, tmp_path, rows, added).quantities] == [D(3)]


@pytest.mark.parametrize("meter", [replace(JOBS, multiplier="gb"), replace(STOCK, multiplier="gb")])
def test_what_is_no_number_to_multiply_by_is_an_error(engine: Engine, tmp_path: Path, meter: Meter) -> None:
    rows = numbered([start(0, gb="half"), stop(1)])
    with pytest.raises(UsageError, match=r"gb = 'half', which is no number to multiply by"):
        measured(engine, tmp_path, rows, meter)


MINUTES = st.sampled_from([-2000, -90, -60, -1, 0, 1, 30, 59, 60, 61, 600, 601, MONTH - 30, MONTH - 1])
TEXTS: Mapping[str, st.SearchStrategy[str]] = {
    "phase": st.sampled_from(["start", "stop", "start", "stop", "", "pause"]),
    "job": st.sampled_from(["a", "b", ""]),
    "gb": st.sampled_from(["1", "0.5", "12.000001", "0"]),
    "region": st.sampled_from(["", "eu", "us"]),
}
ROWS = st.lists(
    st.builds(
        Row,
        batch=st.integers(1, 4),
        row=st.just(0),
        customer=st.integers(1, 2),
        minute=MINUTES,
        value=st.decimals(-1000, 10**18 - 1, places=12) | st.just(D(0)),
        dimensions=st.fixed_dictionaries({**TEXTS}),
        retract=st.sampled_from([False, False, False, False, True]),
    ),
    max_size=25,
).map(numbered)
INSTANTS = st.sampled_from([0, 1, 45, 60, 600, 700, MONTH]).map(lambda minute: START + timedelta(minutes=minute))
SPANS = st.lists(INSTANTS, min_size=2, max_size=2, unique=True).map(sorted)  # nobody measures backwards
ASKED = st.lists(
    st.builds(
        lambda customer, span, by: Measurement(0, customer, "m", span[0], span[1], by=by),
        st.integers(1, 2),
        SPANS,
        st.sampled_from([(), ("region",)]),
    ),
    min_size=1,
    max_size=4,
).map(lambda measurements: [replace(each, number=number) for number, each in enumerate(measurements)])
METERS = st.builds(
    Meter,
    id=st.just("m"),
    aggregation=st.just("duration"),
    session_by=st.just("job"),
    multiplier=st.sampled_from([None, "gb"]),
    max_session=st.sampled_from([None, Duration(hours=1), Duration(days=2)]),
    filter=st.sampled_from([{}, {"region": ("eu", "")}]),
) | st.builds(
    Meter,
    id=st.just("m"),
    aggregation=st.just("weighted_sum"),
    multiplier=st.sampled_from([None, "gb"]),
    per=st.sampled_from([None, "second", "day"]),
    filter=st.sampled_from([{}, {"region": ("eu", "")}]),
)


@examples(12)
@given(rows=ROWS, measurements=ASKED, meter=METERS, now=st.none() | INSTANTS)
def test_random_histories_last_as_the_oracle_says(
    engine: Engine, *, rows: list[Row], measurements: list[Measurement], meter: Meter, now: datetime | None
) -> None:
    """Retractions, over a period's start and end, cut anywhere, before and after now."""
    with TemporaryDirectory() as folder:
        usage = measured(engine, Path(folder), rows, meter, *measurements, now=now)
    answers = {(each.number, frozenset(each.dimensions.items())): each for each in usage.quantities}
    assert len(answers) == len(usage.quantities)
    expected = {
        (each.number, group): exact
        for each in measurements
        for group, exact in spans_oracle.quantities(rows, each, 1, meter, now).items()
    }
    assert answers.keys() == expected.keys()
    for key, exact in expected.items():
        answer = answers[key]
        assert abs(Fraction(answer.quantity) - exact.quantity) < Fraction(1, 10**60)
        assert (answer.events, answer.provisional) == (exact.events, exact.provisional)
        assert answer.counted_to == (now if exact.grows else None)


@examples(6)
@given(rows=ROWS, meter=METERS, order=st.randoms(use_true_random=False))
def test_neither_order_nor_batches_matter(engine: Engine, *, rows: list[Row], meter: Meter, order: object) -> None:
    """Of events that do not contradict each other: no retractions, and one report of each event."""
    seen = {(row.customer, row.minute, row.dimensions["job"], row.dimensions["phase"]): row for row in rows}
    once = [replace(row, retract=False) for row in seen.values()]
    again = numbered(order.sample(once, len(once)))  # type: ignore[attr-defined]
    again = [replace(row, batch=1 + place % 3) for place, row in enumerate(again)]
    measurement = Measurement(1, 1, "m", START, END, by=("region",))
    with TemporaryDirectory() as folder:
        assert measured(engine, Path(folder), once, meter, measurement) == measured(
            engine, Path(folder), again, meter, measurement
        )


@examples(6)
@given(rows=ROWS, meter=METERS, cuts=st.lists(INSTANTS, max_size=3))
def test_parts_of_a_period_add_up(engine: Engine, *, rows: list[Row], meter: Meter, cuts: list[datetime]) -> None:
    edges = sorted({START, *cuts, END})
    measurements = [Measurement(n, 1, "m", start, end) for n, (start, end) in enumerate(pairwise(edges), start=1)]
    with TemporaryDirectory() as folder:
        quantities = measured(
            engine, Path(folder), rows, meter, Measurement(0, 1, "m", START, END), *measurements
        ).quantities
    whole = sum((Fraction(each.quantity) for each in quantities if each.number == 0), Fraction(0))
    parts = sum((Fraction(each.quantity) for each in quantities if each.number), Fraction(0))
    assert abs(whole - parts) < Fraction(1, 10**58)
