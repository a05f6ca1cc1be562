"""What prices of single events are given: the values in order, or the sum of the amounts that events carry."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering import event_values
from billing_pipeline.metering.measure import Measurement, Quantity, measure
from billing_pipeline.usage import engine as engine_module
from billing_pipeline.usage.engine import Engine
from billing_pipeline_tests.usage.lake_writer import END, START, Row, write_lake

D = Decimal
PAYMENTS = Meter("payments", "sum")
ASKED = Measurement(1, 1, "payments", START, END, needs="events")
ROWS = [
    Row(2, 0, minute=5, value=D("20.5"), dimensions={"region": "eu"}),
    Row(1, 7, minute=5, value=D(500), dimensions={"region": "us"}),  # received before
    Row(1, 3, minute=1, value=D("-3")),
    Row(3, 1, minute=9, value=D("0.000000000001"), dimensions={"region": "eu"}),
    Row(3, 2, minute=9, value=D(7), dimensions={"region": "us"}),
    Row(4, 0, minute=9, value=D(8), dimensions={"region": "us"}),  # in its place
    Row(4, 1, minute=1, retract=True, dimensions={"region": "gone"}),
]


def answers(engine: Engine, folder: Path, rows: list[Row], meter: Meter, *measurements: Measurement) -> list[Quantity]:
    return measure(engine, write_lake(folder, rows), {}, measurements, {meter.id: meter}, {meter.id: 1}).quantities


def test_values_come_in_the_order_of_timestamp_and_arrival(engine: Engine, tmp_path: Path) -> None:
    (quantity,) = answers(engine, tmp_path, ROWS, PAYMENTS, ASKED)
    assert quantity.measures == (D("-3"), D(500), D("20.5"), D("1E-12"), D(8))
    assert (quantity.quantity, quantity.events) == (D("525.500000000001"), 5)


def test_values_are_those_of_the_group(engine: Engine, tmp_path: Path) -> None:
    by_region = replace(ASKED, by=("region",), matches=({"region": "eu"},))
    groups = answers(engine, tmp_path, ROWS, PAYMENTS, by_region)
    assert {quantity.dimensions.get("region"): quantity.measures for quantity in groups} == {
        "eu": (D("20.5"), D("1E-12")),
        None: (D("-3"), D(500), D(8)),
    }


def test_values_at_a_cut_are_the_first_ones(engine: Engine, tmp_path: Path) -> None:
    cut = replace(ASKED, number=2, end=START + timedelta(minutes=9))
    whole, part = answers(engine, tmp_path, ROWS, PAYMENTS, ASKED, cut)
    assert whole.measures is not None
    assert part.measures == whole.measures[: part.events] == (D("-3"), D(500), D("20.5"))


def test_values_are_filtered_and_multiplied(engine: Engine, tmp_path: Path) -> None:
    meter = replace(PAYMENTS, multiplier="times", filter={"region": ("eu",)})
    rows = [replace(row, dimensions={**row.dimensions, "times": "1.5"}) for row in ROWS if not row.retract]
    (quantity,) = answers(engine, tmp_path, rows, meter, ASKED)
    assert quantity.measures == (D("30.75"), D("1.5E-12"))


def test_values_are_fetched_bit_by_bit(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks, over two groups, with values forgotten in between."""
    monkeypatch.setattr(engine_module, "_STREAMED", 2)
    monkeypatch.setattr(event_values, "_FEW", 3)
    kinds = [(place, D(place % 5), {"n": str(place % 2)}) for place in range(50)]
    rows = [Row(1, place, minute=99 - place, value=value, dimensions=of) for place, value, of in kinds]
    first, second = answers(engine, tmp_path, rows, PAYMENTS, replace(ASKED, by=("n",)))
    assert first.measures == tuple(D(place % 5) for place in range(48, -1, -2))
    assert second.measures == tuple(D(place % 5) for place in range(49, -1, -2))


def test_amounts_are_added(engine: Engine, tmp_path: Path) -> None:
    costs = ["3.50", "0.125", "-1", "+2.000000000000000", "999999999999999999.999999999999"]
    rows = [Row(1, place, minute=place, dimensions={"cost": cost}) for place, cost in enumerate(costs)]
    (quantity,) = answers(engine, tmp_path, rows, PAYMENTS, replace(ASKED, needs="amounts", amount_field="cost"))
    assert quantity.measures == (D("1000000000000000004.624999999999"),)
    assert (quantity.quantity, quantity.events) == (D(5), 5)


@pytest.mark.parametrize("cost", [None, "", "three", "1e3", "0.0000000000001", "1,5", "1234567890123456789"])
def test_an_amount_that_cannot_be_read_leaves_none(engine: Engine, tmp_path: Path, cost: str | None) -> None:
    rows = [Row(1, 0, dimensions={"cost": "1", "region": "eu"}), Row(1, 1, dimensions={"region": "us"})]
    rows.append(Row(1, 2, minute=2, dimensions={"region": "us"} | ({"cost": cost} if cost is not None else {})))
    measurement = replace(ASKED, by=("region",), needs="amounts", amount_field="cost")
    assert [quantity.measures for quantity in answers(engine, tmp_path, rows, PAYMENTS, measurement)] == [(D(1),), None]


def test_a_price_of_quantities_is_given_none(engine: Engine, tmp_path: Path) -> None:
    (quantity,) = answers(engine, tmp_path, ROWS, PAYMENTS, replace(ASKED, needs="quantity"))
    assert quantity.measures is None
