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
        more={"account": {"name": "Example", "currency": "USD", "grace": "5 days"}},
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
]


@each_way(HISTORIES)
def test_what_is_late_stands_where_it_must(
    history: History, way: str, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not (wrong := played(history, way, postgres, tmp_path, monkeypatch)), wrong
