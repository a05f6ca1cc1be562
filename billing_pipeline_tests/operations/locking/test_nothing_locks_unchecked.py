"""What lands while a run checks is checked before it is final, whoever locks."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.operations.checks.check import check
from billing_pipeline.operations.checks.check_report import CheckReport
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.locking.check_and_lock import lock_checked
from billing_pipeline.operations.locking.holds import list_holds
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, MONTH, Doc, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

Face = Callable[[Sandbox], object]
FACES: dict[str, Face] = {
    "tick": lambda sandbox: tick(sandbox.billing),
    "lock": lambda sandbox: lock_checked(sandbox.billing, sandbox.period()),
}
A_VALUE_TOO_GREAT = 10**11  # thousands of times what 99 of 100 values are


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """A second before January's document locks: 120 calls, the last of which no check has seen."""
    with open_sandbox(postgres, tmp_path, MONTH) as made:
        made.at("2026-02-02").land(*(use("acme", "api", f"2026-01-05T{m // 60:02}:{m % 60:02}", 1) for m in range(119)))
        tick(made.billing)
        made.at("2026-02-03T23:59:59").land(use("acme", "api", "2026-01-06", 1))
        yield made


def test_late_usage_is_checked_where_the_document_that_carries_it_is_locked(sandbox: Sandbox) -> None:
    tick(sandbox.at("2026-02-04").billing)
    assert document(sandbox).status == "finalized"
    sandbox.at("2026-02-20").land(use("acme", "api", "2026-01-07", 30))
    sandbox.at("2026-03-05")
    assert lock_checked(sandbox.billing, sandbox.period(FEBRUARY)).counts["finalized"]
    february = {doc.kind: doc for doc in sandbox.documents("acme", FEBRUARY)}["closing"]
    assert (february.status, february.kinds) == ("finalized", ("adjustment",))


def document(sandbox: Sandbox) -> Doc:
    (found,) = sandbox.documents("acme", JANUARY)
    return found


@pytest.mark.parametrize("face", FACES.values(), ids=FACES)
def test_what_lands_behind_a_check_waits_for_the_next(
    face: Face, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_and_be_late(billing: Billing, period: BillingPeriod) -> CheckReport:
        """The check; then usage arrives, and the document's time comes before anybody locks it."""
        report = check(billing, period)
        monkeypatch.undo()
        sandbox.land(use("acme", "api", "2026-01-07", A_VALUE_TOO_GREAT))
        sandbox.at("2026-02-04")
        return report

    monkeypatch.setattr("billing_pipeline.operations.locking.check_and_lock.check", check_and_be_late)
    face(sandbox)
    face(sandbox)
    assert document(sandbox).status == "draft"
    assert [(hold.customer, hold.cause) for hold in list_holds(sandbox.billing)] == [("acme", "absurd_values")]
