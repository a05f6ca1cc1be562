"""Which document carries what is late: by its rules alone, whenever the product runs."""

from pathlib import Path

import pytest

from billing_pipeline_tests.scenarios.short_history import (
    CALLS,
    SLOW_CALLS,
    History,
    each_way,
    fee,
    plan,
    played,
    subscription,
)
from billing_pipeline_tests.servers import Server

GRACE = {"account": {"name": "Example", "currency": "USD", "grace": "5 days"}}
WEEKLY = {"id": "visit", "amount": "7", "every": "week"}
YEARLY = {"id": "card", "amount": "365", "every": "year"}
FEBRUARY_IS_HELD = {
    "2026-02-24T09:00": "hold place acme --period 2026-02-01 --reason disputed",
    "2026-03-07T09:00": "hold release 1 --reason settled",
}
P0, P1 = plan("p0", fee("100"), SLOW_CALLS), plan("p1", fee("10"), CALLS)

HISTORIES = [
    # Nothing of acme's is left for late usage to stand on: a document at the end of each period in which some comes.
    History(
        "late usage of a customer who left has a document for each month in which it comes",
        plans=[plan("metered", CALLS), plan("another", fee("10"))],
        subscriptions=[
            subscription("metered", "2026-01-01", end="2026-02-01"),
            subscription("another", "2026-01-01", customer="beta"),
        ],
        more={"customers": [{"id": "acme"}, {"id": "beta"}]},
        steps={
            "2026-03-10": "use 10 calls on 2026-01-10",
            "2026-04-10": "use 5 calls on 2026-01-11",
            "2026-05-04": "use 2 calls on 2026-01-12",
        },
        runs=["2026-05-21", "2026-06-01"],
        until="2026-06-01",
        documents="""
            acme adjustment 2026-04-01 10.00
            acme adjustment 2026-05-01 5.00
            acme adjustment 2026-06-01 2.00
            beta opening 2026-01-01 10.00
            beta closing 2026-02-01 10.00
            beta closing 2026-03-01 10.00
            beta closing 2026-04-01 10.00
            beta closing 2026-05-01 10.00
            beta closing 2026-06-01 10.00
        """,
    ),
    # Usage without a delay would have stood on the closing of 1 February, which was final at its midnight with p0's
    # fee: it has a delayed one, of the day after. That waits for the grace; −100 + 10 for January and for February,
    # and the 10 that came before 6 February. The 5 after it are late: 10 + 5.
    History(
        "usage that has lost its delay stands on a delayed document of the next day",
        plans=[P0, P1],
        subscriptions=[subscription("p0", "2026-01-01")],
        more=GRACE,
        steps={
            "2026-02-01T09:00": "plan assign acme p1 --start previous-period",
            "2026-02-04": "use 10 calls on 2026-01-20",
            "2026-02-12": "use 5 calls on 2026-01-21",
        },
        runs=["2026-03-10", "2026-04-06"],
        until="2026-04-06",
        documents="""
            acme opening 2026-01-01 100.00
            acme closing 2026-02-01 100.00
            acme delayed 2026-02-02 -170.00 cut 2026-02-06
            acme closing 2026-03-01 15.00 = 5.00 + 10.00
            acme closing 2026-04-01 10.00
        """,
    ),
    # As before; without grace it locks at once. −100 + 10 twice, and 3.
    History(
        "usage that has lost its delay later stands on a delayed document of the day of the change",
        plans=[P0, P1],
        subscriptions=[subscription("p0", "2026-01-01")],
        steps={
            "2026-02-02": "use 3 calls on 2026-01-20",
            "2026-02-04T09:00": "plan assign acme p1 --start previous-period",
        },
        runs=["2026-03-10", "2026-04-06"],
        until="2026-04-06",
        documents="""
            acme opening 2026-01-01 100.00
            acme closing 2026-02-01 100.00
            acme delayed 2026-02-04 -177.00 cut 2026-02-04
            acme closing 2026-03-01 10.00
            acme closing 2026-04-01 10.00
        """,
    ),
    # February's closing has no line of its own, and locks on 1 March: before February's delayed document.
    History(
        "late usage stands on a closing that has nothing else",
        plans=[plan("p0", SLOW_CALLS)],
        subscriptions=[subscription("p0", "2026-01-01")],
        steps={"2026-02-12": "use 5 calls on 2026-01-20"},
        until="2026-03-06",
        documents="acme closing 2026-03-01 5.00",
    ),
    # 365 − 31 days. The opening of 2 March is cut off first, but an end is credited where its month closes; that the
    # opening is held since the 7th, and final after that closing, does not credit it twice.
    History(
        "an end is credited once though an opening before it is held",
        plans=[plan("yearly", YEARLY), plan("weekly", WEEKLY, CALLS)],
        subscriptions=[
            {**subscription("yearly", "2026-01-01"), "id": "card"},
            subscription("weekly", "2026-02-23"),
        ],
        more=GRACE,
        steps={
            "2026-02-07T09:00": "subscription cancel card --end 2026-02-01",
            "2026-03-07T09:00": "hold place acme --period 2026-03-01 --reason disputed",
            "2026-03-08T12:00": "hold release 1 --reason settled",
        },
        runs=["2026-03-08", "2026-03-09"],
        until="2026-03-09",
        documents="""
            acme opening 2026-01-01 365.00
            acme opening 2026-02-23 7.00
            acme closing 2026-03-01 -334.00 cut 2026-03-06
            acme opening 2026-03-02 7.00 cut 2026-03-02
            acme opening 2026-03-09 7.00
        """,
    ),
    # What came by the 16th, the 23rd and 2 March stands on the openings of these days; those of February are held since
    # the 24th and are final after that of 2 March.
    History(
        "late usage stands on the first document after it, though those before that are held",
        plans=[plan("weekly", WEEKLY, CALLS)],
        subscriptions=[subscription("weekly", "2026-01-05")],
        more=GRACE,
        steps={
            "2026-01-20": "use 10 calls on 2026-01-19",
            "2026-02-10": "use 5 calls on 2026-01-20",
            "2026-02-18": "use 3 calls on 2026-01-21",
            "2026-02-25": "use 2 calls on 2026-01-22",
            **FEBRUARY_IS_HELD,
        },
        runs=["2026-03-03", "2026-03-08"],
        until="2026-03-09",
        documents="""
            acme opening 2026-01-05 7.00
            acme opening 2026-01-12 7.00
            acme opening 2026-01-19 7.00
            acme opening 2026-01-26 7.00
            acme closing 2026-02-01 10.00 cut 2026-02-06
            acme opening 2026-02-02 7.00
            acme opening 2026-02-09 7.00
            acme opening 2026-02-16 12.00 = 5.00 + 7.00
            acme opening 2026-02-23 10.00 = 3.00 + 7.00
            acme opening 2026-03-02 9.00 = 2.00 + 7.00
            acme opening 2026-03-09 7.00
        """,
    ),
    # Two from the 26th on: 4 days of the opening of the 23rd, 4.00 on that of 2 March, which is final before it. One
    # again: −4.00 and −7.00 on February's closing, which locks before the opening of 9 March.
    History(
        "a fee of a document that is cut off and held is adjusted as if that were final",
        plans=[plan("weekly", WEEKLY, CALLS)],
        subscriptions=[subscription("weekly", "2026-02-23")],
        more=GRACE,
        start="2026-02-20",
        steps={
            **FEBRUARY_IS_HELD,
            "2026-02-25T09:00": "subscription change acme --quantity visit=2 --start 2026-02-26",
            "2026-03-04T09:00": "subscription change acme --quantity visit=1 --start 2026-02-26",
        },
        runs=["2026-03-03", "2026-03-05", "2026-03-08"],
        until="2026-03-09",
        documents="""
            acme opening 2026-02-23 7.00
            acme opening 2026-03-02 18.00 = 4.00 + 14.00
            acme closing 2026-03-01 -11.00 = -7.00 + -4.00 cut 2026-03-07
            acme opening 2026-03-09 7.00 due 0.00
        """,
    ),
    # The reissue of 20 February carries the 4 that came on the 18th; the 5 are the opening's of the 16th, which no run
    # has made final by then, or which is held.
    History(
        "a reissue leaves late usage to the document that is cut off before it",
        plans=[plan("weekly", WEEKLY, CALLS)],
        subscriptions=[subscription("weekly", "2026-01-05")],
        more=GRACE,
        steps={
            "2026-01-20": "use 10 calls on 2026-01-19; tick",
            "2026-02-10": "use 5 calls on 2026-01-20",
            "2026-02-17T09:00": "hold place acme --period 2026-02-01 --reason disputed",
            "2026-02-18": "use 4 calls on 2026-01-21",
            "2026-02-20T09:00": "invoices void ${acme opening 2026-01-12} --reissue --reason wrong",
            "2026-02-21T09:00": "hold release 1 --reason settled",
        },
        runs=["2026-02-03", "2026-02-19", "2026-02-23"],
        until="2026-02-23",
        documents="""
            acme opening 2026-01-05 7.00
            acme opening 2026-01-12 7.00
            acme opening 2026-01-12 11.00 = 4.00 + 7.00 cut 2026-02-20
            acme opening 2026-01-19 7.00
            acme opening 2026-01-26 7.00
            acme closing 2026-02-01 10.00
            acme opening 2026-02-02 7.00
            acme opening 2026-02-09 7.00
            acme opening 2026-02-16 12.00 = 5.00 + 7.00 cut 2026-02-16
            acme opening 2026-02-23 7.00
        """,
    ),
]


@each_way(HISTORIES)
def test_what_is_late_stands_where_it_must(
    history: History, way: str, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not (wrong := played(history, way, postgres, tmp_path, monkeypatch)), wrong
