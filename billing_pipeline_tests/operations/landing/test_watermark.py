"""Watermarks: a source's word, which only grows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import select

from billing_pipeline.core.errors import Refused
from billing_pipeline.ledger.catalog import CatalogEntry
from billing_pipeline.ledger.tables import watermark
from billing_pipeline.ledger.usage import watermarks
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.watermark import record
from billing_pipeline_tests.examples import examples
from billing_pipeline_tests.payments.outbox_ledger import START, another_process, apply, sandbox, set_clock
from billing_pipeline_tests.servers import Server

END_OF_JANUARY = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def billing(postgres: Server, tmp_path: Path) -> Iterator[Billing]:
    with sandbox(postgres, tmp_path) as made:
        apply(made, *(CatalogEntry("source", name, None, {"id": name}) for name in ("gateway-logs", "aws-cur")))
        yield made


def passed_at(billing: Billing, instant: datetime, source: str = "gateway-logs") -> datetime | None:
    with billing.ledger.begin() as connection:
        return watermarks.passed_at(connection, source, instant)


def test_it_has_passed_an_instant_when_the_first_that_reaches_it_was_recorded(billing: Billing) -> None:
    assert record(billing, "gateway-logs", END_OF_JANUARY - timedelta(microseconds=1))
    assert passed_at(billing, END_OF_JANUARY) is None
    first = START + timedelta(hours=1)
    set_clock(billing, first)
    assert record(billing, "gateway-logs", END_OF_JANUARY)
    set_clock(billing, START + timedelta(days=1))
    assert record(billing, "gateway-logs", END_OF_JANUARY + timedelta(days=1))
    assert passed_at(billing, END_OF_JANUARY - timedelta(days=1)) == START
    assert passed_at(billing, END_OF_JANUARY) == first  # reaching it is passing it
    assert passed_at(billing, END_OF_JANUARY + timedelta(microseconds=1)) == START + timedelta(days=1)


def test_saying_the_same_again_changes_nothing(billing: Billing) -> None:
    assert record(billing, "gateway-logs", END_OF_JANUARY)
    set_clock(billing, START + timedelta(days=1))
    assert not record(billing, "gateway-logs", END_OF_JANUARY)
    assert passed_at(billing, END_OF_JANUARY) == START


def test_it_never_goes_back(billing: Billing) -> None:
    record(billing, "gateway-logs", END_OF_JANUARY)
    with pytest.raises(Refused, match=r"stands at 2026-02-01T00:00:00\+00:00 and never goes back"):
        record(billing, "gateway-logs", END_OF_JANUARY - timedelta(seconds=1))
    assert passed_at(billing, END_OF_JANUARY) == START


def test_each_source_has_its_own(billing: Billing) -> None:
    record(billing, "gateway-logs", END_OF_JANUARY)
    assert record(billing, "aws-cur", END_OF_JANUARY - timedelta(days=3))
    assert passed_at(billing, END_OF_JANUARY, "aws-cur") is None
    with billing.ledger.begin() as connection:
        assert watermarks.newest(connection) == {
            "aws-cur": END_OF_JANUARY - timedelta(days=3),
            "gateway-logs": END_OF_JANUARY,
        }


@pytest.mark.parametrize(
    ("source", "instant", "says"),
    [
        ("gateway-log", END_OF_JANUARY, "no source 'gateway-log' in the catalog. Did you mean 'gateway-logs'"),
        ("gateway-logs", END_OF_JANUARY.replace(tzinfo=None), "no time zone"),
        ("gateway-logs", START + timedelta(microseconds=1), "in the future"),
    ],
)
def test_what_cannot_be_true_is_refused(billing: Billing, source: str, instant: datetime, says: str) -> None:
    with pytest.raises(Refused, match=says):
        record(billing, source, instant)
    with billing.ledger.begin() as connection:
        assert watermarks.newest(connection) == {}


def test_many_at_once_leave_one_order(billing: Billing) -> None:
    """Whatever is refused in the race, what is recorded only grows."""
    others = [another_process(billing) for _ in range(4)]

    def say(number: int) -> bool:
        try:
            return record(others[number % 4], "gateway-logs", END_OF_JANUARY + timedelta(minutes=number * 7 % 20))
        except Refused:
            return False

    with ThreadPoolExecutor(4) as pool:
        accepted = sum(pool.map(say, range(20)))
    with billing.ledger.begin() as connection:
        recorded = list(connection.scalars(select(watermark.c.instant).order_by(watermark.c.id)))
    assert recorded == sorted(set(recorded))
    assert len(recorded) == accepted
    assert recorded[-1] == END_OF_JANUARY + timedelta(minutes=19)
    for other in others:
        other.ledger.close()


@examples(25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 30), max_size=8), st.integers(0, 30))
def test_it_agrees_with_reading_what_was_said_in_order(billing: Billing, days: list[int], asked: int) -> None:
    """Each example is rolled back, so that one ledger serves them all."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with billing.ledger.engine.connect() as connection:
        highest, expected = -1, None
        for order, day in enumerate(days):
            at = START + timedelta(microseconds=order - len(days))  # nothing is recorded later than the clock
            if day < highest:
                with pytest.raises(Refused):
                    watermarks.record(connection, "aws-cur", start + timedelta(days=day), at=at, actor="tester")
                continue
            watermarks.record(connection, "aws-cur", start + timedelta(days=day), at=at, actor="tester")
            highest = day
            expected = at if expected is None and day >= asked else expected
        assert watermarks.passed_at(connection, "aws-cur", start + timedelta(days=asked)) == expected
        connection.rollback()
