"""Measuring: tables of small cases, and random histories against an independent oracle."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import ibis.expr.types as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.errors import UsageError
from billing_pipeline.metering import answer
from billing_pipeline.metering.aggregations import AGGREGATIONS, Aggregation, Quotient, Spans
from billing_pipeline.metering.measure import Measured, Measurement, UsageCount, measure
from billing_pipeline.metering.measurement import Timeline
from billing_pipeline.usage.engine import Engine
from billing_pipeline_tests.examples import examples
from billing_pipeline_tests.metering.measure_oracle import counts, quantities
from billing_pipeline_tests.usage.lake_writer import END, START, Row, write_lake

D = Decimal
BERLIN = ZoneInfo("Europe/Berlin")


def measured(
    engine: Engine, folder: Path, rows: Sequence[Row], measurements: Sequence[Measurement], *meters: Meter
) -> Measured:
    """Meters have the codes 1, 2 and so on."""
    codes = {meter.id: code for code, meter in enumerate(meters, start=1)}
    by_id = {meter.id: meter for meter in meters}
    return measure(engine, write_lake(folder, rows), {}, measurements, by_id, codes, timeline=Timeline(BERLIN))


def whole_month(engine: Engine, folder: Path, rows: Sequence[Row], meter: Meter) -> tuple[str, int]:
    """The only quantity of a whole month, as written, and its number of events."""
    (quantity,) = measured(engine, folder, rows, [Measurement(1, 1, meter.id, START, END)], meter).quantities
    return str(quantity.quantity), quantity.events


THREE = [
    Row(1, 0, minute=1, value=D("1.5"), dimensions={"user": "ann", "gb": "2"}),
    Row(1, 1, minute=3, value=D("-4"), dimensions={"user": "bob", "gb": "0.000001"}),
    Row(1, 2, minute=2, value=D("2.25"), dimensions={"user": "ann", "gb": "3.5000000"}),
]


@pytest.mark.parametrize(
    ("meter", "quantity"),
    [
        (Meter("m", "sum"), "-0.25"),
        (Meter("m", "count"), "3"),
        (Meter("m", "max"), "2.25"),
        (Meter("m", "min"), "-4"),
        (Meter("m", "latest"), "-4"),
        (Meter("m", "average"), "-0." + "08" + "3" * 58),
        (Meter("m", "unique_count", unique_by="user"), "2"),
        (Meter("m", "unique_count", unique_by="nobody sends this"), "0"),
        (Meter("m", "sum", filter={"user": ("ann", "zoe")}), "3.75"),
        (Meter("m", "sum", multiplier="gb"), "10.874996"),
        (Meter("m", "max", multiplier="gb"), "7.875"),
        (Meter("m", "average", multiplier="gb", filter={"user": ("ann",)}), "5.4375"),
        (Meter("m", "count", multiplier="gb"), "3"),
    ],
)
def test_a_quantity(engine: Engine, tmp_path: Path, meter: Meter, quantity: str) -> None:
    written_quantity, events = whole_month(engine, tmp_path, THREE, meter)
    assert (written_quantity, events) == (quantity, 2 if meter.filter else 3)


def test_every_aggregation_has_a_case_above() -> None:
    (table,) = (mark for mark in test_a_quantity.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]
    plain = {name for name, how in AGGREGATIONS.items() if not isinstance(how, Spans)}  # those are in test_spans
    assert {meter.aggregation for meter, _ in table.args[1]} == plain


@pytest.mark.parametrize(
    ("values", "written"),
    [
        (["100", "0"], "100"),  # not 1E+2
        (["0.000000000001", "0"], "1E-12"),  # an exponent below zero loses nothing
        (["999999999999999999.999999999999"] * 2, "1999999999999999999.999999999998"),
        (["1.10", "-1.1"], "0"),
    ],
)
def test_a_sum_is_exact_and_plain(engine: Engine, tmp_path: Path, values: list[str], written: str) -> None:
    rows = [Row(1, place, minute=place, value=D(value)) for place, value in enumerate(values)]
    written_quantity, _ = whole_month(engine, tmp_path, rows, Meter("m", "sum"))
    assert D(written_quantity) == D(written)
    assert "E+" not in written_quantity


def test_latest_at_one_instant_is_the_last_received(engine: Engine, tmp_path: Path) -> None:
    rows = [
        Row(2, 0, value=D(1), dimensions={"region": "a"}),
        Row(3, 0, value=D(2), dimensions={"region": "b"}),
        Row(1, 9, value=D(3), dimensions={"region": "c"}),
    ]
    assert whole_month(engine, tmp_path, rows, Meter("m", "latest")) == ("2", 3)


@pytest.mark.parametrize(
    ("window", "quantity"),
    [(None, "5"), ("hour", "12"), ("day", "8")],
)
def test_a_window_is_aggregated_first_then_added(
    engine: Engine, tmp_path: Path, window: str | None, quantity: str
) -> None:
    """Berlin's 1 January ends at 23:00 UTC: the maxima of the days are 5 and 3."""
    minutes = {60: 4, 70: 2, 120: 5, 23 * 60: 3, 23 * 60 + 59: 1}
    rows = [Row(1, minute, minute=minute, value=D(value)) for minute, value in minutes.items()]
    written_quantity, _ = whole_month(engine, tmp_path, rows, Meter("m", "max", window=window))  # type: ignore[arg-type]
    assert written_quantity == quantity


