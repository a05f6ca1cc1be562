"""Holds: placed once for a cause, released once, and never forgotten."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from billing_pipeline.core.errors import Refused
from billing_pipeline.ledger.catalog import customer_codes
from billing_pipeline.ledger.documents import holds
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.locking.holds import list_holds, place, release
from billing_pipeline_tests.payments.outbox_ledger import (
    PERIOD,
    START,
    another_process,
    apply,
    customer_entry,
    sandbox,
    set_clock,
)
from billing_pipeline_tests.servers import Server

JANUARY = "2026-01-01"
Interval = tuple[datetime, datetime | None, str, str]


@pytest.fixture
def billing(postgres: Server, tmp_path: Path) -> Iterator[Billing]:
    with sandbox(postgres, tmp_path) as made:
        apply(made, *(customer_entry(name) for name in ("acme", "beta", "gamma")))
        yield made


def intervals(billing: Billing, *names: str, period: date = PERIOD) -> dict[str, list[Interval]]:
    """From when to when each customer was held, by what and why; of all customers where none is named."""
    with billing.ledger.begin() as connection:
        codes = customer_codes(connection)
        found = holds.intervals(connection, period, [codes[name] for name in names] if names else None)
    by_code = {code: name for name, code in codes.items()}
    return {
        by_code[code]: [(hold.created_at, hold.released_at, hold.cause, hold.reason) for hold in held]
        for code, held in found.items()
    }


def test_a_hold_names_the_customer_the_period_the_cause_and_who_placed_it(billing: Billing) -> None:
    assert place(billing, ["acme"], JANUARY, "usage looks doubled") == 1
    (hold,) = list_holds(billing)
    assert (hold.customer, hold.period, hold.cause, hold.reason) == ("acme", PERIOD, "manual", "usage looks doubled")
    assert (hold.created_at, hold.actor, hold.released_at) == (START, "tester", None)


def test_placing_again_changes_nothing(billing: Billing) -> None:
    place(billing, ["acme"], JANUARY, "first", cause="negative_values")
    set_clock(billing, START + timedelta(hours=1))
    assert place(billing, ["acme", "beta"], JANUARY, "again", cause="negative_values") == 1
    assert [(hold.customer, hold.reason, hold.created_at) for hold in list_holds(billing)] == [
        ("acme", "first", START),
        ("beta", "again", START + timedelta(hours=1)),
    ]


def test_another_cause_or_period_is_another_hold(billing: Billing) -> None:
    assert place(billing, ["acme"], JANUARY, "one", cause="negative_values") == 1
    assert place(billing, ["acme"], JANUARY, "two", cause="volume") == 1
    assert place(billing, ["acme"], "2026-02-01", "three", cause="volume") == 1
    assert [hold.reason for hold in list_holds(billing, period=JANUARY)] == ["one", "two"]
    assert [hold.reason for hold in list_holds(billing, period="2026-02-01")] == ["three"]


def test_naming_a_customer_twice_holds_it_once(billing: Billing) -> None:
    assert place(billing, ["acme", "acme"], JANUARY, "twice") == 1


def test_a_release_keeps_who_when_and_why(billing: Billing) -> None:
    place(billing, ["acme"], JANUARY, "usage looks doubled")
    (hold,) = list_holds(billing)
    released_at = START + timedelta(days=2)
    set_clock(billing, released_at)
    assert release(billing, [hold.id], "it was a real peak") == 1
    assert list_holds(billing) == []
    (kept,) = list_holds(billing, released=True)
    assert (kept.released_at, kept.released_by, kept.release_reason) == (released_at, "tester", "it was a real peak")


def test_releasing_again_changes_nothing(billing: Billing) -> None:
    place(billing, ["acme", "beta"], JANUARY, "why")
    ids = [hold.id for hold in list_holds(billing)]
    assert release(billing, ids[:1], "first") == 1
    assert release(billing, ids, "second") == 1
    assert [hold.release_reason for hold in list_holds(billing, released=True)] == ["first", "second"]


def test_after_a_release_the_same_cause_can_hold_again(billing: Billing) -> None:
    place(billing, ["acme"], JANUARY, "first")
    release(billing, [hold.id for hold in list_holds(billing)], "gone")
    set_clock(billing, START + timedelta(days=1))
    assert place(billing, ["acme"], JANUARY, "second") == 1
    assert intervals(billing) == {
        "acme": [
            (START, START, "manual", "first"),
            (START + timedelta(days=1), None, "manual", "second"),
        ]
    }


def test_the_lock_sees_only_whom_and_when_it_asks_about(billing: Billing) -> None:
    place(billing, ["acme", "beta"], JANUARY, "why")
    place(billing, ["gamma"], "2026-02-01", "later")
    held = (START, None, "manual", "why")
    assert intervals(billing) == {"acme": [held], "beta": [held]}
    assert intervals(billing, "beta", "gamma") == {"beta": [held]}
    assert intervals(billing, "acme", period=date(2025, 12, 1)) == {}


@pytest.mark.parametrize(
    ("names", "period", "reason", "says"),
    [
        (["acme", "betta"], JANUARY, "why", "no customer 'betta'. Did you mean 'beta'"),
        (["acme"], "2026-01-15", "why", "The period that holds that day is 2026-01-01"),
        (["acme"], "january", "why", "is no period"),
        (["acme"], JANUARY, " ", "for a reason"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_holds_nobody(
    billing: Billing, names: list[str], period: str, reason: str, says: str
) -> None:
    with pytest.raises(Refused, match=says):
        place(billing, names, period, reason)
    assert list_holds(billing, released=True) == []


def test_releasing_what_is_not_there_is_refused_and_releases_nothing(billing: Billing) -> None:
    place(billing, ["acme"], JANUARY, "why")
    (hold,) = list_holds(billing)
    with pytest.raises(Refused, match=r"no hold 999\."):
        release(billing, [hold.id, 999], "why not")
    with pytest.raises(Refused, match="for a reason"):
        release(billing, [hold.id], "")
    assert list_holds(billing) == [hold]


def test_two_at_once_place_one_hold_and_release_it_once(billing: Billing) -> None:
    others = [another_process(billing) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        placed = list(pool.map(lambda one: place(one, ["acme", "beta"], JANUARY, "why", cause="volume"), others))
        assert sorted(placed) == [0, 0, 0, 2]
        ids = [hold.id for hold in list_holds(billing)]
        released = list(pool.map(lambda one: release(one, ids, "gone"), others))
    assert sum(released) == len(ids) == 2
    for other in others:
        other.ledger.close()


def settle(billing: Billing, checked: list[str], failed: dict[str, str]) -> None:
    """As a check does that looked at some customers."""
    with billing.ledger.begin() as connection:
        codes = customer_codes(connection)
        holds.apply_check(
            connection,
            period=PERIOD,
            cause="volume",
            checked=[codes[name] for name in checked],
            failed={codes[name]: reason for name, reason in failed.items()},
            at=billing.now(),
            actor="check",
        )


def held(billing: Billing) -> dict[str, str]:
    """Reason of each customer that is held now."""
    by_name = {hold.customer: hold.reason for hold in list_holds(billing, period=JANUARY)}
    with billing.ledger.begin() as connection:
        codes = customer_codes(connection)
        assert holds.open_holds(connection, PERIOD).keys() == {codes[name] for name in by_name}
    return by_name


@pytest.mark.parametrize(
    ("checked", "failed", "expected"),
    [
        (["acme", "beta"], {}, {}),
        (["acme"], {}, {"beta": "low"}),  # who was not looked at keeps what they have
        ([], {}, {"acme": "high", "beta": "low"}),
        (["acme", "beta"], {"acme": "higher"}, {"acme": "high"}),  # placed once, with the first reason
        (["acme", "gamma"], {"gamma": "new"}, {"beta": "low", "gamma": "new"}),
        ([], {"gamma": "new"}, {"acme": "high", "beta": "low", "gamma": "new"}),
    ],
)
def test_a_check_holds_who_fails_and_releases_who_no_longer_does(
    billing: Billing, checked: list[str], failed: dict[str, str], expected: dict[str, str]
) -> None:
    settle(billing, ["acme", "beta"], {"acme": "high", "beta": "low"})
    settle(billing, checked, failed)
    assert held(billing) == expected


def test_a_check_that_passes_leaves_what_a_person_holds(billing: Billing) -> None:
    place(billing, ["acme"], JANUARY, "a dispute")
    settle(billing, ["acme"], {})
    assert held(billing) == {"acme": "a dispute"}
