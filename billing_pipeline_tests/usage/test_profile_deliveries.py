"""Keys repeated within one delivery, and what waits in quarantine."""

from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.usage.deduplicate import events
from billing_pipeline.usage.engine import Engine
from billing_pipeline.usage.expectations import Thresholds
from billing_pipeline.usage.profiles.cells import cells
from billing_pipeline.usage.profiles.deliveries import (
    duplicate_figures,
    negated_figures,
    quarantine_figures,
)
from billing_pipeline.usage.profiles.facts import Figure, MetersThen, PeriodBatch, Quarantined, UsageFacts
from billing_pipeline_tests.usage.lake_writer import Row, write_lake
from billing_pipeline_tests.usage.profile_case import AFTER, JANUARY, METERS, counts

PLAIN = PeriodBatch("logs", "a.csv", 9, 0, 9)


def facts_of(
    folder: Path,
    rows: list[Row],
    batch: PeriodBatch = PLAIN,
    meters: dict[int, Meter] = METERS,
    then: list[MetersThen] | None = None,
) -> UsageFacts:
    pairs = sorted({(row.customer, row.meter) for row in rows})
    return UsageFacts(
        JANUARY,
        AFTER,
        meters,
        then or [],
        write_lake(folder, rows),
        batches={row.batch: batch for row in rows},
        counts=counts(*((customer, meter, 9, 8, 1, 0, 0) for customer, meter in pairs)),
    )


def repeated(
    engine: Engine, folder: Path, rows: list[Row], batch: PeriodBatch = PLAIN, meters: dict[int, Meter] = METERS
) -> list[tuple[int, tuple[int, ...], str]]:
    facts = facts_of(folder, rows, batch, meters)
    return [(int(one.value), one.customers, one.subject) for one in duplicate_figures(engine, facts)]


def named(figures: list[Figure]) -> list[tuple[str, int, tuple[int, ...], int | None]]:
    """(figure, how many, customers, batch) of each."""
    return [(one.name, int(one.value), one.customers, one.batch) for one in figures]


def negated(engine: Engine, folder: Path, rows: list[Row], **more: object) -> list[tuple[int, int | None]]:
    """(how many, since which batch) of values below zero in the place of values above."""
    facts = facts_of(folder, rows, **more)  # type: ignore[arg-type]
    counted = cells(events(engine, facts.files, {}), facts, Thresholds())
    return [(int(one.value), one.batch) for one in negated_figures(engine, counted, facts)]


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


@pytest.mark.parametrize(
    ("aggregation", "values", "figure"),
    [
        ("sum", (30, 20), "duplicate_keys"),
        ("count", (30, 20), "duplicate_keys"),
        ("average", (30, 20), "duplicate_keys"),
        ("sum", (30, 30), "repeated_rows"),  # one row sent twice
        ("max", (30, 20), "repeated_rows"),  # nothing is added up
        ("latest", (30, 20), "repeated_rows"),
    ],
)
def test_rows_that_differ_hold_where_a_meter_adds_up(
    engine: Engine, tmp_path: Path, aggregation: str, values: tuple[int, ...], figure: str
) -> None:
    rows = [Row(3, place, value=Decimal(value)) for place, value in enumerate(values)]
    facts = facts_of(tmp_path, rows, meters={1: Meter("compute", aggregation)})
    assert named([*duplicate_figures(engine, facts)]) == [(figure, 1, (1,), 3)]


def test_rows_of_one_event_id_differ_in_anything(engine: Engine, tmp_path: Path) -> None:
    by_id = {1: Meter("compute", "sum", deduplicate_by="event_id")}
    rows = [Row(1, 0, event_id="a", dimensions={"region": "eu"}), Row(1, 1, event_id="a")]
    assert named([*duplicate_figures(engine, facts_of(tmp_path, rows, meters=by_id))]) == [
        ("duplicate_keys", 1, (1,), 1)
    ]


def test_event_ids_differ_where_the_timestamp_identifies(engine: Engine, tmp_path: Path) -> None:
    rows = [Row(1, 0, event_id="a"), Row(1, 1, event_id="b"), Row(1, 2)]
    assert named([*duplicate_figures(engine, facts_of(tmp_path, rows))]) == [("duplicate_keys", 2, (1,), 1)]


def test_what_is_reported_anew_after_it_was_taken_back_is_none(engine: Engine, tmp_path: Path) -> None:
    rows = [Row(1, 0, value=Decimal(30)), Row(1, 1, retract=True), Row(1, 2, value=Decimal(20))]
    assert named([*duplicate_figures(engine, facts_of(tmp_path, rows))]) == []


def test_a_value_below_zero_in_the_place_of_one_above(engine: Engine, tmp_path: Path) -> None:
    assert negated(engine, tmp_path, [Row(1, 0, value=Decimal(200)), Row(2, 0, value=Decimal(-50))]) == [(1, 2)]


@pytest.mark.parametrize(
    "values",
    [
        (200, -50, 150),  # mended
        (-200, -50),  # below zero from the first
        (-200, 50),
        (200, 50),
    ],
)
def test_other_restatements_are_what_they_say(engine: Engine, tmp_path: Path, values: tuple[int, ...]) -> None:
    rows = [Row(batch, 0, value=Decimal(value)) for batch, value in enumerate(values, start=1)]
    assert negated(engine, tmp_path, rows) == []


@pytest.mark.parametrize(
    "more",
    [
        {"batch": PeriodBatch("logs", "a.csv", 9, 0, 9, revised=True)},
        {"meters": {1: Meter("compute", "count")}},  # looks at no value
        {"meters": {1: Meter("compute", "latest")}},  # adds nothing up
        {"meters": {1: Meter("compute", "sum", keep="first")}},  # the one above counts
        {"meters": {1: Meter("compute", "sum", deduplicate_by="none")}},
    ],
)
def test_values_below_zero_that_take_nothing_away(engine: Engine, tmp_path: Path, more: dict[str, object]) -> None:
    rows = [Row(1, 0, value=Decimal(200)), Row(2, 0, value=Decimal(-50))]
    assert negated(engine, tmp_path, rows, **more) == []


def test_what_is_final_is_looked_at_under_the_meters_of_its_lock(engine: Engine, tmp_path: Path) -> None:
    """Of customer 1 the usage is final under the meter as it was; of customer 2 it is not."""
    single = {1: Meter("compute", "sum", deduplicate_by="none")}
    then = [MetersThen(frozenset({1}), METERS)]
    rows = [Row(1, place, customer, value=Decimal(9 - place)) for place, customer in enumerate((1, 1, 2, 2))]
    assert named([*duplicate_figures(engine, facts_of(tmp_path, rows, meters=single, then=then))]) == [
        ("duplicate_keys", 1, (1,), 1)
    ]
    rows = [Row(batch, 0, customer, value=Decimal(3 - 2 * batch)) for batch in (1, 2) for customer in (1, 2)]
    assert negated(engine, tmp_path, rows, meters=single, then=then) == [(1, 2)]


def test_where_nothing_was_superseded_nothing_is_read(engine: Engine) -> None:
    absent = write_lake(Path("/nowhere"), [])
    facts = UsageFacts(JANUARY, AFTER, METERS, files=absent, batches={1: PLAIN}, counts=counts((1, 1, 9, 9, 0, 0, 0)))
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