def test_a_quantity_that_overflows_is_an_error_that_names_its_meter(engine: Engine, tmp_path: Path) -> None:
    rows = [Row(1, 0, value=D("999999999999999999"), dimensions={"gb": "999999999999"})]
    with pytest.raises(UsageError, match=r"Meter 'gigabytes'.*larger unit"):
        whole_month(engine, tmp_path, rows, Meter("gigabytes", "sum", multiplier="gb"))


@pytest.mark.parametrize("bad", ["", "1,5", "1e3", "0.1234567", "NaN", " 1", "1234567890123"])
def test_what_is_no_number_to_multiply_by_is_an_error(engine: Engine, tmp_path: Path, bad: str) -> None:
    rows = [*THREE, Row(1, 9, minute=9, dimensions={"gb": bad})]
    with pytest.raises(UsageError, match=r"gb = .* no number to multiply by"):
        whole_month(engine, tmp_path, rows, Meter("m", "sum", multiplier="gb"))


BY_REGION = [
    Row(1, place, minute=place, value=D(2**place), dimensions=dimensions)
    for place, dimensions in enumerate(
        [
            {"provider": "aws", "region": "eu"},
            {"provider": "aws", "region": "us"},
            {"provider": "gcp", "region": "eu"},
            {"provider": "gcp"},
            {"region": "us"},
            {},
        ]
    )
]


@pytest.mark.parametrize(
    ("by", "matches", "groups"),
    [
        ((), (), {"": 63}),
        (("provider",), (), {"aws": 3, "gcp": 12, "": 48}),
        (("provider", "region"), (), {"aws eu": 1, "aws us": 2, "gcp eu": 4, "gcp": 8, "us": 16, "": 32}),
        (("provider",), ({"provider": "aws"},), {"aws": 3, "": 60}),  # all without a rate are one group
        (("provider", "region"), ({"provider": "aws"},), {"aws eu": 1, "aws us": 2, "": 60}),
        (
            ("provider", "region"),
            ({"provider": "gcp"}, {"region": "us"}),
            {"aws us": 2, "gcp eu": 4, "gcp": 8, "us": 16, "": 33},
        ),
        (
            ("region", "provider"),
            ({"provider": "aws", "region": "eu"}, {"provider": "aws", "region": "us"}),
            {"eu aws": 1, "us aws": 2, "": 60},
        ),
        (("provider",), ({},), {"aws": 3, "gcp": 12, "": 48}),  # a rate for everything
        (("size",), ({"size": "xl"},), {"": 63}),  # a dimension that nobody sends
        (("provider",), ({"provider": "o'Neil\"; --"},), {"": 63}),
    ],
)
def test_quantities_by_dimension(
    engine: Engine, tmp_path: Path, by: tuple[str, ...], matches: tuple[Mapping[str, str], ...], groups: dict[str, int]
) -> None:
    measurement = Measurement(1, 1, "m", START, END, by=by, matches=matches)
    quantities = measured(engine, tmp_path, BY_REGION, [measurement], Meter("m", "sum")).quantities
    assert {" ".join(each.dimensions.values()): each.quantity for each in quantities} == groups
    assert all(each.dimensions.keys() <= set(by) for each in quantities)


def test_the_maximum_over_all_regions_is_not_the_maximum_of_a_region(engine: Engine, tmp_path: Path) -> None:
    """The greatest over all regions is not that of one: each price aggregates by its own dimensions."""
    measurements = [Measurement(1, 1, "m", START, END), Measurement(2, 1, "m", START, END, by=("provider",))]
    quantities = measured(engine, tmp_path, BY_REGION[:4], measurements, Meter("m", "max")).quantities
    assert [(each.number, each.dimensions, each.quantity) for each in quantities] == [
        (1, {}, D(8)),
        (2, {"provider": "aws"}, D(2)),
        (2, {"provider": "gcp"}, D(8)),
    ]


