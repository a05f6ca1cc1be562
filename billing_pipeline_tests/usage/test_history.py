"""Every report of an event, and which one won."""

from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.usage.engine import Engine
from billing_pipeline.usage.history import history
from billing_pipeline_tests.usage.lake_writer import START, Row, write_lake

EU, US = {"region": "eu"}, {"region": "us"}
ROWS = [
    Row(1, 0, value=Decimal(1), dimensions=EU),
    Row(1, 1, value=Decimal(2), dimensions=US),
    Row(2, 5, value=Decimal(3), dimensions=EU, event_id="x"),
    Row(3, 0, value=Decimal(4), dimensions=EU, retract=True),
    Row(4, 0, value=Decimal(5), dimensions=EU),
    Row(4, 1, minute=9, value=Decimal(6), dimensions=EU, event_id="x"),
    Row(5, 0, customer=2, value=Decimal(7), dimensions=EU),
    Row(5, 1, meter=2, value=Decimal(8), dimensions=EU),
    Row(6, 0, value=Decimal(9)),
]


@pytest.mark.parametrize(
    ("dimensions", "story"),
    [
        (EU, [(1, 0, "superseded"), (2, 5, "retracted"), (3, 0, "retracted"), (4, 0, "accepted")]),
        (US, [(1, 1, "accepted")]),
        ({}, [(6, 0, "accepted")]),
        ({"region": ""}, [(6, 0, "accepted")]),  # empty is absent
        ({"size": ""} | US, [(1, 1, "accepted")]),
        ({"size": "xl"} | US, []),
    ],
)
def test_the_reports_of_one_event(
    engine: Engine, tmp_path: Path, dimensions: dict[str, str], story: list[tuple[int, int, str]]
) -> None:
    files = write_lake(tmp_path, ROWS)
    found = history(engine, files, {}, 1, (1, Meter("m", "sum")), timestamp=START, dimensions=dimensions)
    assert [(report.batch, report.row, report.status) for report in found] == story


def test_without_dimensions_all_events_of_the_instant_are_told(engine: Engine, tmp_path: Path) -> None:
    found = history(engine, write_lake(tmp_path, ROWS), {}, 1, (1, Meter("m", "sum")), timestamp=START)
    assert [(report.value, report.dimensions) for report in found] == [
        (Decimal(1), EU),
        (Decimal(2), US),
        (Decimal(3), EU),
        (Decimal(4), EU),
        (Decimal(5), EU),
        (Decimal(9), {}),
    ]


def test_by_event_id_the_other_reports_are_found_at_other_instants(engine: Engine, tmp_path: Path) -> None:
    meter = 1, Meter("m", "sum", deduplicate_by="event_id")
    files = write_lake(tmp_path, ROWS)
    by_id = history(engine, files, {}, 1, meter, event_id="x")
    assert [(report.batch, report.status) for report in by_id] == [(2, "superseded"), (4, "accepted")]
    by_instant = history(engine, files, {}, 1, meter, timestamp=ROWS[5].timestamp)
    assert by_instant == by_id


def test_a_replaced_delivery_is_told_as_superseded(engine: Engine, tmp_path: Path) -> None:
    files = write_lake(tmp_path, [Row(1, 0, scope=7), Row(2, 0, minute=1, scope=7)])
    (report,) = history(engine, files, {7: [1, 2]}, 1, (1, Meter("m", "sum")), timestamp=START)
    assert (report.batch, report.status) == (1, "superseded")
