"""What is recorded after the fact meets what is final: it stays, and the difference reaches the customer once."""

from pathlib import Path

import pytest

from billing_pipeline_tests.scenarios.short_history import (
    CALLS,
    History,
    arrears,
    each_way,
    fee,
    plan,
    played,
    subscription,
)
from billing_pipeline_tests.servers import Server

IN_GRACE = {"account": {"name": "Example", "currency": "USD", "grace": "3 days"}}
EXTENDED = "plan assign acme basic --start current-period --extend"
HALF = "discount add acme --id half --percent 50 --start current-period"
MOVED = "plan assign acme basic --start previous-period --extend"

HISTORIES = [
    # 15–31 January is 17 of 31 days: 5.48 of 10.00; the other 4.52 beside February's fee.
    History(
        "a start moved back brings what its final opening lacks",
        plans=[plan("basic", fee("10"), CALLS)],
        subscriptions=[subscription("basic", "2026-01-15")],
        more=IN_GRACE,
        start="2026-01-10",
        steps={"2026-02-02T09:00": MOVED},
        until="2026-02-04",
        documents="""
            acme opening 2026-01-15 5.48
            acme closing 2026-02-01 14.52 = 4.52 + 10.00
        """,
    ),
    History(
        "a plan from the previous period does not move a start that nobody asks to be moved",
        plans=[plan("basic", fee("10"), CALLS), plan("dear", fee("20"), CALLS)],
        subscriptions=[subscription("basic", "2026-01-15")],
        more=IN_GRACE,
        start="2026-01-10",
        steps={
            "2026-02-01T09:00": "use 7 calls on 2026-01-10",
            "2026-02-02T09:00": "plan assign acme basic --start previous-period",
        },
        until="2026-02-04",
        documents="""
            acme opening 2026-01-15 5.48
            acme closing 2026-02-01 10.00
        """,
    ),
    # 17 of 31 days of 100 are final.
    History(
        "a start moved back brings what its final opening lacks of a greater fee",
        plans=[plan("basic", fee("100"), CALLS)],
        subscriptions=[subscription("basic", "2026-01-15")],
        more=IN_GRACE,
        start="2026-01-10",
        steps={"2026-02-02T09:00": MOVED},
        until="2026-02-04",
        documents="""
            acme opening 2026-01-15 54.84
            acme closing 2026-02-01 145.16 = 45.16 + 100.00
        """,
    ),
    # The opening's cutoff is 20 January, whenever a run locks it: before the discount was recorded. February's fee is
    # on a draft until 4 February: 11.90 − 1.19.
    History(
        "a discount from the previous period leaves an opening that is overdue as it was",
        plans=[plan("basic", fee("11.90", prorate=False), CALLS)],
        subscriptions=[subscription("basic", "2026-01-20")],
        more=IN_GRACE,
        start="2026-01-10",
        steps={"2026-02-02T09:00": "discount add acme --id tenth --percent 10 --start previous-period"},
        runs=["2026-01-15"],
        until="2026-02-04",
        documents="""
            acme opening 2026-01-20 11.90
            acme closing 2026-02-01 10.71 = -1.19 + 11.90
        """,
    ),
    # 12.00 of January's 31.00 were due before the discount was known. The 19.00 of the days until the 19th have it, as
    # February's fee has.
    History(
        "a start moved back discounts what was not due at the lock, and nothing else",
        plans=[plan("basic", fee("31"))],
        subscriptions=[subscription("basic", "2026-01-20")],
        start="2026-01-10",
        steps={"2026-01-22T09:00": HALF, "2026-01-25T09:00": EXTENDED},
        runs=["2026-01-23"],
        until="2026-02-02",
        documents="""
            acme opening 2026-01-20 12.00
            acme closing 2026-02-01 25.00 = -15.50 + -9.50 + 19.00 + 31.00
        """,
    ),
    # 1.00 a day: of the week of the 19th five were due from Wednesday the 21st on. The other two are on the next
    # opening; the five of the week before, not known when they began, on the closing of January.
    History(
        "a start moved back keeps the week in which it was",
        plans=[plan("basic", fee("7", every="week"))],
        subscriptions=[subscription("basic", "2026-01-21")],
        start="2026-01-10",
        steps={"2026-01-22T09:00": HALF, "2026-01-25T09:00": "plan assign acme basic --start 2026-01-14 --extend"},
        runs=["2026-01-23"],
        until="2026-02-02",
        documents="""
            acme opening 2026-01-21 5.00
            acme opening 2026-01-26 4.50 = -3.50 + -1.00 + 2.00 + 7.00
            acme closing 2026-02-01 2.50 = -2.50 + 5.00
            acme opening 2026-02-02 3.50
        """,
    ),
    # 90 days of a quarter at 90.00: 71 were due, 19 are due besides.
    History(
        "a start moved back keeps the quarter in which it was",
        plans=[plan("basic", fee("90", every="quarter"))],
        subscriptions=[subscription("basic", "2026-01-20")],
        start="2026-01-10",
        steps={"2026-01-22T09:00": HALF, "2026-01-25T09:00": EXTENDED},
        runs=["2026-01-23"],
        until="2026-02-02",
        documents="""
            acme opening 2026-01-20 71.00
            acme closing 2026-02-01 9.50 = -9.50 + 19.00
        """,
    ),
    History(
        "what is due once was due, whenever its plan starts",
        plans=[plan("basic", fee("50", every="once"))],
        subscriptions=[subscription("basic", "2026-01-20")],
        start="2026-01-10",
        steps={"2026-01-22T09:00": HALF, "2026-01-25T09:00": EXTENDED},
        runs=["2026-01-23"],
        until="2026-02-02",
        documents="acme opening 2026-01-20 50.00",
    ),
    History(
        "what is not prorated was due, whenever its month starts",
        plans=[plan("basic", fee("50", prorate=False))],
        subscriptions=[subscription("basic", "2026-01-20")],
        start="2026-01-10",
        steps={"2026-01-22T09:00": HALF, "2026-01-25T09:00": EXTENDED},
        runs=["2026-01-23"],
        until="2026-02-02",
        documents="""
            acme opening 2026-01-20 50.00
            acme closing 2026-02-01 25.00
        """,
    ),
    # Months from the 20th become months from the 1st: other service periods, so the old one is given back whole.
    History(
        "a start moved back begins the months of an anniversary anew",
        plans=[plan("basic", fee("31"))],
        subscriptions=[subscription("basic", "2026-01-20", billing_time="anniversary")],
        start="2026-01-10",
        steps={"2026-01-25T09:00": EXTENDED},
        runs=["2026-01-23"],
        until="2026-02-02",
        documents="""
            acme opening 2026-01-20 31.00
            acme closing 2026-02-01 31.00 = -31.00 + 31.00 + 31.00
        """,
    ),
    # The 12.00 of the days from the 20th were due before the discount was known, and stay as they are.
    History(
        "a start moved on gives back what is due no more, and discounts nothing of the rest",
        plans=[plan("basic", fee("31"))],
        subscriptions=[subscription("basic", "2026-01-01")],
        steps={"2026-01-05T09:00": HALF, "2026-01-08T09:00": "catalog apply later.yaml"},
        files={"later.yaml": {"subscriptions": [subscription("basic", "2026-01-20")]}},
        runs=["2026-01-06"],
        until="2026-02-02",
        documents="""
            acme opening 2026-01-01 31.00
            acme closing 2026-02-01 -3.50 = -19.00 + -15.50 + 31.00
        """,
    ),
    # The closing of 31.00 in arrears waits for the customer's three days: until it locks, January may still change.
    History(
        "a plan with arrears alone is in grace until its closing locks",
        plans=[plan("arrears", arrears("31")), plan("free")],
        subscriptions=[subscription("arrears", "2026-01-01")],
        more={"customers": [{"id": "acme", "grace": "3 days"}]},
        steps={"2026-02-02T12:00": "plan assign acme free --start previous-period"},
        until="2026-02-04",
        documents="",
    ),
]


@each_way(HISTORIES)
def test_what_is_final_stays_and_the_difference_is_billed_once(
    history: History, way: str, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not (wrong := played(history, way, postgres, tmp_path, monkeypatch)), wrong
