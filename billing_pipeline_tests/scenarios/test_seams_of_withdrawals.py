"""What was billed, and then withdrawn: it stays under its date and is given back, also where no run saw it stand."""

from pathlib import Path

import pytest

from billing_pipeline_tests.scenarios.short_history import (
    SLOW_CALLS,
    History,
    each_way,
    fee,
    plan,
    played,
    subscription,
)
from billing_pipeline_tests.servers import Server

FREE, PRO = plan("free"), plan("pro", fee("31"))
IN_GRACE = {"account": {"name": "Example", "currency": "USD", "grace": "5 days"}}
PRO_FROM_15_JANUARY = {
    "id": "acme",
    "customer": "acme",
    "start": "2026-01-01",
    "phases": [{"plan": "free"}, {"plan": "pro", "start": "2026-01-15"}],
}
UNTIL_ITS_START = "subscription cancel acme --end 2026-01-01"
# Today's terms of each of these call for nothing in January, or for less than was known when January's opening was cut
# off; the opening of 1 January, 31.00, stays.
GIVEN_BACK = """
    acme opening 2026-01-01 31.00
    acme closing 2026-02-01 -31.00
"""

HISTORIES = [
    History(
        "a subscription is cancelled to its first instant",
        plans=[PRO],
        subscriptions=[subscription("pro", "2026-01-01")],
        more=IN_GRACE,
        steps={"2026-01-07T06:00": UNTIL_ITS_START},
        runs=["2026-03-01T12:00"],
        until="2026-03-02",
        documents=GIVEN_BACK,
    ),
    History(
        "a subscription with delayed usage is cancelled to its first instant",
        plans=[plan("pro", fee("31"), SLOW_CALLS)],
        subscriptions=[subscription("pro", "2026-01-01")],
        more=IN_GRACE,
        steps={"2026-01-07T06:00": UNTIL_ITS_START},
        runs=["2026-03-01T12:00"],
        until="2026-03-02",
        documents=GIVEN_BACK,
    ),
    # 10–31 January is 22 of 31 days.
    History(
        "a subscription is cancelled to its first instant in mid month",
        plans=[PRO],
        subscriptions=[subscription("pro", "2026-01-10")],
        more=IN_GRACE,
        steps={"2026-01-12T06:00": "subscription cancel acme --end 2026-01-10"},
        runs=["2026-03-01T12:00"],
        until="2026-03-02",
        documents="""
            acme opening 2026-01-10 22.00
            acme closing 2026-02-01 -22.00
        """,
    ),
    History(
        "a subscription is cancelled to its first instant after the month's end",
        plans=[plan("pro", fee("31"), SLOW_CALLS)],
        subscriptions=[subscription("pro", "2026-01-01")],
        more=IN_GRACE,
        steps={"2026-02-03T06:00": UNTIL_ITS_START},
        runs=["2026-03-01T12:00"],
        until="2026-03-02",
        documents="""
            acme opening 2026-01-01 31.00
            acme closing 2026-02-01 31.00
            acme adjustment 2026-03-01 -62.00
        """,
    ),
    History(
        "a plan is changed to nothing from its start on",
        plans=[PRO, FREE],
        subscriptions=[subscription("pro", "2026-01-01")],
        more=IN_GRACE,
        steps={"2026-01-07T06:00": "plan assign acme free --start current-period"},
        runs=["2026-03-01T12:00"],
        until="2026-03-02",
        documents=GIVEN_BACK,
    ),
    History(
        "a quantity is set to zero from the start on",
        plans=[PRO],
        subscriptions=[subscription("pro", "2026-01-01")],
        more=IN_GRACE,
        steps={"2026-01-07T06:00": "subscription change acme --quantity platform=0 --start current-period"},
        runs=["2026-03-01T12:00"],
        until="2026-03-02",
        documents=GIVEN_BACK,
    ),
    # 15–31 January is 17 of 31 days.
    History(
        "a scheduled phase is taken back after its opening",
        plans=[FREE, PRO],
        subscriptions=[PRO_FROM_15_JANUARY],
        more=IN_GRACE,
        steps={"2026-01-17T06:00": "plan assign acme free --start 2026-01-15"},
        runs=["2026-03-01T12:00"],
        until="2026-03-02",
        documents="""
            acme opening 2026-01-15 17.00
            acme closing 2026-02-01 -17.00
        """,
    ),
    History(
        "a scheduled phase is taken back before its opening",
        plans=[FREE, PRO],
        subscriptions=[PRO_FROM_15_JANUARY],
        more=IN_GRACE,
        steps={"2026-01-12T06:00": "subscription cancel acme --end 2026-01-14"},
        runs=["2026-03-01T12:00"],
        until="2026-03-02",
        documents="",
    ),
    History(
        "a subscription is cancelled to before its scheduled phase, after that was billed",
        plans=[FREE, PRO],
        subscriptions=[PRO_FROM_15_JANUARY],
        more=IN_GRACE,
        steps={"2026-01-17T06:00": "subscription cancel acme --end 2026-01-14"},
        runs=["2026-03-01T12:00"],
        until="2026-03-02",
        documents="""
            acme opening 2026-01-15 17.00
            acme closing 2026-02-01 -17.00
        """,
    ),
    # No document follows before July: an adjustment, at the end of the month of the recording.
    History(
        "a start is moved to a far month",
        plans=[PRO],
        subscriptions=[subscription("pro", "2026-01-01")],
        more=IN_GRACE,
        steps={"2026-01-07T06:00": "catalog apply later.yaml"},
        files={"later.yaml": {"subscriptions": [subscription("pro", "2026-06-01")]}},
        runs=["2026-03-01T12:00"],
        until="2026-03-02",
        documents="""
            acme opening 2026-01-01 31.00
            acme adjustment 2026-02-01 -31.00
        """,
    ),
    History(
        "a subscription that was to begin is cancelled before it does",
        plans=[PRO],
        subscriptions=[subscription("pro", "2026-02-01")],
        more=IN_GRACE,
        steps={"2026-01-20T06:00": "subscription cancel acme --end 2026-02-01"},
        runs=["2026-03-01T12:00"],
        until="2026-03-02",
        documents="",
    ),
    # In January there is no subscription any more: February's opening is the first document that can carry it.
    History(
        "a start is moved to a later month",
        plans=[PRO],
        subscriptions=[subscription("pro", "2026-01-01")],
        more=IN_GRACE,
        steps={"2026-01-07T06:00": "catalog apply later.yaml"},
        files={"later.yaml": {"subscriptions": [subscription("pro", "2026-02-01")]}},
        runs=["2026-03-01T12:00"],
        until="2026-03-02",
        documents="""
            acme opening 2026-01-01 31.00
            acme opening 2026-02-01 0.00 = -31.00 + 31.00
            acme closing 2026-03-01 31.00
        """,
    ),
]


@each_way(HISTORIES)
def test_what_was_billed_and_is_due_no_more_is_given_back_whenever_runs_come(
    history: History, way: str, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not (wrong := played(history, way, postgres, tmp_path, monkeypatch)), wrong
