"""A changed meter: whoever applies it sees each document that changes, and is asked; what is final stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
NO_DOCUMENTS = pytest.mark.xfail(strict=True, reason="apply says which objects differ, and no document")
DOES_NOT_ASK = pytest.mark.xfail(strict=True, reason="apply does not ask: January's 100.00 becomes 0.01")


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


@NO_DOCUMENTS
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


@DOES_NOT_ASK
def test_nothing_is_recorded_unless_somebody_says_yes(sandbox: Sandbox) -> None:
    CommandLine(sandbox.environment)("catalog", "apply", changed(sandbox, CONVERT), exit_code=2)
    tick(sandbox.billing)
    (january,) = sandbox.documents("acme", JANUARY)
    assert f"{january.total}" == "100.00"


@pytest.mark.parametrize("how", CHANGES)
def test_what_is_final_is_compared_under_the_meter_of_its_lock(how: str, sandbox: Sandbox) -> None:
    """5 more of January arrive after its lock, and after the meter's change: 5.00, whatever it would be with it."""
    tick(sandbox.at("2026-02-04").billing)
    sandbox.apply(Path(changed(sandbox, how)).read_text())
    sandbox.land(use("acme", "calls", "2026-01-11", 5, "1", id="b"))
    tick(sandbox.at("2026-03-04").billing)
    found = [(one.status, f"{one.total}") for key in (JANUARY, FEBRUARY) for one in sandbox.documents("acme", key)]
    assert found == [("finalized", "100.00"), ("finalized", "5.00")]
