"""Allowances and bounds are of a whole period: whatever changes in it, they are given once, and hold."""

from pathlib import Path

import pytest

from billing_pipeline_tests.scenarios.short_history import (
    CALLS,
    SLOW_STORAGE,
    History,
    arrears,
    each_way,
    fee,
    plan,
    played,
    subscription,
)
from billing_pipeline_tests.servers import Server

AUDIT = {"id": "audit", "amount": "90", "every": "quarter", "timing": "in_arrears"}
BASIC, DEAR = plan("basic", fee("100"), CALLS), plan("dear", fee("200"), CALLS)
REBATE = {"discounts": [{"id": "rebate", "customer": "acme", "amount": "25", "start": "2026-01-01"}]}
JANUARYS = {"discounts": [{**REBATE["discounts"][0], "periods": 1}]}
WEEKLY = {"id": "visit", "amount": "7", "every": "week"}
JANUARYS_USAGE = {"2026-01-20": "use 10 calls on 2026-01-19"}
# The opening fee takes all 25 of January's allowance; of February's, the fee of February does.
DISCOUNTED = """
    acme opening 2026-01-01 75.00 = -25.00 + 100.00
    acme closing 2026-02-01 85.00 = -25.00 + 10.00 + 100.00
"""

HISTORIES = [
    # February's fee is final without it; the usage of the same month still can take it.
    History(
        "a fixed discount that finds its fee final is taken by usage of the period",
        plans=[BASIC],
        subscriptions=[subscription("basic", "2026-02-01")],
        start="2026-01-15",
        steps={
            "2026-02-10T09:00": "discount add acme --id rebate --amount 25.00 --start now --periods 1",
            "2026-02-11T09:00": "use 50 calls on 2026-02-11T08:00:00Z",
        },
        until="2026-04-01",
        documents="""
            acme opening 2026-02-01 100.00
            acme closing 2026-03-01 125.00 = -25.00 + 50.00 + 100.00
            acme closing 2026-04-01 100.00
        """,
    ),
    # 7 + 100 − 25: January's allowance was used up by its fee.
    History(
        "late usage finds the allowance of its period used",
        plans=[BASIC],
        subscriptions=[subscription("basic", "2026-01-01")],
        more=REBATE,
        steps={**JANUARYS_USAGE, "2026-02-03": "use 7 calls on 2026-01-25"},
        until="2026-03-01",
        documents=DISCOUNTED + "acme closing 2026-03-01 82.00",
    ),
    # 15–28 February is 14 of 28 days: −50 + 100 with no allowance left, and 200 − 25 for March.
    History(
        "a dearer plan finds the allowance of the period used",
        plans=[BASIC, DEAR],
        subscriptions=[subscription("basic", "2026-01-01")],
        more=REBATE,
        steps={**JANUARYS_USAGE, "2026-02-15T09:00": "plan assign acme dear"},
        until="2026-03-01",
        documents=DISCOUNTED + "acme closing 2026-03-01 225.00",
    ),
    # 93 for April and the weeks from the 6th on are final when the allowance of April is given: only the week of the
    # 27th can take it, 10 of 25. That a document of May looks at April again changes nothing. May's fee, twice as much,
    # takes all of May's allowance.
    History(
        "a fixed discount that a week took is not looked for again where the month before has the fee",
        plans=[plan("weekly", fee("93"), {"id": "visit", "amount": "10", "every": "week"})],
        subscriptions=[subscription("weekly", "2026-03-30")],
        start="2026-03-30",
        steps={
            "2026-04-21T12:00": "discount add acme --id rebate --amount 25.00 --start current-period",
            "2026-04-22T09:00": "subscription change acme --quantity platform=2 --start 2026-05-01",
        },
        until="2026-05-11",
        documents="""
            acme opening 2026-03-30 16.00 = 6.00 + 10.00
            acme closing 2026-04-01 93.00
            acme opening 2026-04-06 10.00
            acme opening 2026-04-13 10.00
            acme opening 2026-04-20 10.00
            acme opening 2026-04-27 0.00 = -10.00 + 10.00
            acme closing 2026-05-01 161.00 = -25.00 + 186.00
            acme opening 2026-05-04 10.00
            acme opening 2026-05-11 10.00
        """,
    ),
    # The allowance is given on 8 February, after the cutoff of January's closing with February's fee: the weeks take
    # it, 7 and 3. That January's closing is held since the 10th, and final only later, changes nothing. March's is
    # taken by its week of 2 March, 7, and by its fee, 3.
    History(
        "a fixed discount passes by a fee that was cut off before and is held",
        plans=[plan("weekly", fee("31"), WEEKLY, CALLS)],
        subscriptions=[subscription("weekly", "2026-01-05")],
        more={"account": {"name": "Example", "currency": "USD", "grace": "5 days"}},
        start="2026-01-05",
        steps={
            "2026-02-08T09:00": "discount add acme --id rebate --amount 10.00 --start current-period",
            "2026-02-10T09:00": "hold place acme --period 2026-01-01 --reason disputed",
            "2026-03-04T09:00": "hold release 1 --reason settled",
        },
        runs=["2026-02-12", "2026-03-03", "2026-03-05"],
        until="2026-03-06",
        documents="""
            acme opening 2026-01-05 34.00 = 7.00 + 27.00
            acme opening 2026-01-12 7.00
            acme opening 2026-01-19 7.00
            acme opening 2026-01-26 7.00
            acme closing 2026-02-01 31.00 cut 2026-02-06
            acme opening 2026-02-02 7.00
            acme opening 2026-02-09 0.00 = -7.00 + 7.00
            acme opening 2026-02-16 4.00 = -3.00 + 7.00
            acme opening 2026-02-23 7.00
            acme opening 2026-03-02 0.00 = -7.00 + 7.00
            acme closing 2026-03-01 28.00 = -3.00 + 31.00
        """,
    ),
    # 14 of 28 days are given back; the allowance of 25 stays with the 14 that are kept.
    History(
        "a cancellation gives back half a fee and leaves the allowance with the other half",
        plans=[BASIC],
        subscriptions=[subscription("basic", "2026-01-01")],
        more=REBATE,
        steps={**JANUARYS_USAGE, "2026-02-10T09:00": "subscription cancel acme --end 2026-02-15"},
        until="2026-03-01",
        documents=DISCOUNTED + "acme closing 2026-03-01 -50.00",
    ),
    # January: 20 of the 25 are the fee's, 5 the storage's. The late 3 find nothing left; February: 20 − 20.
    History(
        "late usage finds an allowance used that a fee in arrears and delayed usage shared",
        plans=[plan("both", arrears("20"), SLOW_STORAGE)],
        subscriptions=[subscription("both", "2026-01-01")],
        more=REBATE,
        steps={"2026-01-20": "use 10 storage on 2026-01-19", "2026-02-10": "use 3 storage on 2026-01-25"},
        until="2026-03-01",
        documents="""
            acme closing 2026-02-01 0.00 = -20.00 + 20.00
            acme delayed 2026-02-06 5.00 = -5.00 + 10.00
            acme closing 2026-03-01 3.00
        """,
    ),
    # The true-up of January was 50 − 10 − 10 − 10 = 20; with 3 + 3 more it is 14: +3 +3 −6 on March's first document.
    History(
        "late usage lowers the true-up of a plan's minimum",
        plans=[plan("both", arrears("10"), CALLS, SLOW_STORAGE, minimum="50")],
        subscriptions=[subscription("both", "2026-01-01")],
        steps={
            "2026-01-20": "use 10 calls on 2026-01-19; use 10 storage on 2026-01-19",
            "2026-02-10": "use 3 calls on 2026-01-25; use 3 storage on 2026-01-25",
        },
        until="2026-03-06",
        documents="""
            acme closing 2026-02-01 20.00
            acme delayed 2026-02-06 30.00 = 10.00 + 20.00
            acme closing 2026-03-01 10.00
            acme delayed 2026-03-06 40.00
        """,
    ),
    # January is at its cap with 10 + 10 + 10 − 5: of 3 + 3 more, 6 are the cap's.
    History(
        "late usage does not exceed a plan's maximum",
        plans=[plan("both", arrears("10"), CALLS, SLOW_STORAGE, maximum="25")],
        subscriptions=[subscription("both", "2026-01-01")],
        steps={
            "2026-01-20": "use 10 calls on 2026-01-19; use 10 storage on 2026-01-19",
            "2026-02-10": "use 3 calls on 2026-01-25; use 3 storage on 2026-01-25",
        },
        until="2026-03-06",
        documents="""
            acme closing 2026-02-01 20.00
            acme delayed 2026-02-06 5.00 = -5.00 + 10.00
            acme closing 2026-03-01 10.00
        """,
    ),
    History(
        "a plan's minimum holds where the plan has no usage price",
        plans=[plan("bound", arrears("10"), minimum="50")],
        subscriptions=[subscription("bound", "2026-01-01")],
        until="2026-03-01",
        documents="""
            acme closing 2026-02-01 50.00 = 10.00 + 40.00
            acme closing 2026-03-01 50.00 = 10.00 + 40.00
        """,
    ),
    # 22.00 of March were not due when March's fees locked: they take the half that is in force when they begin.
    History(
        "a fee that was not due before takes the discount of the day on which it begins",
        plans=[plan("free", CALLS), plan("pro", fee("31"), CALLS)],
        subscriptions=[subscription("free", "2026-02-01")],
        start="2026-02-01",
        steps={
            "2026-03-10T09:00": "plan assign acme pro; "
            "discount add acme --id half --percent 50 --start 2026-03-10T09:00:00Z",
        },
        until="2026-04-01",
        documents="acme closing 2026-04-01 26.50 = -15.50 + -11.00 + 22.00 + 31.00",
    ),
    # The second seat of 10–31 March was not due at the lock: 22.00, and half of it off.
    History(
        "more of a fee takes the discount of the day on which it begins, for what is more",
        plans=[plan("seats", fee("31"), CALLS)],
        subscriptions=[subscription("seats", "2026-02-01", quantities={"platform": 1})],
        start="2026-02-01",
        steps={
            "2026-03-10T09:00": "subscription change acme --quantity platform=2; "
            "discount add acme --id half --percent 50 --start 2026-03-10T09:00:00Z",
        },
        until="2026-04-01",
        documents="""
            acme opening 2026-02-01 31.00
            acme closing 2026-03-01 31.00
            acme closing 2026-04-01 42.00
        """,
    ),
    # 5 × 10.00 are final; 10 days of 5 and 21 of 8 are 16.13 + 54.19: 20.32 more, and all of it is taken.
    History(
        "a discount of all leaves nothing of more seats, and takes no cent that is not there",
        plans=[plan("seats", fee("10"), CALLS)],
        subscriptions=[subscription("seats", "2026-01-01", quantities={"platform": 5})],
        steps={
            "2026-01-05T12:00": "discount add acme --id all --percent 100 --start current-period",
            "2026-01-11T12:00": "subscription change acme --quantity platform=8",
        },
        until="2026-02-01",
        documents="""
            acme opening 2026-01-01 50.00
            acme closing 2026-02-01 0.00 = -80.00 + -20.32 + 20.32 + 80.00
        """,
    ),
    # A fee counts at the start of what it pays for: of January's 25, usage takes 10 and the quarter the other 15.
    History(
        "a quarter in arrears takes what its first month leaves of a fixed discount",
        plans=[plan("audited", AUDIT, CALLS)],
        subscriptions=[subscription("audited", "2026-01-01")],
        more=JANUARYS,
        steps=JANUARYS_USAGE,
        until="2026-04-01",
        documents="""
            acme closing 2026-02-01 0.00 = -10.00 + 10.00
            acme closing 2026-04-01 75.00 = -15.00 + 90.00
        """,
    ),
    # January's fee was final before there was a discount, and those of later months have none.
    History(
        "a quarter in arrears takes the fixed discount of its first month, whose fee was final before",
        plans=[plan("audited", fee("100"), AUDIT)],
        subscriptions=[subscription("audited", "2026-01-01")],
        steps={"2026-01-29T09:00": "discount add acme --id rebate --amount 25 --start current-period --periods 1"},
        until="2026-04-01",
        documents="""
            acme opening 2026-01-01 100.00
            acme closing 2026-02-01 100.00
            acme closing 2026-03-01 100.00
            acme closing 2026-04-01 165.00 = -25.00 + 90.00 + 100.00
        """,
    ),
    # January's closing document comes before April's: the 7 late ones are free, and the quarter has 7 less off.
    History(
        "late usage takes back what a quarter in arrears had of its allowance",
        plans=[plan("audited", AUDIT, CALLS)],
        subscriptions=[subscription("audited", "2026-01-01")],
        more=JANUARYS,
        steps={**JANUARYS_USAGE, "2026-04-10": "use 7 calls on 2026-01-25"},
        until="2026-05-01",
        documents="""
            acme closing 2026-02-01 0.00 = -10.00 + 10.00
            acme closing 2026-04-01 75.00 = -15.00 + 90.00
            acme closing 2026-05-01 7.00 = -7.00 + 7.00 + 7.00
        """,
    ),
    # Held until 10 April, January's closing document still comes first: the quarter gives back 10 of its 25.
    History(
        "a document that was held has its part of an allowance that a later one took meanwhile",
        plans=[plan("audited", AUDIT, CALLS)],
        subscriptions=[subscription("audited", "2026-01-01")],
        more=JANUARYS,
        steps={
            **JANUARYS_USAGE,
            "2026-01-31T09:00": "hold place acme --period 2026-01-01 --reason disputed",
            "2026-04-10T09:00": "hold release 1 --reason confirmed",
        },
        until="2026-05-01",
        documents="""
            acme closing 2026-02-01 0.00 = -10.00 + 10.00
            acme closing 2026-04-01 65.00 = -25.00 + 90.00
            acme closing 2026-05-01 10.00
        """,
    ),
    # The second seat counts from 10 March, and the adjustment of January that bills it takes all 25 of March.
    History(
        "more of a yearly fee takes the fixed discount of the month in which it begins",
        plans=[plan("yearly", fee("365", every="year"), CALLS)],
        subscriptions=[subscription("yearly", "2026-01-01", quantities={"platform": 1})],
        more={"discounts": [{"id": "rebate", "customer": "acme", "amount": "25", "start": "2026-03-01", "periods": 1}]},
        steps={
            "2026-01-05T09:00": "subscription change acme --quantity platform=2 --start 2026-03-10",
            "2026-03-20": "use 30 calls on 2026-03-19",
        },
        until="2026-04-01",
        documents="""
            acme opening 2026-01-01 365.00
            acme closing 2026-02-01 272.00 = -25.00 + 297.00
            acme closing 2026-04-01 30.00
        """,
    ),
    # March's 7.77 are final with −0.78; of four seats more from the 10th, 22.06, −2.20 are taken: 10% of 29.83.
    History(
        "the end of a discount moves no cent of fees that began before it",
        plans=[plan("seats", fee("7.77"), CALLS), plan("other", fee("1", id="visit", every="week"))],
        subscriptions=[
            subscription("seats", "2026-03-01", quantities={"platform": 1}),
            {**subscription("other", "2026-03-01"), "id": "visits"},
        ],
        more={
            "discounts": [
                {"id": "tenth", "customer": "acme", "percent": 10, "start": "2026-02-15", "prices": ["platform"]},
            ]
        },
        start="2026-02-15",
        steps={
            "2026-03-12T18:00": "subscription change acme --quantity platform=5 --start 2026-03-10T12:00:00Z",
            "2026-03-23T18:00": "discount end tenth",
        },
        until="2026-04-01",
        documents="""
            acme opening 2026-03-01 7.13 = -0.78 + 0.14 + 7.77
            acme opening 2026-03-02 1.00
            acme opening 2026-03-09 1.00
            acme opening 2026-03-16 20.86 = -2.20 + 1.00 + 22.06
            acme opening 2026-03-23 1.00
            acme opening 2026-03-30 1.00
            acme closing 2026-04-01 38.85
        """,
    ),
    # January's allowance is the fee's, on whichever document is issued again.
    History(
        "what is issued again takes the allowance that it had and no more",
        plans=[BASIC],
        subscriptions=[subscription("basic", "2026-01-01")],
        more=REBATE,
        steps={
            **JANUARYS_USAGE,
            "2026-02-05T08:00": "tick",
            "2026-02-05T09:00": "invoices void 2026-000001 --reissue --reason address",
            "2026-02-05T10:00": "invoices void 2026-000002 --reissue --reason address",
        },
        until="2026-02-06",
        documents=DISCOUNTED.rstrip() + DISCOUNTED,
    ),
    # The reissue carries January's 7 late ones; the closing document of January has no more discount than it had.
    History(
        "late usage on what is issued again finds the allowance of its period used",
        plans=[BASIC],
        subscriptions=[subscription("basic", "2026-01-01")],
        more=REBATE,
        steps={
            **JANUARYS_USAGE,
            "2026-02-03": "use 7 calls on 2026-01-25",
            "2026-02-05T08:00": "tick",
            "2026-02-05T09:00": "invoices void 2026-000001 --reissue --reason address",
        },
        until="2026-03-01",
        documents=DISCOUNTED.rstrip()
        + """
            acme opening 2026-01-01 82.00 = -25.00 + 7.00 + 100.00
            acme closing 2026-03-01 75.00 = -25.00 + 100.00
        """,
    ),
]


@each_way(HISTORIES)
def test_an_allowance_is_given_once_and_a_bound_holds(
    history: History, way: str, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not (wrong := played(history, way, postgres, tmp_path, monkeypatch)), wrong
