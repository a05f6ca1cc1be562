"""billing invoices void, credit: what they say, and how invoices show, list and diff tell of it."""

from pathlib import Path

import pytest

from billing_pipeline_tests.cli.command_line import CommandLine, usage_file
from billing_pipeline_tests.sandbox import Sandbox

FIRST, SECOND, THIRD = (f"2026-00000{number}" for number in (1, 2, 3))


@pytest.fixture
def locked(sandbox: Sandbox, billing: CommandLine, tmp_path: Path) -> CommandLine:
    """January is final: acme 1.00, beta 0.50. 0.20 more by acme come late."""
    rows = ("acme,compute,2026-01-03T10:00Z,10,eu,,", "beta,compute,2026-01-03T10:00Z,5,eu,,")
    billing("usage", "land", usage_file(tmp_path, "a.csv", *rows))
    sandbox.at("2026-02-04").lock()
    billing("usage", "land", usage_file(tmp_path, "b.csv", "acme,compute,2026-01-04T10:00Z,2,eu,,"))
    sandbox.at("2026-02-05").close()
    assert billing.json("invoices", "show", FIRST)["customer"] == "acme"
    return billing


def test_void_with_a_reissue(locked: CommandLine) -> None:
    words = ("invoices", "void", FIRST, "--reissue", "--reason", "wrong address")
    dry = locked.json(*words, "--dry-run")
    assert dry == {
        "number": FIRST,
        "customer": "acme",
        "currency": "USD",
        "total": "1.00",
        "reissue": None,
        "reissue_total": "1.20",
        "dry_run": True,
    }
    assert locked(*words, "--dry-run").stdout.splitlines() == [
        f"Invoice {FIRST} of acme over 1.00 USD would be void.",
        "In its place: an invoice over 1.20 USD.",
    ]
    assert locked(*words, "--actor", "jo").stdout.splitlines() == [
        f"Invoice {FIRST} of acme over 1.00 USD is void.",
        f"In its place: invoice {THIRD} over 1.20 USD.",
    ]
    assert locked.error(*words)["message"] == f"Invoice {FIRST} is void already."

    shown = locked.json("invoices", "show", FIRST)
    assert (shown["status"], shown["payment_status"], shown["total"]) == ("void", "not_due", "1.00")
    void = {"at": "2026-02-05T00:00:00Z", "actor": "jo", "reason": "wrong address", "replaced_by": THIRD}
    assert (shown["void"], shown["replaces"]) == (void, None)
    said = locked("invoices", "show", FIRST).stdout
    assert f"Void since 2026-02-05T00:00:00Z by jo, replaced by {THIRD}: wrong address" in said
    again = locked.json("invoices", "show", THIRD)
    assert (again["status"], again["payment_status"], again["void"], again["replaces"]) == (
        "finalized",
        "queued",
        None,
        FIRST,
    )
    people = locked("invoices", "show", THIRD).stdout
    assert f"In the place of {FIRST}." in people
    assert f"in the place of {FIRST}" in people.rpartition("Versions")[2]

    listed = {one["number"]: one["status"] for one in locked.json("invoices", "list", "--customer", "acme")}
    assert listed == {FIRST: "void", THIRD: "finalized"}
    (line,) = locked.json("invoices", "diff", FIRST, THIRD)["lines"]
    assert line["quantity"] == {"old": "10", "new": "12"}


def test_void_alone(locked: CommandLine) -> None:
    made = locked.json("invoices", "void", FIRST, "--reason", "a test")
    assert (made["reissue"], made["reissue_total"]) == (None, None)
    shown = locked.json("invoices", "show", FIRST)
    assert shown["void"]["replaced_by"] is None
    assert "replaced by" not in locked("invoices", "show", FIRST).stdout


def test_a_credit_note(locked: CommandLine) -> None:
    words = ("invoices", "credit", FIRST, "0.30", "--reason", "an hour of downtime")
    assert locked(*words, "--dry-run").stdout.splitlines() == [
        f"Goodwill: it would lower invoice {FIRST} by 0.30 USD.",
        "acme would have a credit of 0.30 USD.",
    ]
    made = locked.json(*words, "--actor", "jo")
    assert made == {
        "number": THIRD,
        "credits": FIRST,
        "customer": "acme",
        "currency": "USD",
        "total": "-0.30",
        "credit": "0.30",
        "correction": False,
        "dry_run": False,
    }
    corrected = locked("invoices", "credit", FIRST, "--line", "1", "--correction", "--reason", "counted twice").stdout
    assert corrected.splitlines() == [
        f"Correction: credit note 2026-000004 lowers invoice {FIRST} by 0.70 USD.",
        "acme has a credit of 1.00 USD.",
    ]
    shown = locked.json("invoices", "show", FIRST)
    assert [(one["number"], one["total"], one["correction"], one["actor"]) for one in shown["credit_notes"]] == [
        (THIRD, "-0.30", False, "jo"),
        ("2026-000004", "-0.70", True, shown["credit_notes"][1]["actor"]),
    ]
    people = locked("invoices", "show", FIRST).stdout
    assert f"Lowered by {THIRD} over -0.30 USD, goodwill by jo: an hour of downtime" in people
    note = locked.json("invoices", "show", THIRD)
    assert (note["kind"], note["amount_due"], note["credits"]["credits"]) == ("credit_note", "0.00", FIRST)
    told = locked("invoices", "show", THIRD).stdout
    assert f"Lowers {FIRST}, goodwill by jo: an hour of downtime" in told
    assert f"lowers {FIRST}" in told.rpartition("Versions")[2]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (f"credit {FIRST} 1.01", "1.01 USD cannot be credited: 1.00 USD are left."),
        (f"credit {FIRST} much", "'much' is not a decimal."),
        (f"credit {FIRST} --line 9", f"Invoice {FIRST} has no line 9 that can be lowered."),
        ("credit 2026-000009", "There is no invoice '2026-000009'."),
        ("void 2026-000009 --reissue", "There is no invoice '2026-000009'."),
    ],
)
def test_what_cannot_be_is_refused(locked: CommandLine, words: str, says: str) -> None:
    assert locked.error("invoices", *words.split(), "--reason", "r")["message"].startswith(says)


def test_a_reason_must_be_given(locked: CommandLine) -> None:
    for verb in ("void", "credit"):
        assert "--reason" in locked.error("invoices", verb, FIRST)["message"]


def test_a_void_invoice_is_not_marked_paid(locked: CommandLine) -> None:
    locked("invoices", "void", FIRST, "--reason", "r")
    assert locked.error("payments", "mark-paid", FIRST)["message"] == f"Invoice {FIRST} is void: it asks for nothing."
