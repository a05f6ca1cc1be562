"""A dry run says what will be: the documents it lists, and their totals, are those that the change then makes."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.cli.command_line import CommandLine
from billing_pipeline_tests.sandbox import JANUARY, SOURCE, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

CATALOG = """
account: {{name: Example, currency: USD, grace: 3 days}}
meters: [{{id: calls, aggregation: sum}}]
plans:
  - id: basic
    fees: [{{id: platform, amount: "{amount}", prorate: {prorate}}}]
    prices: [{{id: calls, meter: calls, price: {{model: per_unit, unit_amount: 1}}}}]
  - {{id: free}}
  - {{id: pro, fees: [{{id: platform, amount: "310"}}]}}
customers: [{{id: acme}}]
subscriptions: [{{id: acme, customer: acme, plan: {plan}, start: {start}}}]
"""
WEEKLY = """
account: {name: Example, currency: USD}
meters: [{id: calls, aggregation: sum}]
plans:
  - id: weekly
    fees: [{id: visit, amount: 7, every: week}]
    prices: [{id: calls, meter: calls, price: {model: per_unit, unit_amount: 1}}]
customers: [{id: acme}]
subscriptions: [{id: acme, customer: acme, plan: weekly, start: 2026-01-05}]
"""
Totals = dict[tuple[str, str], str]
MOVED = ("plan", "assign", "acme", "basic", "--start", "previous-period", "--extend")
TENTH = ("discount", "add", "acme", "--id", "tenth", "--percent", "10", "--start", "previous-period")


def totals(sandbox: Sandbox) -> Totals:
    """What all of January's and February's documents ask for."""
    return {(one.kind, one.issue_date): f"{one.total}" for one in sandbox.documents("acme") if one.lines}


def catalog(*, amount: str, start: str, prorate: str = "true", plan: str = "basic") -> str:
    return SOURCE + CATALOG.format(amount=amount, start=start, prorate=prorate, plan=plan)


@pytest.mark.parametrize(
    ("sold", "words", "last_run", "changed"),
    [
        # 17 of 31 days are final; the other 45.16 stand beside February's fee.
        pytest.param(
            catalog(amount="100", start="2026-01-15"),
            MOVED,
            "2026-02-02",
            {("closing", "2026-02-01"): ("100.00", "145.16")},
            id="a start moved back",
        ),
        pytest.param(
            catalog(amount="100", start="2026-01-15"),
            MOVED,
            "2026-01-14",
            {("closing", "2026-02-01"): ("100.00", "145.16")},
            id="a start moved back with an opening overdue",
        ),
        # The opening's cutoff has passed, though no run has come since: it stays. February's fee is on a draft.
        pytest.param(
            catalog(amount="11.90", start="2026-01-20", prorate="false"),
            TENTH,
            "2026-01-19",
            {("closing", "2026-02-01"): ("11.90", "10.71"), ("closing", "2026-03-01"): ("11.90", "10.71")},
            id="a discount with an opening overdue",
        ),
        # 10–28 February is 19 of 28 days of 310: 210.36, beside March's 310.
        pytest.param(
            catalog(amount="1", start="2026-01-01", plan="free"),
            ("plan", "assign", "acme", "pro", "--start", "2026-02-10"),
            "2026-02-02",
            {("opening", "2026-02-10"): ("0.00", "210.36"), ("closing", "2026-03-01"): ("0.00", "310.00")},
            id="a fee in the place of nothing",
        ),
    ],
)
def test_a_dry_run_says_what_the_change_makes(
    sold: str,
    words: Sequence[str],
    last_run: str,
    changed: dict[tuple[str, str], tuple[str, str]],
    postgres: Server,
    tmp_path: Path,
) -> None:
    with open_sandbox(postgres, tmp_path, sold, now="2026-01-01") as sandbox:
        tick(sandbox.at("2026-01-14").billing)
        tick(sandbox.at(last_run).billing)
        ask = CommandLine(sandbox.at("2026-02-02T09:00").environment).json
        said = ask(*words, "--dry-run")["documents"]
        assert {(one["kind"], one["issue_date"]): (one["total"]["old"], one["total"]["new"]) for one in said} == changed
        assert ask(*words)["documents"] == said
        tick(sandbox.at("2026-02-12").billing)
        made = totals(sandbox)
        assert {key: made.get(key) for key in changed} == {key: new for key, (_, new) in changed.items()}


def test_a_dry_run_where_nothing_ever_ran_says_each_difference_once(postgres: Server, tmp_path: Path) -> None:
    """Fee 100: 54.84 of January were due on the 15th; what is lacking stands on January's closing alone."""
    with open_sandbox(postgres, tmp_path, catalog(amount="100", start="2026-01-15"), now="2026-01-01") as sandbox:
        listed = ask_at(sandbox, "2026-02-02T09:00", *MOVED, "--dry-run")["documents"]
        totals = [(one["kind"], one["issue_date"], one["total"]) for one in listed]
        assert totals == [("closing", "2026-02-01", {"old": "100.00", "new": "145.16", "difference": "45.16"})]


