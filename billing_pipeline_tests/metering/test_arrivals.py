"""Arrivals: at every batch their steps add up to what counts by then, wherever one begins to look."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.arrivals import Combination, arrivals
from billing_pipeline.metering.measurement import NO_NUMBER, Measurement, Step
from billing_pipeline.usage.engine import Engine
from billing_pipeline.usage.event import ROWS_PER_BATCH
from billing_pipeline_tests.metering import measure_oracle
from billing_pipeline_tests.usage.lake_writer import END, PERIOD, START, Row, write_lake

D = Decimal
METERS = (
    Meter("latest", "sum", filter={"region": ("eu", "us", "")}),
    Meter("first", "sum", keep="first"),
    Meter("identified", "count", deduplicate_by="event_id", filter={"region": ("eu", "")}),
    Meter("each", "sum", deduplicate_by="none"),
)
CODES = {meter.id: code for code, meter in enumerate(METERS, 1)}
BY_CODE = dict(enumerate(METERS, 1))
HALF = START.replace(minute=2)
MEASUREMENTS = [
    Measurement(number, customer, meter.id, start, end, by=("region",), matches=({"region": "eu"},), needs="events")
    for number, (customer, meter, start, end) in enumerate(
        (customer, meter, *stretch)
        for customer in (1, 2)
        for meter in METERS
        for stretch in ((START, HALF), (HALF, END))
    )
]
Deliveries = Mapping[int, Sequence[int]]


def steps(
    engine: Engine, rows: Sequence[Row], deliveries: Deliveries, after: int = 0, *meters: Meter
) -> dict[tuple[int, Combination], list[Step]]:
    """What arrived after a batch, for all measurements."""
    with TemporaryDirectory() as folder:
        files = write_lake(Path(folder), rows)
        asked = [(measurement, after) for measurement in MEASUREMENTS]
        by_id = {meter.id: meter for meter in meters or METERS}
        found = arrivals(engine, files, deliveries, asked, by_id, CODES, {PERIOD: START})
        return {key: list(same) for key, same in found.items()}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Row], Deliveries]:
    """A few batches, some of them deliveries of a snapshot, about a few events."""
    rows: list[Row] = []
    batches = draw(st.integers(1, 4))
    scoped = [batch for batch in range(1, batches + 1) if draw(st.booleans())]
    for batch in range(1, batches + 1):
        for place in range(draw(st.integers(1, 5))):
            code = draw(st.sampled_from([*BY_CODE]))
            rows.append(
                Row(
                    batch,
                    place + 1,
                    customer=draw(st.sampled_from([1, 2])),
                    meter=code,
                    minute=draw(st.sampled_from([0, 1, 2])),
                    value=draw(st.integers(-3, 9).map(D)),
                    dimensions={"region": draw(st.sampled_from(["", "eu", "us"]))},
                    event_id=draw(st.sampled_from([None, "a", "b"])),
                    retract=BY_CODE[code].deduplicate_by != "none" and draw(st.integers(0, 4)) == 0,
                    scope=1 if batch in scoped and draw(st.booleans()) else None,
                )
            )
    return rows, {1: scoped} if scoped else {}


@given(histories())
def test_at_every_batch_the_steps_add_up_to_what_counts_by_then(
    engine: Engine, history: tuple[list[Row], Deliveries]
) -> None:
    rows, deliveries = history
    found = steps(engine, rows, deliveries)
    for batch in sorted({row.batch for row in rows}):
        known = [row for row in rows if row.batch <= batch]
        by_then = {scope: [one for one in some if one <= batch] for scope, some in deliveries.items()}
        wanted = {
            key: quantity
            for key, (quantity, _) in measure_oracle.quantities(
                known, MEASUREMENTS, BY_CODE, by_then, ZoneInfo("UTC")
            ).items()
            if quantity
        }
        reached: dict[tuple[int, frozenset[tuple[str, str]]], Fraction] = defaultdict(Fraction)
        for (number, combination), same in found.items():
            for step in same:
                if step.arrival < (batch + 1) * ROWS_PER_BATCH:
                    reached[number, frozenset(combination)] += Fraction(step.change)
        assert {key: quantity for key, quantity in reached.items() if quantity} == wanted


@given(histories(), st.integers(0, 4))
def test_where_one_begins_to_look_changes_no_step(
    engine: Engine, history: tuple[list[Row], Deliveries], after: int
) -> None:
    rows, deliveries = history
    later = {
        key: some
        for key, same in steps(engine, rows, deliveries).items()
        if (some := [step for step in same if step.arrival >= (after + 1) * ROWS_PER_BATCH])
    }
    assert steps(engine, rows, deliveries, after) == later


def test_what_is_taken_back_is_named_by_its_own_arrival(engine: Engine) -> None:
    """10, restated as 12, then taken back; the loser of one window is in it, too."""
    rows = [Row(1, 1, value=D(10)), Row(1, 2, value=D(12)), Row(2, 1, retract=True)]
    (same,) = steps(engine, rows, {}).values()
    first, second, third = (row.arrival for row in rows)
    assert same == [
        Step(first, first, D(10), counts=True),
        Step(second, first, D(10), counts=False),
        Step(second, second, D(12), counts=True),
        Step(third, second, D(12), counts=False),
    ]


def test_a_batch_in_the_place_of_another_takes_it_back_whole(engine: Engine) -> None:
    rows = [Row(1, 1, meter=4, value=D(10)), Row(2, 1, meter=4, minute=1, value=D(7))]
    (same,) = steps(engine, rows, {-1: [1, 2]}).values()
    assert [(step.arrival // ROWS_PER_BATCH, step.change) for step in same] == [(1, D(10)), (2, D(-10)), (2, D(7))]


@pytest.mark.parametrize(("text", "value"), [("2.5", D("25.0")), ("x", NO_NUMBER), ("", NO_NUMBER)])
def test_a_multiplier_multiplies_or_says_that_it_cannot(engine: Engine, text: str, value: Decimal) -> None:
    meters = [replace(METERS[0], multiplier="gb"), *METERS[1:]]
    ((step,),) = steps(engine, [Row(1, 1, value=D(10), dimensions={"gb": text})], {}, 0, *meters).values()
    assert step.value == value or (step.value.is_nan() and value.is_nan())
