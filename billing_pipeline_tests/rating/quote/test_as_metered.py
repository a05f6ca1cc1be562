"""A quote of events and the set-based engine come to the same: quantities, values in order, carried amounts."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.period import Duration
from billing_pipeline.metering.aggregations import AGGREGATIONS
from billing_pipeline.metering.measure import Measurement, measure
from billing_pipeline.rating.cost import cost_of
from billing_pipeline.rating.price import parse_price
from billing_pipeline.rating.quote.quote import quote
from billing_pipeline.usage.engine import Engine
from billing_pipeline_tests.examples import WITHOUT_SHRINKING, examples
from billing_pipeline_tests.usage.lake_writer import END, START, Row, write_lake

D = Decimal
METERS = {
    **{name: Meter("m", name) for name in AGGREGATIONS},
    "unique_count": Meter("m", "unique_count", unique_by="job"),
    "duration": Meter("m", "duration", session_by="job", multiplier="gb", max_session=Duration(hours=30)),
    "weighted_sum": Meter("m", "weighted_sum", multiplier="gb", per="second"),
}
UNIT: dict[str, Any] = {"model": "per_unit", "unit_amount": "1"}
BY_REGION = {**UNIT, "by": ["region"]}
PERCENTAGE = {
    "model": "percentage", "rate": "1.5", "fixed_amount": "0.30", "free_events": 3, "free_amount": "1000",
    "minimum_per_event": "0.5", "maximum_per_event": "20",
}  # fmt: skip
DYNAMIC = {"model": "dynamic", "amount_field": "gb", "multiplier": "1.1"}
CASES = [
    *((meter, price) for meter in METERS.values() for price in (UNIT, BY_REGION)),
    (METERS["sum"], PERCENTAGE),
    (METERS["sum"], {**PERCENTAGE, "by": ["region"]}),
    (METERS["count"], {**DYNAMIC, "by": ["region"]}),
]
# Each its own event.
ROWS = st.lists(
    st.builds(
        Row,
        batch=st.integers(1, 3),
        row=st.just(0),
        minute=st.integers(0, 31 * 24 * 6 - 1).map(lambda minute: minute * 10),
        value=st.decimals(-50, 5000, places=2),
        dimensions=st.fixed_dictionaries(
            {
                "phase": st.sampled_from(["start", "stop"]),
                "job": st.sampled_from(["a", "b"]),
                "gb": st.sampled_from(["1", "0.5", "3.25"]),
                "region": st.sampled_from(["", "eu", "us"]),
            }
        ),
    ),
    max_size=25,
    unique_by=lambda row: row.minute,
).map(lambda rows: [replace(row, row=place) for place, row in enumerate(rows)])


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(memory="256MB") as engine:
        yield engine


def quoted(meter: Meter, price: Mapping[str, object], rows: list[Row]) -> Decimal:
    names = ("aggregation", "unique_by", "session_by", "multiplier", "per", "deduplicate_by", "keep")
    terms = {name: value for name in names if (value := getattr(meter, name)) is not None}
    events = [
        {
            "timestamp": row.timestamp.isoformat(),
            "value": row.value,
            "dimensions": row.dimensions,
            "event_id": row.event_id,
        }
        for row in sorted(rows, key=lambda row: row.arrival)
    ]
    terms |= {"max_session": str(meter.max_session)} if meter.max_session else {}
    result = quote({"meter": terms, "price": price, "events": events, "period_end": END.isoformat()})
    assert "error" not in result, result
    return D(str(result["amount"]))


@examples(15, phases=WITHOUT_SHRINKING)  # an engine is too slow to shrink with
@given(rows=ROWS, case=st.sampled_from(CASES))
def test_a_quote_is_what_would_be_billed(
    engine: Engine, rows: list[Row], case: tuple[Meter, Mapping[str, object]]
) -> None:
    meter, terms = case
    assert billed(engine, meter, terms, rows) == Fraction(quoted(meter, terms, rows))


def billed(engine: Engine, meter: Meter, terms: Mapping[str, object], rows: list[Row]) -> Fraction:
    """What the set-based engine meters, priced."""
    price = parse_price(terms)
    measurement = Measurement(
        1, 1, "m", START, END, by=price.by, matches=price.matches, needs=price.needs, amount_field=price.amount_field
    )
    with TemporaryDirectory() as folder:
        quantities = measure(
            engine, write_lake(Path(folder), rows), {}, [measurement], {"m": meter}, {"m": 1}
        ).quantities
    amounts = [
        cost_of(price, quantity.quantity, quantity.dimensions, measures=quantity.measures).amount
        for quantity in quantities
    ]
    return sum(map(Fraction, amounts), Fraction(0))


REPORTED = [
    Meter("m", name, deduplicate_by=by, keep=keep)
    for name in ("sum", "count", "max", "latest")
    for by in get_args(get_type_hints(Meter)["deduplicate_by"])
    for keep in get_args(get_type_hints(Meter)["keep"])
]
REPORTS = st.lists(
    st.builds(
        Row,
        batch=st.integers(1, 3),
        row=st.just(0),
        minute=st.integers(0, 2),
        value=st.decimals(-50, 5000, places=2),
        dimensions=st.fixed_dictionaries({"region": st.sampled_from(["", "eu"]), "zone": st.sampled_from(["", "a"])}),
        event_id=st.sampled_from(["x", "y", "z"]),
    ),
    max_size=12,
).map(lambda rows: [replace(row, row=place) for place, row in enumerate(rows)])


@examples(15, phases=WITHOUT_SHRINKING)
@given(rows=REPORTS, meter=st.sampled_from(REPORTED), price=st.sampled_from([UNIT, BY_REGION]))
def test_of_several_reports_the_one_counts_that_would_be_billed(
    engine: Engine, rows: list[Row], meter: Meter, price: Mapping[str, object]
) -> None:
    assert billed(engine, meter, price, rows) == Fraction(quoted(meter, price, rows))


def test_days_have_as_many_hours_as_the_clocks_give_them(engine: Engine, tmp_path: Path) -> None:
    """A level over a month in which the clocks go forward: hours are elapsed hours."""
    rows = [Row(1, 0, minute=0, value=D(1)), Row(1, 1, minute=90 * 24 * 60, value=D(0))]
    measurement = Measurement(1, 1, "m", START, START + timedelta(days=120))
    meter = Meter("m", "weighted_sum", per="day")
    (quantity,) = measure(engine, write_lake(tmp_path, rows), {}, [measurement], {"m": meter}, {"m": 1}).quantities
    assert quantity.quantity == D(90)
