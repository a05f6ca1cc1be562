"""Keys repeated within one delivery, and what waits in quarantine."""

from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.usage.engine import Engine
from billing_pipeline.usage.profiles.deliveries import duplicate_figures, quarantine_figures
from billing_pipeline.usage.profiles.facts import PeriodBatch, Quarantined, UsageFacts
from billing_pipeline_tests.usage.lake_writer import Row, write_lake
from billing_pipeline_tests.usage.profile_case import AFTER, JANUARY, METERS, counts

PLAIN = PeriodBatch("logs", "a.csv", 9, 0, 9)


def repeated(
    engine: Engine, folder: Path, rows: list[Row], batch: PeriodBatch = PLAIN, meters: dict[int, Meter] = METERS
) -> list[tuple[int, tuple[int, ...], str]]:
    facts = UsageFacts(
        JANUARY,
        AFTER,
        meters,
        write_lake(folder, rows),
        batches={row.batch: batch for row in rows},
        counts=counts(*((one, 1, 9, 8, 1, 0, 0) for one in sorted({row.customer for row in rows}))),
    )
    return [(int(one.value), one.customers, one.subject) for one in duplicate_figures(engine, facts)]


def test_the_same_key_twice_in_one_delivery(engine: Engine, tmp_path: Path) -> None:
    rows = [Row(1, place, customer=customer) for place, customer in enumerate((1, 1, 2, 2, 2))]
    assert repeated(engine, tmp_path, rows) == [(3, (1, 2), "batch 1 of logs (a.csv)")]


def test_other_dimensions_are_another_event(engine: Engine, tmp_path: Path) -> None:
    rows = [Row(1, 1, dimensions={"region": "eu"}), Row(1, 2, dimensions={"region": "us"}), Row(1, 3)]
    assert repeated(engine, tmp_path, rows) == []


def test_a_correction_in_another_delivery_is_none(engine: Engine, tmp_path: Path) -> None:
    assert repeated(engine, tmp_path, [Row(1, 1), Row(2, 1)]) == []


def test_taking_an_event_back_is_none(engine: Engine, tmp_path: Path) -> None:
    assert repeated(engine, tmp_path, [Row(1, 1), Row(1, 2, retract=True)]) == []


@pytest.mark.parametrize(("minute", "expected"), [(0, 1), (5, 1)])
def test_event_ids_identify_where_the_meter_says_so(engine: Engine, tmp_path: Path, minute: int, expected: int) -> None:
    by_id = {1: Meter("compute", "sum", deduplicate_by="event_id")}
    rows = [Row(1, 1, event_id="a"), Row(1, 2, event_id="a", minute=minute), Row(1, 3, event_id="b")]
    assert [figure[0] for figure in repeated(engine, tmp_path, rows, meters=by_id)] == [expected]


@pytest.mark.parametrize(
    "batch", [PeriodBatch("logs", "a.csv", 9, 0, 9, revised=True), PeriodBatch("cur", "a.csv", 9, 0, 9, snapshot=True)]
)
def test_sources_that_order_their_reports_or_were_checked_at_the_door(
    engine: Engine, tmp_path: Path, batch: PeriodBatch
) -> None:
    assert repeated(engine, tmp_path, [Row(1, 1), Row(1, 2)], batch) == []


def test_where_nothing_was_superseded_nothing_is_read(engine: Engine) -> None:
    absent = write_lake(Path("/nowhere"), [])
    facts = UsageFacts(JANUARY, AFTER, METERS, absent, batches={1: PLAIN}, counts=counts((1, 1, 9, 9, 0, 0, 0)))
    assert list(duplicate_figures(engine, facts)) == []


@pytest.mark.parametrize(
    ("rows", "waiting", "percent"), [(1000, 10, "1.0"), (1000, 15, "1.5"), (3, 1, "33.3"), (5, 0, "0.0")]
)
def test_quarantine_in_percent(rows: int, waiting: int, percent: str) -> None:
    silent = Quarantined("silent", 0, 0)
    facts = UsageFacts(JANUARY, AFTER, quarantined=[Quarantined("logs", rows, waiting, (3,), 2), silent])
    (figure,) = quarantine_figures(facts)
    assert (figure.value, figure.customers, figure.batch) == (Decimal(percent), (3,), 2)
    assert (figure.subject, figure.note) == ("source logs", f"{waiting} of {rows} rows wait")
