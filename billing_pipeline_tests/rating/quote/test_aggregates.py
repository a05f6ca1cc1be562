"""Quoted events become one quantity by the rules of metering."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.metering.aggregations import AGGREGATIONS
from billing_pipeline.rating.quote.aggregates import AGGREGATES
from billing_pipeline.rating.quote.quote import quote

D = Decimal
Event = dict[str, Any]
UNIT = {"model": "per_unit", "unit_amount": "1"}


def at(instant: str, value: str | None = None, **dimensions: str) -> Event:
    event: Event = {"timestamp": f"2026-01-{instant}:00Z", "dimensions": dimensions}
    return event if value is None else event | {"value": value}


def quantity(meter: dict[str, Any], events: list[Event], **more: str) -> Decimal:
    result = quote({"meter": meter, "price": UNIT, "events": events, **more})
    assert "error" not in result, result
    return D(str(result["quantity"]))


@pytest.mark.parametrize(
    ("meter", "events", "expected"),
    [
        *(({"aggregation": name}, [], "0") for name in AGGREGATES if name not in {"unique_count", "duration"}),
        ({"aggregation": "sum"}, [{"value": "1.5"}, {"value": "-0.5"}], "1"),
        (
            {"aggregation": "sum", "multiplier": "gb"},
            [{"value": "2", "dimensions": {"gb": "0.5"}}, {"value": "3", "dimensions": {"gb": "2"}}],
            "7",
        ),
        (
            {"aggregation": "max", "multiplier": "gb"},
            [{"value": "2", "dimensions": {"gb": "2"}}, {"value": "3", "dimensions": {"gb": "1"}}],
            "4",
        ),
        (
            {"aggregation": "sum", "filter": {"region": ["eu", "us"]}},
            [
                {"value": "1", "dimensions": {"region": "eu"}},
                {"value": "2", "dimensions": {"region": "ap"}},
                {"value": "4"},
            ],
            "1",
        ),
        (
            {"aggregation": "sum", "convert": {"divide_by": "1000", "round": "up"}},
            [{"value": "600"}, {"value": "600"}],
            "2",
        ),
        ({"aggregation": "count"}, [{}, {"value": "0"}], "2"),
        ({"aggregation": "max"}, [{"value": "-3"}, {"value": "-5"}], "-3"),
        ({"aggregation": "min"}, [{"value": "3"}, {"value": "5"}], "3"),
        ({"aggregation": "average"}, [{"value": "1"}, {"value": "2"}], "1.5"),
        ({"aggregation": "average"}, [{"value": "1"}, {"value": "1"}, {"value": "2"}], "1." + "3" * 60),
        ({"aggregation": "latest"}, [at("02T00:00", "5"), at("01T00:00", "7")], "5"),
        ({"aggregation": "latest"}, [at("01T00:00", "5", a="1"), at("01T00:00", "7", a="2")], "7"),  # then arrival
        ({"aggregation": "latest"}, [{"value": "5"}, {"value": "7"}], "7"),
        (
            {"aggregation": "unique_count", "unique_by": "f"},
            [{"dimensions": {"f": "a"}}, {"dimensions": {"f": "a"}}, {}, {"dimensions": {"f": ""}}],
            "1",
        ),
        # In each hour or day, then added: the hourly maximum, the daily unique count.
        (
            {"aggregation": "max", "window": "hour"},
            [at("01T10:00", "3"), at("01T10:59", "5"), at("01T11:00", "2")],
            "7",
        ),
        ({"aggregation": "max", "window": "day"}, [at("01T10:00", "3"), at("01T23:59", "5"), at("02T00:00", "2")], "7"),
        (
            {"aggregation": "unique_count", "unique_by": "f", "window": "day"},
            [at("01T10:00", f="a"), at("01T11:00", f="a"), at("02T10:00", f="a")],
            "2",
        ),
        ({"aggregation": "sum", "window": "hour"}, [at("01T10:00", "3"), at("01T11:00", "2")], "5"),
        # A level stands until the next one, the last to the end of the month; others are levels of their own.
        ({"aggregation": "weighted_sum"}, [at("31T00:00", "2")], "48"),
        ({"aggregation": "weighted_sum"}, [at("31T12:00", "0"), at("31T00:00", "2")], "24"),
        ({"aggregation": "weighted_sum"}, [at("31T00:00", "2", disk="a"), at("31T12:00", "4", disk="b")], "96"),
        ({"aggregation": "weighted_sum"}, [at("31T23:59", "1")], "0.01" + "6" * 57 + "7"),
        # Starts and stops pair by their key; an open session runs on, a stop without its start waits.
        (
            {"aggregation": "duration", "session_by": "job"},
            [at("01T00:00", job="a", phase="start"), at("01T00:01", job="a", phase="stop")],
            "60",
        ),
        (
            {"aggregation": "duration", "session_by": "job"},
            [at("01T00:01", job="a", phase="stop"), at("01T00:00", job="a", phase="start")],
            "60",
        ),
        (
            {"aggregation": "duration", "session_by": "job"},
            [
                at("01T00:00", job="a", phase="start"),
                at("01T00:01", job="b", phase="stop"),
                at("01T00:02", job="a", phase="stop"),
            ],
            "120",
        ),
        ({"aggregation": "duration", "session_by": "job"}, [at("31T23:00", job="a", phase="start")], "3600"),
        (
            {"aggregation": "duration", "session_by": "job", "max_session": "2 hours"},
            [at("31T00:00", job="a", phase="start")],
            "7200",
        ),
        (
            {"aggregation": "duration", "session_by": "job", "multiplier": "gb"},
            [at("01T00:00", job="a", phase="start", gb="0.5"), at("01T00:01", job="a", phase="stop", gb="0.5")],
            "30",
        ),
        (
            {"aggregation": "duration", "session_by": "job"},
            [
                at("01T00:00", job="a", phase="start"),
                at("01T00:01", job="a", phase="start"),
                at("01T00:02", job="a", phase="stop"),
            ],
            "120",
        ),
        ({"aggregation": "weighted_sum", "per": "second"}, [at("31T23:59", "2")], "120"),
        ({"aggregation": "weighted_sum", "per": "day"}, [at("31T12:00", "3")], "1.5"),
        (  # copies multiply a level, and are none of its dimensions
            {"aggregation": "weighted_sum", "multiplier": "n"},
            [at("31T00:00", "2", n="3"), at("31T12:00", "2", n="1")],
            "96",
        ),
        # A session is its start's: filter, multiplier; a stop needs nothing but its key.
        (
            {"aggregation": "duration", "session_by": "job", "multiplier": "gb", "filter": {"region": ["eu"]}},
            [
                at("01T00:00", job="a", phase="start", gb="0.5", region="eu"),
                at("01T00:01", job="a", phase="stop"),
                at("01T00:01", job="b", phase="start", gb="0.5", region="us"),
                at("01T00:02", job="b", phase="stop", region="eu"),
            ],
            "30",
        ),
        # At one instant: the stop belongs to what is open, else to what starts.
        (
            {"aggregation": "duration", "session_by": "job"},
            [
                at("01T00:00", job="a", phase="start"),
                at("01T00:01", job="a", phase="start"),
                at("01T00:01", job="a", phase="stop"),
                at("01T00:05", job="a", phase="stop"),
            ],
            "300",
        ),
        (
            {"aggregation": "duration", "session_by": "job"},
            [at("01T00:00", job="a", phase="stop"), at("01T00:00", job="a", phase="start")],
            "0",
        ),
    ],
)
def test_aggregation(meter: dict[str, Any], events: list[Event], expected: str) -> None:
    assert quantity(meter, events) == D(expected)


ONE_ID = [
    {"event_id": "x", "value": "5.2"}, {"event_id": "y", "value": "3.8"}, {"event_id": "x", "value": "7.1"}
]  # fmt: skip
ONE_HOUR = [at("01T10:00", "5.2", region="eu"), at("01T10:00", "3.8"), at("01T10:00", "7.1", region="eu", zone="")]


@pytest.mark.parametrize(
    ("meter", "events", "expected"),
    [
        ({}, ONE_ID, "16.1"),  # nothing says what makes two events one
        ({"deduplicate_by": "event_id"}, ONE_ID, "10.9"),
        ({"deduplicate_by": "event_id", "keep": "latest"}, ONE_ID, "10.9"),
        ({"deduplicate_by": "event_id", "keep": "first"}, ONE_ID, "9"),
        ({"deduplicate_by": "event_id"}, [{**event, "customer": event["value"]} for event in ONE_ID], "16.1"),
        ({"aggregation": "count", "deduplicate_by": "event_id"}, ONE_ID, "2"),
        ({}, ONE_HOUR, "16.1"),
        ({"deduplicate_by": "identity"}, ONE_HOUR, "10.9"),
        ({"keep": "latest"}, ONE_HOUR, "10.9"),
        ({"keep": "first"}, ONE_HOUR, "9"),
        ({"keep": "first"}, ONE_HOUR[::-1], "10.9"),  # the order of arrival is that in which they are written
    ],
)
def test_of_the_reports_of_an_event_one_counts_where_the_meter_says_so(
    meter: dict[str, Any], events: list[Event], expected: str
) -> None:
    assert quantity({"aggregation": "sum", **meter}, events) == D(expected)


@pytest.mark.parametrize(
    ("meter", "event", "said"),
    [
        ({"deduplicate_by": "event_id"}, {"value": "1"}, "no event_id"),
        ({"deduplicate_by": "event_id"}, {"value": "1", "event_id": ""}, "no event_id"),
        ({"deduplicate_by": "event_id"}, {"value": "1", "event_id": ["x"]}, "no text"),
        ({"keep": "first"}, {"value": "1", "event_id": "x"}, "no timestamp"),
    ],
)
def test_an_event_that_cannot_be_told_apart_is_refused(meter: dict[str, Any], event: Event, said: str) -> None:
    result: Any = quote({"meter": {"aggregation": "sum", **meter}, "price": UNIT, "events": [{**event}]})
    assert said in result["error"]["message"]
    assert result["error"]["field"].startswith("events.0")


def test_the_case_may_name_the_end_of_the_period() -> None:
    events = [at("01T00:00", "2")]
    assert quantity({"aggregation": "weighted_sum"}, events, period_end="2026-01-02T00:00:00Z") == 48
    assert quantity({"aggregation": "weighted_sum"}, events) == 2 * 31 * 24
    december: list[Event] = [{"timestamp": "2026-12-31T23:00:00Z", "value": "1"}]
    assert quantity({"aggregation": "weighted_sum"}, december) == 1


@given(st.sampled_from(sorted(AGGREGATES.keys() - {"latest"})), st.data())
def test_the_order_of_events_does_not_matter_except_for_latest(name: str, data: st.DataObject) -> None:
    hours = st.integers(0, 23)
    keys = st.sampled_from(["a", "b"])
    events = [
        at(f"0{day}T{hour:02}:{minute:02}", str(hour), job=key, phase=phase)
        for minute, (day, hour, key, phase) in enumerate(
            data.draw(
                st.lists(st.tuples(st.integers(1, 3), hours, keys, st.sampled_from(["start", "stop"])), max_size=6)
            )
        )
    ]
    meter = {"aggregation": name}
    meter |= {"unique_by": "job"} if name == "unique_count" else {"session_by": "job"} if name == "duration" else {}
    assert quantity(meter, events) == quantity(meter, data.draw(st.permutations(events)))


@pytest.mark.parametrize(
    ("meter", "events", "message"),
    [
        ({"aggregation": "sum"}, [{}], "Event 1 has no value."),
        ({"aggregation": "latest"}, [{"value": "1"}, {}], "Event 2 has no value."),
        ({"aggregation": "max", "window": "day"}, [{"value": "1"}], "Event 1 has no timestamp"),
        ({"aggregation": "weighted_sum"}, [{"value": "1"}], "Event 1 has no timestamp"),
        (
            {"aggregation": "weighted_sum", "window": "day"},
            [{"value": "1", "timestamp": "2026-01-01T00:00:00Z"}],
            "A weighted_sum adds up over time",
        ),
        ({"aggregation": "median"}, [{"value": "1"}], "Unknown aggregation 'median'."),
        ({"aggregation": "sum", "multiplier": "gb"}, [{"value": "1"}], "None is no exact number."),
        (
            {"aggregation": "sum", "multiplier": "gb"},
            [{"value": "1", "dimensions": {"gb": "0.0000001"}}],
            "does not fit",
        ),
        ({"aggregation": "sum"}, [{"value": "0.0000000000001"}], "does not fit"),
        ({"aggregation": "sum"}, [{"value": "1000000000000000000"}], "does not fit"),
        ({"aggregation": "sum"}, [{"value": 0.5}], "no exact number"),
        ({"aggregation": "sum"}, [{"value": "1", "timestamp": "yesterday"}], "neither a day nor an instant"),
        ({"aggregation": "sum"}, [{"value": "1", "timestamp": "2026-01-01T00:00:00"}], "neither a day nor an instant"),
        ({"aggregation": "sum"}, [{"value": "1", "vaule": "1"}], "Unknown field 'vaule'."),
    ],
)
def test_what_cannot_be_aggregated_is_an_error(meter: dict[str, Any], events: list[Event], message: str) -> None:
    error = quote({"meter": meter, "price": UNIT, "events": events})["error"]
    assert message in error["message"]  # type: ignore[index]


def test_quotes_know_every_aggregation_of_metering() -> None:
    assert AGGREGATIONS.keys() == AGGREGATES.keys(), "the catalog accepts what is in either"
