"""Of all reports of an event one counts: tables of histories, and random ones against an independent oracle."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.usage.deduplicate import deduplicate, events, grained, standing, status
from billing_pipeline.usage.engine import Engine
from billing_pipeline.usage.event import ROWS_PER_BATCH, LakeFile
from billing_pipeline_tests.examples import examples
from billing_pipeline_tests.usage.dedupe_oracle import key_of, statuses
from billing_pipeline_tests.usage.lake_writer import PERIOD, START, Row, write_file, write_lake

METERS = {
    1: Meter("latest", "sum"),
    2: Meter("first", "sum", keep="first"),
    3: Meter("latest-id", "sum", deduplicate_by="event_id"),
    4: Meter("first-id", "sum", deduplicate_by="event_id", keep="first"),
    5: Meter("each", "sum", deduplicate_by="none"),
}
SCOPES = {7: [1, 3], 8: [1]}  # the batches that delivered each snapshot scope
LETTER = {"accepted": "A", "superseded": "s", "retracted": "r"}


def accepted(engine: Engine, files: Sequence[LakeFile]) -> list[tuple[int, Decimal]]:
    """What :func:`deduplicate` keeps, with the fast path where there are no retractions."""
    reports = standing(events(engine, files, {}))
    winners = deduplicate(reports, METERS, retractions=any(file.retractions for file in files))
    return sorted((row["arrival"], row["value"]) for row in engine.fetch(winners).to_pylist())


def stated(engine: Engine, files: Sequence[LakeFile]) -> dict[int, str]:
    reports = standing(events(engine, files, {}))
    return {row["arrival"]: row["status"] for row in engine.fetch(status(reports, METERS)).to_pylist()}


# Each letter is a report of one event: e counts, r retracts. What becomes of each, if the latest or the first is kept:
HISTORIES = {
    "e": ("A", "A"),
    "ee": ("sA", "As"),
    "eee": ("ssA", "Ass"),
    "er": ("rr", "rr"),
    "r": ("r", "r"),  # a retraction without target counts as retracted
    "re": ("rA", "rA"),
    "rr": ("rr", "rr"),
    "eer": ("srr", "rsr"),  # only the live one is retracted; the other had lost before
    "ere": ("rrA", "rrA"),  # after a retraction the next report counts as the first
    "eree": ("rrsA", "rrAs"),
    "eerreer": ("srrrsrr", "rsrrrsr"),
    "eererree": ("srrrrrsA", "rsrrrrAs"),
    "eere": ("srrA", "rsrA"),  # the module's worked example
}


@pytest.mark.parametrize("retractions", [False, True], ids=["the fast path", "with retractions"])
@pytest.mark.parametrize("meter", [1, 2, 3, 4])  # to the fifth, reports of an event are events
def test_a_history(engine: Engine, tmp_path: Path, meter: int, *, retractions: bool) -> None:
    """Each history is another customer's, and all are looked at together: A accepted, s superseded, r retracted."""
    histories = [history for history in HISTORIES if ("r" in history) is retractions]
    rows = [
        # by event_id the timestamp does not identify, so that it may differ
        Row(batch, who, who, meter, minute=batch * (meter > 2), event_id="x", retract=report == "r")
        for who, history in enumerate(histories)
        for batch, report in enumerate(history, start=1)
    ]
    files = write_lake(tmp_path, rows)
    found = stated(engine, files)
    became = {
        history: "".join(LETTER[found[row.arrival]] for row in rows if row.customer == who)
        for who, history in enumerate(histories)
    }
    assert became == {history: HISTORIES[history][METERS[meter].keep == "first"] for history in histories}
    kept = [arrival for arrival, _ in accepted(engine, files)]
    assert kept == sorted(arrival for arrival, letter in found.items() if letter == "accepted")


