"""Plans change to and from nothing, in mid month, backdated: what is due and not billed reaches the customer."""

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

FREE, PRO = plan("free"), plan("pro", fee("31"))
TRIAL_UNTIL_15_FEBRUARY = [{"plan": "trial"}, {"plan": "pro", "start": "2026-02-15"}]
GRATIS = {**CALLS, "price": {"model": "per_unit", "unit_amount": "0"}}
BETA_IN_GRACE = {"customers": [{"id": "acme"}, {"id": "beta", "grace": "20 days"}]}

HISTORIES = [
    # 10–31 March is 22 of 31 days: 22.00; the fee of March that is missing and that of April are on one document.
    History(
        "a fee that begins in mid month is billed on the closing of that month",
        plans=[FREE, PRO],
        subscriptions=[subscription("free", "2026-02-01")],
        start="2026-02-01",
        steps={"2026-03-10T09:00": "plan assign acme pro"},
        until="2026-05-01",
        documents="""
            acme closing 2026-04-01 53.00 = 22.00 + 31.00
            acme closing 2026-05-01 31.00
        """,
    ),
    History(
        "a fee that begins in mid month is billed whoever else is in grace",
        plans=[FREE, PRO, plan("metered", CALLS)],
        subscriptions=[subscription("free", "2026-02-01"), subscription("metered", "2026-02-01", customer="beta")],
        more=BETA_IN_GRACE,
        start="2026-02-01",
        steps={"2026-03-10T09:00": "plan assign acme pro"},
        until="2026-05-01",
        documents="""
            acme closing 2026-04-01 53.00 = 22.00 + 31.00
            acme closing 2026-05-01 31.00
        """,
    ),
    History(
        "a fee that begins in mid month is billed where everyone else is locked",
        plans=[FREE, PRO, plan("metered", CALLS)],
        subscriptions=[subscription("free", "2026-02-01"), subscription("metered", "2026-02-01", customer="beta")],
        more={"customers": [{"id": "acme"}, {"id": "beta"}]},
        start="2026-02-01",
        steps={
            "2026-02-20": "use 1 calls of beta on 2026-02-19",
            "2026-03-10T09:00": "plan assign acme pro",
        },
        until="2026-05-01",
        documents="""
            acme closing 2026-04-01 53.00 = 22.00 + 31.00
            acme closing 2026-05-01 31.00
            beta closing 2026-03-01 1.00
        """,
    ),
    History(
        "a fee from the start of the running period is billed for all of it",
        plans=[FREE, PRO],
        subscriptions=[subscription("free", "2026-02-01")],
        start="2026-02-01",
        steps={"2026-03-10T09:00": "plan assign acme pro --start current-period"},
        until="2026-05-01",
        documents="""
            acme closing 2026-04-01 62.00 = 31.00 + 31.00
            acme closing 2026-05-01 31.00
        """,
    ),
    # 1–10 March is kept. The plan that begins on 1 May was scheduled: April's closing has its fee, 31 − 21 to be paid.
    History(
        "what a change to a free plan leaves unused is given back as customer credit",
        plans=[FREE, PRO],
        subscriptions=[subscription("pro", "2026-03-01")],
        start="2026-02-01",
        steps={"2026-03-11T09:00": "plan assign acme free", "2026-04-20": "plan assign acme pro --start 2026-05-01"},
        until="2026-05-01",
        documents="""
            acme opening 2026-03-01 31.00
            acme closing 2026-04-01 -21.00 due 0.00
            acme closing 2026-05-01 31.00 due 10.00
        """,
    ),
    History(
        "a free plan from the start of the running period gives back its whole fee",
        plans=[plan("paid", fee("100"), CALLS), plan("free", CALLS)],
        subscriptions=[subscription("paid", "2026-01-01")],
        steps={
            "2026-01-10": "use 7 calls on 2026-01-09",
            "2026-01-15T09:00": "plan assign acme free --start current-period",
        },
        until="2026-03-01",
        documents="""
            acme opening 2026-01-01 100.00
            acme closing 2026-02-01 -93.00 = -100.00 + 7.00
        """,
    ),
    # 31 × 22/31 = 22.00; 10 March to 31 December is 297 of 365 days: 300 × 297/365 = 244.109….
    History(
        "a yearly fee in the place of a monthly one is billed on the closing of the month of the change",
        plans=[plan("monthly", fee("31")), plan("yearly", fee("300", every="year"))],
        subscriptions=[subscription("monthly", "2026-02-01")],
        start="2026-02-01",
        steps={"2026-03-10T09:00": "plan assign acme yearly"},
        until="2026-05-01",
        documents="""
            acme opening 2026-02-01 31.00
            acme closing 2026-03-01 31.00
            acme closing 2026-04-01 222.11 = -22.00 + 244.11
        """,
    ),
    # 15 March to 31 December is 292 of 365 days: 600 × 292/365 = 480, 1200 × 292/365 = 960.
    History(
        "a dearer yearly fee is billed on the closing of the month of the change",
        plans=[plan("yearly", fee("600", every="year")), plan("dearer", fee("1200", every="year"))],
        subscriptions=[subscription("yearly", "2026-01-01")],
        steps={"2026-03-15T09:00": "plan assign acme dearer"},
        until="2026-05-01",
        documents="""
            acme opening 2026-01-01 600.00
            acme closing 2026-04-01 480.00 = -480.00 + 960.00
        """,
    ),
    # January had no document of acme's. Its closing is dated no earlier than the change that calls for it, and waits
    # for acme's ten days of grace.
    History(
        "a start moved back in a customer's own grace brings a document that is not dated before it",
        plans=[plan("metered", CALLS)],
        subscriptions=[subscription("metered", "2026-02-01"), subscription("metered", "2026-01-01", customer="beta")],
        more={"customers": [{"id": "acme", "grace": "10 days"}, {"id": "beta"}]},
        steps={
            "2026-01-25": "use 50 calls on 2026-01-20",
            "2026-02-03T09:00": "plan assign acme metered --start previous-period --extend",
        },
        until="2026-03-11",
        documents="acme delayed 2026-02-03 50.00 cut 2026-02-11",
    ),
    # 15–31 March is 17 of 31 days.
    History(
        "a phase that is scheduled before it starts has an opening document of that day",
        plans=[FREE, PRO],
        subscriptions=[subscription("free", "2026-03-01")],
        start="2026-02-20",
        steps={"2026-03-10T09:00": "plan assign acme pro --start 2026-03-15"},
        until="2026-04-01",
        documents="""
            acme opening 2026-03-15 17.00
            acme closing 2026-04-01 31.00
        """,
    ),
    *(
        History(
            f"a phase of the 15th that is recorded on the {day}th is billed on the closing of the month",
            plans=[FREE, PRO],
            subscriptions=[subscription("free", "2026-03-01")],
            start="2026-02-20",
            steps={f"2026-03-{day}T09:00": "plan assign acme pro --start 2026-03-15"},
            until="2026-04-01",
            documents="acme closing 2026-04-01 48.00 = 17.00 + 31.00",
        )
        for day in ("15", "20")
    ),
    # 15–28 February is 14 of 28 days.
    History(
        "a fee that begins after a trial has an opening document of that day",
        plans=[plan("trial"), plan("pro", fee("100"))],
        subscriptions=[
            {"id": "acme", "customer": "acme", "start": "2026-01-15", "phases": TRIAL_UNTIL_15_FEBRUARY},
        ],
        start="2026-01-10",
        until="2026-03-01",
        documents="""
            acme opening 2026-02-15 50.00
            acme closing 2026-03-01 100.00
        """,
    ),
    History(
        "a scheduled fee in the place of delayed usage has an opening document of the day it begins",
        plans=[plan("p0", SLOW_CALLS), plan("p1", fee("100"), CALLS)],
        subscriptions=[subscription("p0", "2026-01-01")],
        steps={"2026-02-10T02:00": "plan assign acme p1 --start 2026-02-15"},
        runs=["2026-02-15", "2026-03-01", "2026-04-01"],
        until="2026-04-01",
        documents="""
            acme opening 2026-02-15 50.00
            acme closing 2026-03-01 100.00
            acme closing 2026-04-01 100.00
        """,
    ),
    History(
        "a fee that begins at once in the place of delayed usage is billed on the closing of the month",
        plans=[plan("p0", SLOW_CALLS), plan("p1", fee("100"), CALLS)],
        subscriptions=[subscription("p0", "2026-01-01")],
        steps={"2026-02-15T02:00": "plan assign acme p1"},
        runs=["2026-02-15", "2026-03-01", "2026-04-01"],
        until="2026-04-01",
        documents="""
            acme closing 2026-03-01 150.00 = 50.00 + 100.00
            acme closing 2026-04-01 100.00
        """,
    ),
    History(
        "usage at price 0 asks for no invoice",
        plans=[plan("gratis", GRATIS)],
        subscriptions=[subscription("gratis", "2026-01-01")],
        steps={"2026-01-20": "use 10 calls on 2026-01-19"},
        until="2026-02-01",
        documents="",
    ),
    History(
        "usage at price 0 has an invoice where the account says so",
        plans=[plan("gratis", GRATIS)],
        subscriptions=[subscription("gratis", "2026-01-01")],
        more={"account": {"name": "Example", "currency": "USD", "zero_documents": "issue"}},
        steps={"2026-01-20": "use 10 calls on 2026-01-19"},
        until="2026-02-01",
        documents="acme closing 2026-02-01 0.00",
    ),
    # January's closing bills the four weeks that were due before they were known: two of them are dearer by 7.00 each,
    # as are those of 26 January and 2 February.
    History(
        "several weeks of a fee on one document are adjusted each on its own",
        plans=[FREE, plan("weekly", fee("7", id="visit", every="week"), SLOW_CALLS)],
        subscriptions=[subscription("free", "2026-01-01")],
        steps={
            "2026-01-20T09:00": "plan assign acme weekly --start current-period",
            "2026-02-03T09:00": "subscription change acme --quantity visit=2 --start 2026-01-12",
        },
        until="2026-02-06",
        documents="""
            acme opening 2026-01-26 7.00
            acme closing 2026-02-01 25.00 = 4.00 + 7.00 + 7.00 + 7.00
            acme opening 2026-02-02 7.00
            acme delayed 2026-02-06 28.00 = 7.00 + 7.00 + 7.00 + 7.00
        """,
    ),
]


@each_way(HISTORIES)
def test_what_is_due_reaches_the_customer(
    history: History, way: str, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not (wrong := played(history, way, postgres, tmp_path, monkeypatch)), wrong
