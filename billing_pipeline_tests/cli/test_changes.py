"""billing plan, subscription, discount: what is owed changes, and each document that it changes is shown."""

from pathlib import Path

import pytest

from billing_pipeline_tests.cli.command_line import CommandLine, usage_file
from billing_pipeline_tests.sandbox import Sandbox

PLANS = """
plans:
  - {id: scale, fees: [{id: seats, name: Seats, amount: 10, every: month, timing: in_arrears}], prices: [
      {id: compute, meter: compute, price: {model: per_unit, unit_amount: "0.05"}}]}
  - {id: euro, currency: EUR, prices: [{id: compute, meter: compute, price: {model: per_unit, unit_amount: "1"}}]}
"""


@pytest.fixture
def billing(billing: CommandLine, tmp_path: Path) -> CommandLine:
    """Acme used for 10.00 in January, of which twenty days are over."""
    (tmp_path / "plans.yaml").write_text(PLANS)
    billing("catalog", "apply", str(tmp_path / "plans.yaml"))
    billing("usage", "land", usage_file(tmp_path, "january.csv", "acme,compute,2026-01-03T10:00Z,100,eu,,"))
    billing("tick")
    return billing


def totals(billing: CommandLine) -> dict[str, str]:
    found = billing.json("invoices", "list", "--period", "2026-01-01")
    return {one["customer"]: one["total"] for one in found if one["kind"] == "closing"}


def test_a_plan_is_shown_assigned_and_billed(billing: CommandLine) -> None:
    words = ("plan", "assign", "acme", "scale", "--start", "1767225600")
    dry = billing.json(*words, "--dry-run")
    assert (dry["change"], dry["dry_run"], dry["customer"], dry["subscription"]) == (None, True, "acme", "acme-payg")
    assert dry["start"] == "2026-01-01T00:00:00Z"
    (document,) = dry["documents"]
    assert document["total"] == {"old": "10.00", "new": "15.00", "difference": "5.00"}
    assert document["line_count"] == {"old": 1, "new": 2}
    added = [(one["kind"], one["amount"]["new"]) for one in document["lines"] if one["change"] == "added"]
    assert sorted(added) == [("fee", "10.00"), ("usage", "5.00")]
    assert totals(billing)["acme"] == "10.00"

    made = billing.json(*words, "--actor", "jo")
    assert (made["change"], made["dry_run"], made["documents"]) == (3, False, dry["documents"])
    billing("tick")
    assert totals(billing)["acme"] == "15.00"
    assert billing.json(*words)["change"] is None


def test_a_person_reads_what_changes(billing: CommandLine) -> None:
    shown = billing("plan", "assign", "acme", "scale", "--start", "current-period").stdout
    assert "Recorded as change 3: plan assign acme scale --subscription acme-payg --start 2026-01-01" in shown
    assert "~ subscription acme-payg" in shown
    assert "phases[0].plan: payg → scale" in shown
    row = next(line for line in shown.splitlines() if line.strip().startswith("closing"))
    assert row.split() == ["closing", "2026-01-01", "2026-02-01", "2", "10.00", "15.00", "+5.00", "USD"]
    assert billing("plan", "assign", "acme", "scale").stdout == "Nothing changes: it is so already.\n"
    later = billing("plan", "assign", "acme", "payg", "--start", "2026-06-01", "--dry-run").stdout
    assert "Would change: plan assign acme payg" in later
    assert "Documents that change: none." in later


def test_after_the_grace_it_is_refused_with_the_earliest_start(billing: CommandLine, sandbox: Sandbox) -> None:
    sandbox.at("2026-02-03")
    assert billing.json("plan", "assign", "acme", "scale", "--start", "previous-period", "--dry-run")["documents"]
    sandbox.at("2026-02-04")
    error = billing.error("plan", "assign", "acme", "scale", "--start", "previous-period")
    assert (error["code"], error["hint"]) == ("refused", "The earliest start is 2026-02-01T00:00:00+00:00.")
    assert (
        "The earliest start" in billing("plan", "assign", "acme", "scale", "--start", "2026-01-31", exit_code=2).stderr
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("plan assign acme euro", "Plan 'euro' is in EUR, customer 'acme' in USD."),
        ("plan assign acmee scale", "There is no customer 'acmee'."),
        ("plan assign acme scale --start yesterday", "'yesterday' is no start."),
        ("subscription cancel acme", "There is no subscription 'acme'."),
        ("subscription change acme-payg --quantity seats=2", "None of the plans of acme-payg has a fee 'seats'."),
        ("subscription change acme-payg --quantity seats", "Invalid value: 'seats' is not NAME=VALUE."),
        ("discount add acme --id d", "A discount is a percentage or an amount."),
        ("discount end launch", "There is no discount 'launch'."),
    ],
)
def test_what_cannot_be_is_refused(billing: CommandLine, words: str, says: str) -> None:
    assert billing.error(*words.split())["message"].startswith(says)


@pytest.mark.parametrize("instant", ["9999-12-31", "9999-12-31T23:59:59.999999Z", "9000-01-01"])
@pytest.mark.parametrize(
    "words",
    [
        "plan assign acme scale --start",
        "plan assign acme scale --dry-run --start",
        "subscription cancel acme-payg --end",
        "discount add acme --id d --percent 5 --start 2026-01-01 --end",
        "discount add acme --id d --percent 5 --periods 1200 --start",
        "clock set",
    ],
)
def test_what_lies_where_dates_end_is_refused_before_it_is_recorded(
    billing: CommandLine, words: str, instant: str
) -> None:
    error = billing.error(*words.split(), instant)
    assert (error["code"], "is not before the year 9000" in error["message"]) == ("refused", True)
    billing("tick")


def test_seats_a_discount_and_the_end(billing: CommandLine) -> None:
    billing("plan", "assign", "acme", "scale", "--start", "current-period")
    change = ("subscription", "change", "acme-payg", "--quantity", "seats=4", "--start", "current-period")
    assert [one["total"]["difference"] for one in billing.json(*change)["documents"]] == ["30.00"]
    add = ("discount", "add", "acme", "--id", "launch", "--percent", "50", "--price", "seats", "--start", "2026-01-01")
    made = billing.json(*add, "--periods", "3")
    assert made["discount"] == "launch"
    assert [one["total"]["difference"] for one in made["documents"]] == ["-20.00"]
    ended = billing.json("discount", "end", "launch", "--end", "current-period", "--dry-run")
    assert [one["total"]["difference"] for one in ended["documents"]] == ["20.00"]
    cancelled = billing("subscription", "cancel", "acme-payg", "--end", "2026-01-01").stdout
    assert "end: – → 2026-01-01T00:00:00Z" in cancelled
    assert "-25.00" in cancelled
    billing("tick")
    assert totals(billing).get("acme", "0.00") == "0.00"
