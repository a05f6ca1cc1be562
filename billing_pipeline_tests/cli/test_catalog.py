"""billing catalog: check, apply, show, export, schema."""

import json
import time
from pathlib import Path

import pytest

from billing_pipeline_tests.cli.command_line import CATALOG, CommandLine

CHANGED = CATALOG.replace("grace: 3 days", "grace: 5 days")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "catalog.yaml"
    made.write_text(CHANGED)
    return made


def test_check_and_dry_run_change_nothing(billing: CommandLine, file: Path) -> None:
    changes = billing.json("catalog", "check", str(file))["changes"]
    assert [(one["kind"], one["action"]) for one in changes] == [("account", "change")]
    assert changes[0]["fields"] == [{"field": "grace", "old": "3 days", "new": "5 days"}]
    dry = billing.json("catalog", "apply", str(file), "--dry-run")
    assert (dry["change"], dry["dry_run"], dry["changes"]) == (None, True, changes)
    assert "Would change 1 object" in billing("catalog", "apply", str(file), "--dry-run").stdout
    assert billing.json("catalog", "show", "account", "account")["grace"] == "3 days"


def test_apply_records_once(billing: CommandLine, file: Path) -> None:
    shown = billing("catalog", "apply", str(file)).stdout
    assert "~ account account" in shown
    assert "grace: 3 days → 5 days" in shown
    assert "Recorded as change 2: 1 object." in shown
    assert billing.json("catalog", "apply", str(file))["change"] is None
    assert billing("catalog", "apply", str(file)).stdout == "Nothing differs from the ledger.\n"


def test_problems_are_named_one_by_one(billing: CommandLine, file: Path) -> None:
    file.write_text(
        CATALOG.replace("plan: payg, start", "plan: pay, start").replace("aggregation: sum", "agregation: sum")
    )
    error = billing.error("catalog", "check", str(file))
    assert error["code"] == "catalog_problems"
    assert {problem["file"] for problem in error["problems"]} == {str(file)}
    assert all(problem["line"] > 0 and problem["message"] for problem in error["problems"])
    assert str(file) in billing("catalog", "check", str(file), exit_code=2).stderr


def test_show(billing: CommandLine) -> None:
    assert set(billing.json("catalog", "show", "customer")) == {"acme", "beta"}
    assert billing.json("catalog", "show", "plan", "payg")["currency"] == "USD"
    assert "Acme GmbH" in billing("catalog", "show", "customer", "acme").stdout
    assert "beta" in billing.json("catalog", "show")["customer"]
    assert "acme" in billing.error("catalog", "show", "customer", "acmee")["hint"]


@pytest.mark.parametrize(("options", "name"), [([], "again.yaml"), (["--json"], "again.json")], ids=["yaml", "json"])
def test_what_is_exported_applies_to_the_same_catalog(
    billing: CommandLine, tmp_path: Path, options: list[str], name: str
) -> None:
    exported = billing("catalog", "export", *options).stdout
    (tmp_path / name).write_text(exported)
    assert billing.json("catalog", "check", str(tmp_path / name)) == {"changes": []}
    billing("catalog", "export", "--output", str(tmp_path / "written"), *options)
    assert (tmp_path / "written").read_text() == exported


def test_schema(billing: CommandLine, tmp_path: Path) -> None:
    printed = billing.json("catalog", "schema")
    assert {"plans", "customers"} <= printed["properties"].keys()
    billing("catalog", "schema", "-o", str(tmp_path / "schema.json"))
    assert json.loads((tmp_path / "schema.json").read_text()) == printed


LAUGHS = "".join(f", &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 9))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f"plans: [{{id: p, prices: [{{id: c, meter: m, price: {{model: volume, tiers: [&a0 [1]{LAUGHS}]}}}}]}}]",
            "tiers[0]",
        ),
        ("customers: [{id: c, name: 'a\\u001b[31m'}]".replace("'", '"'), "control characters"),
        ('customers: [{id: c, name: "a\\nb"}]', "control characters"),
        ("customers: [{id: c, locale: nowhere}]", "no locale"),
        ("customers: [{id: c, locale: ../../etc}]", "no locale"),
        ("account: {name: X, currency: USD, number_format: '{year}-{number:021}'}", "no number format"),
        ("account: {name: X, currency: USD, number_format: '{year}-{number:0999999999}'}", "no number format"),
        ("account: {name: X, currency: USD, number_format: '{year}-{number!r}'}", "no number format"),
        ("account: {name: X, currency: USD, number_format: '{year.real}-{number}'}", "no number format"),
        ("account: {name: X, currency: USD, number_format: '{year}-{number:>6}'}", "no number format"),
        ("account: {name: X, currency: USD, number_format: '{year:04}-{number}'}", "no number format"),
        (f"customers: [{{id: {'c' * 1_000_000}}}]", "1000000"),
        (f"subscriptions: [{{id: s, customer: {'c' * 1_000_000}, plan: payg, start: 2026-01-01}}]", ""),
        (f"products:\n  - id: p\n    ? {'n' * 1_000_000}\n    : x", "Unknown field"),
        (f"? {'n' * 1_000_000}\n: []", "Unknown section"),
    ],
    ids=range(15),
)
def test_what_a_catalog_holds_has_bounds_and_is_not_echoed(
    billing: CommandLine, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "more.yaml"
    file.write_text(text)
    started = time.process_time()
    message = billing.error("catalog", "apply", str(file))["message"]
    assert said in message
    assert len(message) < 1_000
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("price: {model: per_unit, unit_amount: 1,5}", "'5' has no value."),
        ("price: {model: package, size: 100, amount: 4,99}", "'99' has no value."),
        ('price: {model: per_unit, unit_amount: "1", unit_amout: null}', "Unknown field 'unit_amout'."),
        ('price: {model: per_unit, unit_amount: "1"}, includded: null', "Unknown field 'includded'."),
        ("price: {model: per_unit, unit_amount: 1}}], minimun: null, fees: [{id: f, amount: 1", "'minimun'"),
    ],
)
def test_what_is_said_of_nothing_is_never_passed_over(
    billing: CommandLine, tmp_path: Path, written: str, said: str
) -> None:
    """A decimal comma in braces ends the value; a misspelt field says nothing of the one that was meant."""
    file = tmp_path / "plan.yaml"
    file.write_text(f"plans:\n  - {{id: pro, prices: [\n      {{id: compute, meter: compute, {written}}}]}}\n")
    message = billing.error("catalog", "apply", str(file))["message"]
    assert said in message
    assert any(line.startswith(f"{file}:3: ") for line in message.splitlines()), message
    assert billing.json("catalog", "export").get("plans", [{}])[0]["id"] == "payg"
