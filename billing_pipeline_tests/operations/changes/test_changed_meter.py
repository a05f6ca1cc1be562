"""A changed meter: whoever applies it sees each document that changes, and is asked; what is final stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.core.errors import Refused, UsageError
from billing_pipeline.operations.changes.apply_catalog import apply
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.cli.command_line import CommandLine
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, SOURCE, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

METER = "{id: calls, aggregation: sum, unit: calls, dimensions: [region]}"
CATALOG = (
    SOURCE
    + f"""
account: {{name: Example, currency: USD, grace: 3 days}}
meters: [{METER}]
plans: [{{id: payg, prices: [{{id: calls, meter: calls, price: {{model: per_unit, unit_amount: 1}}}}]}}]
customers: [{{id: acme}}]
subscriptions: [{{id: acme, customer: acme, plan: payg, start: 2026-01-01}}]
"""
)
CONVERT = 'convert: {divide_by: "10000"}'
# What the meter says, too → January's total with it: 60 in region 1 and 40 in region 2, of one instant; 40 came last.
CHANGES = {
    CONVERT: "0.01",
    'filter: {region: ["1"]}': "60.00",
    "multiplier: region": "140.00",
    "deduplicate_by: event_id": "40.00",
}


def changed(sandbox: Sandbox, how: str) -> str:
    """The path of a catalog with the meter changed."""
    path = sandbox.folder / "changed.yaml"
    path.write_text(CATALOG.replace(METER, METER.replace("}", f", {how}}}")))
    return str(path)


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """The grace of January: 100 are on a draft."""
    with open_sandbox(postgres, tmp_path, CATALOG) as made:
        made.at("2026-01-20").land(
            use("acme", "calls", "2026-01-10", 60, "1", id="a"), use("acme", "calls", "2026-01-10", 40, "2", id="a")
        )
        tick(made.at("2026-02-02").billing)
        yield made


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("answer", ["--dry-run", "--yes"])
def test_each_document_that_changes_is_shown(how: str, answer: str, sandbox: Sandbox) -> None:
    result = CommandLine(sandbox.environment).json("catalog", "apply", changed(sandbox, how), answer)
    shown = [(one["kind"], one["issue_date"], one["total"]) for one in result["documents"]]
    assert [(kind, issued, total["old"], total["new"]) for kind, issued, total in shown] == [
        ("closing", "2026-02-01", "100.00", CHANGES[how])
    ]
    tick(sandbox.billing)
    (january,) = sandbox.documents("acme", JANUARY)
    assert f"{january.total}" == ("100.00" if answer == "--dry-run" else CHANGES[how])


def test_nothing_is_recorded_unless_somebody_says_yes(sandbox: Sandbox) -> None:
    CommandLine(sandbox.environment)("catalog", "apply", changed(sandbox, CONVERT), exit_code=2)
    tick(sandbox.billing)
    (january,) = sandbox.documents("acme", JANUARY)
    assert f"{january.total}" == "100.00"


def test_a_person_reads_whose_document_it_is(sandbox: Sandbox) -> None:
    shown = CommandLine(sandbox.environment)("catalog", "apply", changed(sandbox, CONVERT), "--dry-run").output
    assert all(word in shown for word in ("acme", "closing", "2026-02-01", "100.00", "0.01"))


@pytest.mark.parametrize("how", ["dimensions: [region, zone]", "unit: requests"])
def test_what_measures_the_same_does_not_ask(how: str, sandbox: Sandbox) -> None:
    path = sandbox.folder / "changed.yaml"
    meter = METER.replace("unit: calls, dimensions: [region]", how)
    path.write_text(CATALOG.replace(METER, meter))
    result = CommandLine(sandbox.environment).json("catalog", "apply", str(path))
    assert (result["documents"], [change["id"] for change in result["changes"]]) == ([], ["calls"])


def test_what_was_shown_is_what_is_recorded(sandbox: Sandbox) -> None:
    """Somebody else changes the catalog while a person thinks about what they were shown."""
    paths = [Path(changed(sandbox, CONVERT))]
    shown = apply(sandbox.billing, paths, documents="ask")
    assert (shown.asks, shown.number) == (True, None)
    sandbox.apply("customers: [{id: beta}]")
    with pytest.raises(Refused, match="changed meanwhile"):
        apply(sandbox.billing, paths, base=shown.base)
    assert apply(sandbox.billing, paths, base=shown.base + 1).number == shown.base + 2


def test_documents_that_cannot_be_computed_are_asked_about_too(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise UsageError("The lake cannot be read.", hint="Restore it.")

    monkeypatch.setattr("billing_pipeline.operations.changes.apply_catalog.preview_all", lost)
    run = CommandLine(sandbox.environment)
    assert "cannot be shown" in run.error("catalog", "apply", changed(sandbox, CONVERT))["message"]
    result = run.json("catalog", "apply", changed(sandbox, CONVERT), "--yes")
    assert (result["documents"], "The lake cannot be read." in result["notes"][-1]) == (None, True)


def test_what_is_final_does_not_change(sandbox: Sandbox) -> None:
    tick(sandbox.at("2026-02-04").billing)
    result = CommandLine(sandbox.environment).json("catalog", "apply", changed(sandbox, CONVERT))
    assert (result["documents"], [change["id"] for change in result["changes"]]) == ([], ["calls"])


@pytest.mark.parametrize("how", CHANGES)
def test_what_is_final_is_compared_under_the_meter_of_its_lock(how: str, sandbox: Sandbox) -> None:
    """5 more of January arrive after its lock, and after the meter's change: 5.00, whatever it would be with it."""
    tick(sandbox.at("2026-02-04").billing)
    sandbox.apply(Path(changed(sandbox, how)).read_text())
    sandbox.land(use("acme", "calls", "2026-01-11", 5, "1", id="b"))
    tick(sandbox.at("2026-03-04").billing)
    found = [(one.status, f"{one.total}") for key in (JANUARY, FEBRUARY) for one in sandbox.documents("acme", key)]
    assert found == [("finalized", "100.00"), ("finalized", "5.00")]
