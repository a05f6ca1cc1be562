"""Normalising: every row of a chunk is an event or in quarantine, for one reason, and none is both."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.catalog.source import Constant, EventMapping, Source
from billing_pipeline.core.errors import UsageError
from billing_pipeline.core.period import calendar
from billing_pipeline.usage.mapping import columns_of
from billing_pipeline.usage.normalize import Normalized, Normalizer, Registered
from billing_pipeline.usage.sources.chunk import BadRow, Chunk
from billing_pipeline.usage.sources.json_text import columns_of as text_columns

CALENDAR = calendar("Europe/Berlin", "month", date(2026, 1, 1))
METERS = {
    "gb": Meter("gb", "sum"),
    "seconds": Meter("seconds", "sum", multiplier="memory_gb"),
    "unique": Meter("unique", "sum", deduplicate_by="event_id"),
    "requests": Meter("requests", "count"),
    "jobs": Meter("jobs", "duration", session_by="job", multiplier="memory_gb"),
}
CODES = {"acme": 1, "beta": 2}
EVENT: dict[str, str] = {"customer": "acme", "meter": "gb", "timestamp": "2026-01-05T10:00:00Z", "value": "1"}
PLAIN = Source("plain", "csv")
SNAPSHOT = Source("costs", "csv", "snapshot", scope=("account", "month"))


def normalizer(source: Source = PLAIN, scopes: list[str] | None = None) -> Normalizer:
    given_codes = scopes if scopes is not None else []

    def scope_code(key: str) -> int:
        given_codes.append(key)
        return len(given_codes)

    registered = Registered(
        customers=pa.table(
            {
                "id": list(CODES),
                "code": pa.array(CODES.values(), pa.int32()),
                "bucket": pa.array([3, 4], pa.int16()),
            }
        ),
        meters=METERS,
        meter_codes={meter: code for code, meter in enumerate(METERS, start=1)},
        periods=list(CALENDAR.until(datetime(2026, 3, 15, tzinfo=UTC))),
        dimensions=["region"],
        scope_code=scope_code,
    )
    return Normalizer(columns_of(source), registered)


def chunk(*rows: dict[str, str]) -> Chunk:
    return Chunk(text_columns(rows), pa.array(range(1, len(rows) + 1), pa.int64()))


def normalized(*rows: dict[str, str], source: Source = PLAIN) -> Normalized:
    made = normalizer(source)
    try:
        return made(chunk(*rows))
    finally:
        made.close()


def codes(result: Normalized) -> dict[int, str]:
    return {row.row: row.code for row in result.quarantined}


def test_a_stop_needs_nothing_but_its_session() -> None:
    start = {**EVENT, "meter": "jobs", "phase": "start", "job": "a", "memory_gb": "0.5", "value": ""}
    stop = {**start, "phase": "stop", "memory_gb": ""}
    assert codes(normalized(start, stop)) == {}


def test_an_event_typed() -> None:
    (row,) = normalized({**EVENT, "customer": "beta", "region": "eu", "event_id": "7"}).table.to_pylist()
    assert row == {
        "customer": 2,
        "meter": 1,
        "timestamp": datetime(2026, 1, 5, 10, tzinfo=UTC),
        "value": Decimal(1),
        "event_id": "7",
        "retract": False,
        "row": 1,
        "scope": None,
        "bucket": 4,
        "period": date(2026, 1, 1),
        "revision": None,
        "dim_region": "eu",
    }


@pytest.mark.parametrize(
    ("timestamp", "period"),
    [
        ("2025-12-31T22:59:59.999999Z", None),  # the day before, in Berlin
        ("2025-12-31T23:00:00Z", date(2026, 1, 1)),
        ("2026-01-31T22:59:59.999999Z", date(2026, 1, 1)),
        ("2026-01-31T23:00:00Z", date(2026, 2, 1)),
        ("2026-03-31T21:59:59.999999Z", date(2026, 3, 1)),  # summer time by then
        ("2026-03-31T22:00:00Z", None),
    ],
)
def test_an_event_belongs_to_the_local_period_of_its_timestamp(timestamp: str, period: date | None) -> None:
    result = normalized({**EVENT, "timestamp": timestamp})
    assert result.table["period"].to_pylist() == ([period] if period else [])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"meter": "unique"}, "missing_event_id"),
        ({"meter": "unique", "event_id": ""}, "missing_event_id"),
        ({"meter": "seconds"}, "bad_multiplier"),
        ({"meter": "seconds", "memory_gb": "two"}, "bad_multiplier"),
        ({"meter": "seconds", "memory_gb": "0.1234567"}, "bad_multiplier"),
        ({"meter": "seconds", "memory_gb": "1e3"}, "bad_multiplier"),
        ({"meter": "jobs", "phase": "start", "memory_gb": "1"}, "missing_session"),
        ({"meter": "jobs", "phase": "pause", "job": "a", "memory_gb": "1"}, "bad_phase"),
        ({"meter": "jobs", "job": "a", "memory_gb": "1"}, "bad_phase"),
        ({"meter": "jobs", "phase": "start", "job": "a"}, "bad_multiplier"),
        ({"retract": "perhaps"}, "bad_retract"),
        ({"REGION": "eu"}, "dimension_case"),
        ({"customer": "nobody", "value": "NaN"}, "unknown_customer"),  # the first problem is the one that is named
    ],
)
def test_a_row_that_is_refused(changes: dict[str, str], code: str) -> None:
    result = normalized({**EVENT, **changes}, EVENT)
    assert codes(result) == {1: code}
    assert result.table["row"].to_pylist() == [2]


@pytest.mark.parametrize(
    "changes",
    [
        {"meter": "seconds", "memory_gb": "0.512000"},
        {"meter": "unique", "event_id": "7"},
        {"meter": "requests", "value": ""},
        {"retract": "1", "value": ""},
        {"region": "", "REGION": ""},  # a column without values is no dimension
    ],
)
def test_a_row_that_is_not(changes: dict[str, str]) -> None:
    assert not normalized({**EVENT, **changes}, EVENT).quarantined


def test_the_first_spelling_of_a_dimension_holds_for_the_chunks_after_it() -> None:
    made = normalizer()
    assert not made(chunk({**EVENT, "Zone": "a"})).quarantined
    assert codes(made(chunk({**EVENT, "zone": "a"}, EVENT))) == {1: "dimension_case"}
    made.close()


def test_scopes_are_coded_once_and_only_for_rows_that_are_events() -> None:
    keys: list[str] = []
    made = normalizer(SNAPSHOT, keys)
    scoped = {**EVENT, "account": "a", "month": "1"}
    result = made(
        chunk(scoped, {**scoped, "value": "x", "month": "2"}, {**scoped, "month": "3"}, {**scoped, "month": ""})
    )
    assert result.table["scope"].to_pylist() == [1, 2]
    assert codes(result) == {2: "bad_value", 4: "missing_scope"}
    assert made(chunk({**scoped, "month": "3"})).table["scope"].to_pylist() == [2]
    assert keys == ['{"account":"a","month":"1"}', '{"account":"a","month":"3"}']
    made.close()


def test_what_quarantine_keeps_is_the_whole_row() -> None:
    (row,) = normalized({**EVENT, "value": "1,5", "note": "é"}).quarantined
    assert row.raw == (
        '{"customer": "acme", "meter": "gb", "timestamp": "2026-01-05T10:00:00Z", "value": "1,5", "note": "é"}'
    )


def test_rows_that_could_not_be_read_are_quarantined_in_their_place() -> None:
    read = chunk({**EVENT, "value": "x"}, EVENT)
    bad = BadRow(2, "malformed_row", "…", "raw")
    result = normalizer()(Chunk(read.table, pa.array([1, 3], pa.int64()), (bad,)))
    assert [(row.row, row.code, row.parsed) for row in result.quarantined] == [
        (1, "bad_value", True),
        (2, "malformed_row", False),
    ]


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        (PLAIN, "timestamp"),
        (Source("s", "csv", event=EventMapping("customer", "meter", "ended", "value")), "ended"),
        (Source("s", "csv", event=EventMapping("customer", "meter", "customer", event_id="id")), "id"),
        (Source("s", "csv", event=EventMapping("customer", "meter", "customer", dimensions={"a": "b"})), "b"),
        (Source("s", "csv", "snapshot", EventMapping("customer", "meter", "value"), ("month",)), "month"),
        (Source("s", "focus"), "SubAccountId"),
    ],
)
def test_a_delivery_without_a_mapped_column_is_refused(source: Source, missing: str) -> None:
    with pytest.raises(UsageError, match=f"no column '{missing}'"):
        normalized({"customer": "acme", "meter": "gb", "value": "1"}, source=source)


def test_constants_need_no_column() -> None:
    mapping = EventMapping(Constant("beta"), Constant("gb"), "at", Constant("2"), {"cloud": Constant("aws")})
    (row,) = normalized({"at": EVENT["timestamp"]}, source=Source("s", "csv", event=mapping)).table.to_pylist()
    assert (row["customer"], row["value"], row["dim_cloud"]) == (2, Decimal(2), "aws")


FIELDS = {
    "customer": ["acme", "beta", "nobody", ""],
    "meter": ["gb", "seconds", "unique", "requests", "tb"],
    "timestamp": ["2026-01-05T10:00:00Z", "2026-02-05 10:00:00+01", "2026-01-05", "0001-01-01T00:00:00Z", ""],
    "value": ["1", "0.5", "1e2", "1e400", "NaN", ""],
    "event_id": ["", "7"],
    "retract": ["", "true", "x"],
    "memory_gb": ["", "2", "x"],
    "region": ["", "eu"],
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.sampled_from(values) for name, values in FIELDS.items()}), min_size=1, max_size=12
)
SHARED = normalizer()  # its engine is too dear for every example


@given(rows=ROWS)
def test_every_row_ends_in_exactly_one_place(rows: list[dict[str, str]]) -> None:
    result = SHARED(chunk(*rows))
    events: list[Any] = result.table["row"].to_pylist()
    assert sorted([*events, *(row.row for row in result.quarantined)]) == list(range(1, len(rows) + 1))


@given(rows=ROWS)
def test_what_becomes_of_a_row_does_not_depend_on_its_neighbours(rows: list[dict[str, str]]) -> None:
    together = codes(SHARED(chunk(*rows)))
    alone = {at: codes(SHARED(chunk(row))).get(1) for at, row in enumerate(rows, start=1)}
    assert together == {at: code for at, code in alone.items() if code}