def test_an_event_at_the_end_belongs_to_what_follows(engine: Engine, tmp_path: Path) -> None:
    middle = START + timedelta(minutes=10)
    rows = [Row(1, minute, minute=minute) for minute in (0, 9, 10, 11)]
    measurements = [
        Measurement(1, 1, "m", START, middle),
        Measurement(2, 1, "m", middle, END),
        Measurement(3, 1, "m", END, END + timedelta(1)),  # nothing: no quantity
    ]
    answers = measured(engine, tmp_path, rows, measurements, Meter("m", "count"))
    assert [(each.number, each.quantity) for each in answers.quantities] == [(1, D(2)), (2, D(2))]
    assert answers.counts == [UsageCount(1, "m", landed=4, accepted=4, superseded=0, retracted=0, unpriced=0)]


def test_usage_that_no_measurement_covers_is_unpriced(engine: Engine, tmp_path: Path) -> None:
    """Cut points cover the first ten minutes twice; customer 2 and meter other have no price at all."""
    rows = [Row(1, minute, minute=minute) for minute in range(20)]
    rows += [Row(2, 0, customer=2), Row(2, 1, meter=2), Row(2, 2, meter=2, minute=1, retract=True)]
    cuts = [START + timedelta(minutes=minute) for minute in (5, 10)]
    measurements = [Measurement(number, 1, "m", START, cut) for number, cut in enumerate(cuts)]
    measurements.append(Measurement(2, 1, "m", START + timedelta(minutes=15), END))
    answers = measured(engine, tmp_path, rows, measurements, Meter("m", "count"), Meter("other", "count"))
    assert [(each.customer, each.meter, each.accepted, each.retracted, each.unpriced) for each in answers.counts] == [
        (1, "m", 20, 0, 5),
        (1, "other", 1, 1, 1),
        (2, "m", 1, 0, 1),
    ]


def test_only_the_customers_asked_for_are_looked_at(engine: Engine, tmp_path: Path) -> None:
    files = write_lake(tmp_path, [Row(1, customer, customer=customer) for customer in range(1, 400)])
    meters, codes = {"m": Meter("m", "sum")}, {"m": 1}
    for customers in ({7}, set(range(100, 350)), set(), {1000}):
        measurements = [Measurement(customer, customer, "m", START, END) for customer in customers]
        answers = measure(engine, files, {}, measurements, meters, codes, customers)
        expected = sorted(customers & set(range(1, 400)))
        assert [each.customer for each in answers.counts] == expected
        assert [each.number for each in answers.quantities] == expected


