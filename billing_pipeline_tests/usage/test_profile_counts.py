"""Figures of what metering counted."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from billing_pipeline.usage.expectations import Thresholds
from billing_pipeline.usage.profiles.counts import (
    late_volume_figures,
    negative_figures,
    pending_figures,
    unpriced_figures,
    unrated_figures,
    volume_figures,
)
from billing_pipeline.usage.profiles.facts import LateVolume, NegativeQuantity, Unrated, UsageFacts
from billing_pipeline_tests.usage.lake_writer import END, START
from billing_pipeline_tests.usage.profile_case import AFTER, JANUARY, counts

D = Decimal
DAY = timedelta(days=1)


def test_unpriced_usage_names_customer_and_meter() -> None:
    facts = UsageFacts(JANUARY, AFTER, counts=counts((1, 1, 9, 9, 0, 0, 0), (2, 1, 9, 8, 1, 0, 3)))
    (figure,) = unpriced_figures(facts)
    assert (figure.value, figure.customers, figure.meter, figure.note) == (3, (2,), 1, "of 8 accepted")


def test_stops_that_wait_for_their_start_name_customer_and_meter() -> None:
    facts = UsageFacts(JANUARY, AFTER, counts=counts((2, 1, 9, 8, 1, 0, 0), pending=3))
    (figure,) = pending_figures(facts)
    assert (figure.name, figure.value, figure.customers, figure.meter) == ("waiting_stops", 3, (2,), 1)
    assert list(pending_figures(UsageFacts(JANUARY, AFTER, counts=counts((2, 1, 9, 8, 1, 0, 0))))) == []


def test_negative_quantities_name_customer_and_price() -> None:
    (figure,) = negative_figures(
        UsageFacts(JANUARY, AFTER, negative_quantities=[NegativeQuantity(4, "compute", 2, D("-1234.500"))])
    )
    assert (figure.value, figure.customers, figure.subject) == (2, (4,), "price compute")
    assert figure.note == "lowest -1,234.5"


@pytest.mark.parametrize(
    ("dimensions", "quantity", "subject", "note"),
    [
        ({}, "1500.500", "price api", "+1,500.5 beside what was billed"),
        ({"tier": "gold", "region": "eu"}, "-3", "price api region=eu, tier=gold", "-3 beside what was billed"),
    ],
)
def test_volume_priced_usage_that_came_late_names_price_and_quantity(
    dimensions: dict[str, str], quantity: str, subject: str, note: str
) -> None:
    facts = UsageFacts(JANUARY, AFTER, late_volume=[LateVolume(4, "api", dimensions, D(quantity))])
    (figure,) = late_volume_figures(facts)
    assert (figure.name, figure.value, figure.customers) == ("late_volume_quantities", 1, (4,))
    assert (figure.subject, figure.note) == (subject, note)


def test_what_rating_holds_is_named() -> None:
    (figure,) = unrated_figures(UsageFacts(JANUARY, AFTER, unrated=[Unrated(4, "no rate for region=mars")]))
    assert (figure.value, figure.customers, figure.note) == (1, (4,), "no rate for region=mars")


@pytest.mark.parametrize(
    ("earlier", "now", "accepted", "percent"),
    [
        ([1000], AFTER, 1000, "100.0"),
        ([1000], END, 490, "49.0"),
        ([500, 1000, 90_000], AFTER, 3000, "300.0"),  # one odd period is not the usual
        ([1000], AFTER, 0, "0.0"),  # the meter fell silent
        ([99], AFTER, 5000, None),  # too few events to tell
        ([], AFTER, 5000, None),  # a new meter
        ([3100], START + 3 * DAY, 300, None),  # too early to tell
        ([3100], START + 4 * DAY, 400, "100.0"),  # four days of thirty-one
        ([3100], START + 4 * DAY + DAY / 2, 400, "100.0"),  # whole days: what is found does not change by the hour
    ],
)
def test_volume(earlier: list[int], now: datetime, accepted: int, percent: str | None) -> None:
    some = counts((1, 1, accepted, accepted, 0, 0, 0)) if accepted else counts()
    facts = UsageFacts(JANUARY, now, counts=some, earlier_events={1: earlier} if earlier else {})
    assert [figure.value for figure in volume_figures(facts, Thresholds())] == ([D(percent)] if percent else [])


def test_volume_says_how_many_and_how_many_usually() -> None:
    facts = UsageFacts(JANUARY, START + 4 * DAY, counts=counts((1, 1, 9, 9, 0, 0, 0)), earlier_events={1: [3100]})
    (figure,) = volume_figures(facts, Thresholds())
    assert (figure.meter, figure.note) == (1, "9 events, usually 400 by now")