@pytest.mark.parametrize("held", [False, True])
def test_a_dry_run_leaves_late_usage_to_the_documents_that_are_cut_off(
    postgres: Server, tmp_path: Path, *, held: bool
) -> None:
    """The weeks of 9 and 16 February carry 5 and 3 of January's usage; that of the 23rd, two visits in place of one.

    They wait for a run that has not come, or they are held since their cutoffs.
    """
    change = ("subscription", "change", "acme", "--quantity", "visit=2", "--start", "2026-02-23")
    with open_sandbox(postgres, tmp_path, SOURCE + WEEKLY, now="2026-01-05") as sandbox:
        tick(sandbox.at("2026-02-03").billing)
        for day, used_at, value in (("2026-02-05", "2026-01-20", 5), ("2026-02-10", "2026-01-21", 3)):
            sandbox.at(day).land(use("acme", "calls", f"{used_at}T12:00", value))
        if held:
            ask_at(sandbox, "2026-02-17", "hold", "place", "acme", "--period", "2026-02-01", "--reason", "disputed")
            tick(sandbox.at("2026-02-18").billing)
        listed = ask_at(sandbox, "2026-02-20", *change, "--dry-run")["documents"]
        assert [(one["issue_date"], one["total"]) for one in listed] == [
            ("2026-02-23", {"old": "7.00", "new": "14.00", "difference": "7.00"})
        ]
        assert ask_at(sandbox, "2026-02-20", *change)["documents"] == listed
        if held:
            ask_at(sandbox, "2026-02-21", "hold", "release", "1", "--reason", "settled")
        tick(sandbox.at("2026-02-23").billing)
        made = {issued: total for (_, issued), total in totals(sandbox).items()}
        assert [made[day] for day in ("2026-02-09", "2026-02-16", "2026-02-23")] == ["12.00", "10.00", "14.00"]


def test_a_draft_that_nothing_calls_for_is_withdrawn_and_the_answer_lists_it(postgres: Server, tmp_path: Path) -> None:
    """Held since 14 January: the opening of the 15th, 17 of 31 days. From the 1st on January is 10.00, once."""
    with open_sandbox(postgres, tmp_path, catalog(amount="10", start="2026-01-15"), now="2026-01-10") as sandbox:
        ask = CommandLine(sandbox.environment).json
        tick(sandbox.at("2026-01-14").billing)
        ask("hold", "place", "acme", "--period", JANUARY, "--reason", "checked by hand")
        tick(sandbox.at("2026-02-01").billing)
        assert totals(sandbox)["opening", "2026-01-15"] == "5.48"
        listed = {one["issue_date"]: one["total"] for one in ask_at(sandbox, "2026-02-02T09:00", *MOVED)["documents"]}
        assert listed["2026-01-15"] == {"old": "5.48", "new": "0.00", "difference": "-5.48"}
        tick(sandbox.billing)
        assert ("opening", "2026-01-15") not in totals(sandbox)
        ask_at(sandbox, "2026-02-03T09:00", "hold", "release", "1", "--reason", "right")
        tick(sandbox.billing)
        tick(sandbox.at("2026-02-04").billing)
        # Nothing is dated before its cause: the fee that was due on the 1st is on January's closing.
        assert min(issued for _, issued in totals(sandbox)) == "2026-02-01"
        january = sandbox.documents("acme", JANUARY)
        assert {one.status for one in january} == {"finalized"}
        assert sum(one.total for one in january) == 10 + 10  # with the fee of February


def ask_at(sandbox: Sandbox, now: str, *words: str) -> dict[str, list[dict[str, object]]]:
    answer: dict[str, list[dict[str, object]]] = CommandLine(sandbox.at(now).environment).json(*words)
    return answer