def test_an_aggregation_runs_only_for_meters_that_need_it(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting different users looks at each of them: nobody pays for that who only adds up."""
    ran: list[tuple[str, str]] = []

    def watched(name: str, of: Aggregation) -> Aggregation:
        def run(events: ir.Table, meter: Meter) -> Quotient:
            ran.append((name, meter.id))
            return of(events, meter)

        return run

    table = {name: of if isinstance(of, Spans) else watched(name, of) for name, of in AGGREGATIONS.items()}
    monkeypatch.setattr(answer, "AGGREGATIONS", table)
    meters = (Meter("added", "sum"), Meter("users", "unique_count", unique_by="user"), Meter("mean", "average"))
    rows = [Row(1, number, meter=meter, dimensions={"user": "ann"}) for number, meter in enumerate((1, 2, 3))]
    measurements = [Measurement(1, 1, "added", START, END)]
    measured(engine, tmp_path, rows, measurements, *meters)
    assert ran == [("sum", "added")]
    ran.clear()
    measured(engine, tmp_path, rows, [*measurements, Measurement(2, 1, "users", START, END)], *meters)
    assert sorted(ran) == [("sum", "added"), ("unique_count", "users")]


def test_without_files_there_is_nothing(engine: Engine) -> None:
    measurements = [Measurement(1, 1, "m", START, END, by=("region",))]
    assert measure(engine, [], {}, measurements, {"m": Meter("m", "sum")}, {"m": 1}) == Measured([], [])


def test_no_measurements_still_count(engine: Engine, tmp_path: Path) -> None:
    answers = measured(engine, tmp_path, [Row(1, 0)], [], Meter("m", "sum"))
    assert answers == Measured([], [UsageCount(1, "m", landed=1, accepted=1, superseded=0, retracted=0, unpriced=1)])


METERS = {
    1: Meter("sum", "sum", filter={"a": ("x", "y")}),
    2: Meter("average", "average", keep="first", window="day"),
    3: Meter("latest", "latest", deduplicate_by="event_id"),
    4: Meter("unique", "unique_count", unique_by="a", window="hour"),
    5: Meter("max", "max", deduplicate_by="event_id", keep="first"),
    6: Meter("product", "sum", multiplier="n"),
}
NAMES = {meter.id: code for code, meter in METERS.items()}
ROWS = st.lists(
    st.builds(
        Row,
        batch=st.integers(1, 4),
        row=st.just(0),
        customer=st.integers(1, 2),
        meter=st.integers(1, 6),
        minute=st.sampled_from([0, 1, 59, 60, 22 * 60 + 59, 23 * 60, 24 * 60, 3 * 24 * 60]),
        value=st.decimals(-1000, 10**18 - 1, places=12),
        dimensions=st.fixed_dictionaries(
            {"n": st.sampled_from(["1", "0.5", "12.000001"])},
            optional={"a": st.sampled_from(["", "x", "y", "z"]), 'b "/': st.sampled_from(["x", "y"])},
        ),
        event_id=st.sampled_from(["1", "2", "3"]) | st.none(),
        retract=st.sampled_from([False, False, False, False, True]),
    ),
    max_size=30,
).map(lambda rows: [replace(row, row=place) for place, row in enumerate(rows)])
INSTANTS = st.integers(0, 4 * 24 * 60).map(lambda minute: START + timedelta(minutes=minute))
MEASUREMENTS = st.lists(
    st.builds(
        Measurement,
        number=st.just(0),
        customer=st.integers(1, 2),
        meter=st.sampled_from(sorted(NAMES)),
        start=INSTANTS | st.just(START),
        end=INSTANTS | st.just(END),
        by=st.sampled_from([(), ("a",), ("a", 'b "/'), ("missing",)]),
        matches=st.sampled_from([(), ({"a": "x"},), ({"a": "x", 'b "/': "y"}, {'b "/': "x"}, {"a": "x", 'b "/': "x"})]),
    ),
    max_size=8,
).map(lambda measurements: [replace(each, number=number) for number, each in enumerate(measurements)])


@examples(25)
@given(rows=ROWS, measurements=MEASUREMENTS, with_scopes=st.booleans())
def test_random_histories_measure_as_the_oracle_says(
    engine: Engine, *, rows: list[Row], measurements: list[Measurement], with_scopes: bool
) -> None:
    """Retractions, keep first, event ids, dimensions absent and empty, snapshots, cut points."""
    if with_scopes:
        rows = [replace(row, scope=1 + row.row % 2) if row.row % 3 else row for row in rows]
    deliveries = {1: [1, 2, 4], 2: [2, 3]} if with_scopes else {}
    with TemporaryDirectory() as folder:
        files = write_lake(Path(folder), rows)
        meters = {meter.id: meter for meter in METERS.values()}
        usage = measure(engine, files, deliveries, measurements, meters, NAMES, timeline=Timeline(BERLIN))
    expected = quantities(rows, measurements, METERS, deliveries, BERLIN)
    answers = {(each.number, frozenset(each.dimensions.items())): each for each in usage.quantities}
    assert len(answers) == len(usage.quantities)
    assert {key: each.events for key, each in answers.items()} == {key: events for key, (_, events) in expected.items()}
    for key, (exact, _) in expected.items():
        if measurements[key[0]].meter == "average":  # it need not end: 60 decimals
            assert abs(Fraction(answers[key].quantity) - exact) < Fraction(1, 10**60)
        else:
            assert Fraction(answers[key].quantity) == exact
    assert usage.counts == counts(rows, measurements, METERS, deliveries)
    assert all(each.landed == each.accepted + each.superseded + each.retracted for each in usage.counts)


def test_a_local_day_of_25_hours_is_one_window(engine: Engine, tmp_path: Path) -> None:
    """Berlin, 25 October 2026: 22:00 UTC on the 24th to 23:00 UTC on the 25th."""
    first = datetime(2026, 10, 24, 22, tzinfo=UTC)
    minutes = [round((first + timedelta(hours=hours) - START).total_seconds() / 60) for hours in (-1, 0, 24, 25)]
    rows = [Row(1, place, minute=minute) for place, minute in enumerate(minutes)]
    measurements = [Measurement(1, 1, "m", START, START + timedelta(days=365))]
    (quantity,) = measured(engine, tmp_path, rows, measurements, Meter("m", "max", window="day")).quantities
    assert (quantity.quantity, quantity.events) == (D(3), 4)
