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
            acme closing 2026-02-01 14.52 = -5.48 + 10.00 + 10.00
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
            acme closing 2026-02-01 145.16 = -54.84 + 100.00 + 100.00
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
