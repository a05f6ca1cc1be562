"""A required source that misses its deadline lets documents lock, and leaves a mark that does not go away."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.operations.checks.check import check
from billing_pipeline.operations.checks.check_report import CheckRow
from billing_pipeline.operations.landing.watermark import record
from billing_pipeline.operations.locking.holds import list_holds
from billing_pipeline_tests.sandbox import MONTH, Sandbox, instant, open_sandbox, use
from billing_pipeline_tests.servers import Server

DEADLINE = MONTH.replace("format: csv,", "format: csv, required: true, deadline: 6 days,")


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """January has ended; the source is waited for until 7 February."""
    with open_sandbox(postgres, tmp_path, DEADLINE) as made:
        made.land(use("acme", "api", "2026-01-05", 10))
        yield made.at("2026-02-02")


def found(sandbox: Sandbox) -> CheckRow:
    sandbox.close()
    return next(row for row in check(sandbox.billing, sandbox.period()).rows if row.name == "missed_deadlines")


@pytest.mark.parametrize(
    ("delivered", "note"),
    [
        ("2026-02-02", None),
        ("2026-02-07", None),  # reaching the deadline is keeping it
        ("2026-02-07T00:01", "expected by 2026-02-07 00:00 UTC, delivered 2026-02-07 00:01 UTC"),
        (None, "expected by 2026-02-07 00:00 UTC, not delivered yet"),
    ],
)
def test_what_was_missing_when_documents_locked_is_named(
    sandbox: Sandbox, delivered: str | None, note: str | None
) -> None:
    if delivered:
        record(sandbox.at(delivered).billing, "usage", instant("2026-02-01"))
    sandbox.at("2026-02-08").lock()
    row = found(sandbox)
    (doc,) = (doc for doc in sandbox.documents("acme") if doc.lines)
    assert doc.status == "finalized"
    if note is None:
        assert row.outcome == "passed"
        return
    assert (row.severity, row.outcome, row.summary) == ("warning", "failed", "1 source")
    assert [(one["about"], one["note"]) for one in row.worst] == [("source usage", note)]
    assert list_holds(sandbox.billing) == []


def test_before_the_deadline_nothing_is_missed(sandbox: Sandbox) -> None:
    assert found(sandbox.at("2026-02-06T23:59")).outcome == "passed"
    assert found(sandbox.at("2026-02-07")).outcome == "failed"


@pytest.mark.parametrize("source", ["required: true", "required: false"])
def test_a_source_without_a_deadline_or_that_nobody_waits_for_misses_none(sandbox: Sandbox, source: str) -> None:
    sandbox.apply(DEADLINE.replace("required: true, deadline: 6 days", source))
    assert found(sandbox.at("2026-02-08")).outcome == "passed"