def test_each_report_is_an_event_where_nothing_identifies_it(engine: Engine, tmp_path: Path) -> None:
    """30 and 20 of one instant are 50; what was sent before the meter said so may hold a retraction, which is none."""
    rows = [Row(1, place, meter=5, value=Decimal(value)) for place, value in enumerate((30, 20, 20))]
    rows.append(Row(2, 0, meter=5, retract=True))
    files = write_lake(tmp_path, rows)
    assert [value for _, value in accepted(engine, files)] == [30, 20, 20]
    assert "".join(LETTER[state] for _, state in sorted(stated(engine, files).items())) == "AAAr"


def test_timestamps_within_a_grain_are_of_one_event(engine: Engine, tmp_path: Path) -> None:
    """Minutes after the start of January, which begins at 05:00 UTC here; a UTC day cannot begin before it."""
    meters = {6: Meter("hourly", "sum", identity_grain="hour"), 7: Meter("daily", "sum", identity_grain="day")}
    minutes = {6: (305, 359, 360), 7: (305, 1439, 1440)}
    rows = [
        Row(1, 10 * meter + place, meter=meter, minute=minute, value=Decimal(place))
        for meter, of_meter in minutes.items()
        for place, minute in enumerate(of_meter)
    ]
    reports = events(engine, write_lake(tmp_path, rows), {})
    counted = grained(reports, meters, {PERIOD: START + timedelta(minutes=300)})
    found = engine.fetch(deduplicate(counted, meters).order_by("arrival")).to_pylist()
    assert [(row["meter"], (row["timestamp"] - START) // timedelta(minutes=1), row["value"]) for row in found] == [
        (6, 300, 1),
        (6, 360, 2),
        (7, 300, 1),
        (7, 1440, 2),
    ]


def test_a_batch_that_another_replaces_as_a_whole_counts_no_more(engine: Engine, tmp_path: Path) -> None:
    files = write_lake(tmp_path, [Row(1, 0, meter=5, value=Decimal(30)), Row(2, 0, meter=5, value=Decimal(31))])
    reports = standing(events(engine, files, {-1: [1, 2]}))
    assert engine.fetch(deduplicate(reports, METERS))["value"].to_pylist() == [31]


def test_a_correction_replaces_the_event_it_corrects(engine: Engine, tmp_path: Path) -> None:
    """Amberflo, invoice grace period: same timestamp and dimensions, the latest received wins."""
    first = Row(1, 0, value=Decimal(10), dimensions={"region": "eu"})
    other = Row(1, 1, value=Decimal(7), dimensions={"region": "us"})
    fixed = Row(2, 0, value=Decimal(12), dimensions={"region": "eu"})
    found = accepted(engine, write_lake(tmp_path, [first, other, fixed]))
    assert found == [(other.arrival, Decimal(7)), (fixed.arrival, Decimal(12))]


def test_an_absent_dimension_is_the_same_as_an_empty_one(engine: Engine, tmp_path: Path) -> None:
    """One file has no column of the dimension at all, one has it empty."""
    rows = [Row(1, 0), Row(2, 0, dimensions={"region": ""}), Row(2, 1, dimensions={"region": "eu"})]
    assert [arrival for arrival, _ in accepted(engine, write_lake(tmp_path, rows))] == [
        rows[1].arrival,
        rows[2].arrival,
    ]


@pytest.mark.parametrize(
    "name", ['quo"te', "it's", "white space", "sla/sh", "größe", "用量", "a.b", "key_timestamp", "%s;--"]
)
def test_dimensions_have_any_name(engine: Engine, tmp_path: Path, name: str) -> None:
    rows = [Row(1, 0, dimensions={name: "a"}), Row(1, 1, dimensions={name: "b"}), Row(2, 0, dimensions={name: "a"})]
    rows += [replace(row, meter=4, event_id=str(row.row)) for row in rows]
    rows = [replace(row, row=place) for place, row in enumerate(rows)]
    found = [arrival for arrival, _ in accepted(engine, write_lake(tmp_path, rows))]
    assert found == sorted(arrival for arrival, state in statuses(rows, METERS).items() if state == "accepted")


def test_an_event_id_identifies_within_a_period_only(engine: Engine, tmp_path: Path) -> None:
    january = write_file(tmp_path, [Row(1, 0, meter=3, event_id="x")])
    february = write_file(tmp_path, [Row(2, 0, meter=3, event_id="x", minute=50_000)], date(2026, 2, 1))
    assert len(accepted(engine, [january, february])) == 2


def test_a_newer_delivery_replaces_the_older_one_and_what_vanished_from_it(engine: Engine, tmp_path: Path) -> None:
    files = write_lake(
        tmp_path,
        [
            Row(1, 0, minute=1, scope=7),
            Row(1, 1, minute=2, scope=7),
            Row(1, 2, minute=3, scope=8),  # another scope
            Row(2, 0, minute=4),  # no snapshot
            Row(3, 0, minute=2, scope=7),
        ],
    )

    def minutes(through: int) -> list[int]:
        deliveries = {scope: [batch for batch in batches if batch <= through] for scope, batches in SCOPES.items()}
        reports = events(engine, [file for file in files if file.batch <= through], deliveries)
        table = engine.fetch(deduplicate(standing(reports), METERS))
        return sorted(row["timestamp"].minute for row in table.to_pylist())

    assert minutes(3) == [2, 3, 4]
    assert minutes(2) == [1, 2, 3, 4]  # as of before the third batch
    assert minutes(1) == [1, 2, 3]


def test_an_empty_delivery_replaces_everything_of_its_scope(engine: Engine, tmp_path: Path) -> None:
    files = write_lake(tmp_path, [Row(1, 0, scope=7), Row(2, 0, minute=1, scope=8)])
    reports = standing(events(engine, files, {7: [1, 5], 8: [2]}))
    assert engine.fetch(deduplicate(reports, METERS))["arrival"].to_pylist() == [2 * ROWS_PER_BATCH]


ROWS = st.lists(
    st.builds(
        Row,
        batch=st.integers(1, 4),
        row=st.just(0),
        customer=st.integers(1, 2),
        meter=st.integers(1, 5),
        minute=st.integers(0, 2),
        value=st.decimals(-5, 5, places=3),
        dimensions=st.dictionaries(st.sampled_from(["a", "b c"]), st.sampled_from(["", "x", "y"])),
        event_id=st.sampled_from(["1", "2", "3"]) | st.none(),
        retract=st.sampled_from([False, False, False, True]),
    ),
    max_size=25,
).map(lambda rows: [replace(row, row=place) for place, row in enumerate(rows)])


@examples(40)
@given(rows=ROWS, before=st.none() | st.integers(1, 5), may_retract=st.booleans())
def test_every_report_ends_as_the_oracle_says(
    engine: Engine, *, rows: list[Row], before: int | None, may_retract: bool
) -> None:
    """In any grouping into batches, as of any batch, with and without the fast path."""
    rows = [replace(row, retract=row.retract and may_retract) for row in rows if before is None or row.batch < before]
    expected = statuses(rows, METERS)
    with TemporaryDirectory() as folder:
        files = write_lake(Path(folder), rows)
        assert stated(engine, files) == expected
        values = {row.arrival: row.value for row in rows}
        kept = sorted((arrival, values[arrival]) for arrival, state in expected.items() if state == "accepted")
        assert accepted(engine, files) == kept


@examples(10)
@given(rows=ROWS, data=st.data())
def test_how_a_batch_is_spread_over_files_does_not_matter(engine: Engine, rows: list[Row], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        whole = write_lake(Path(folder), rows)
        parts = {row: data.draw(st.integers(0, 2)) for row in range(len(rows))}
        spread = [
            file
            for part in range(3)
            for file in write_lake(Path(folder), [row for row in rows if parts[row.row] == part])
        ]
        assert accepted(engine, whole) == accepted(engine, data.draw(st.permutations(spread)))


@given(rows=ROWS)
def test_the_oracle_accepts_at_most_one_report_of_each_event(rows: list[Row]) -> None:
    result = statuses(rows, METERS)
    kept = [key_of(row, METERS[row.meter]) for row in rows if result[row.arrival] == "accepted"]
    assert len(kept) == len(set(kept))
    assert result.keys() == {row.arrival for row in rows}
