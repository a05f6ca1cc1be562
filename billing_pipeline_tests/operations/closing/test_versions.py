"""Versions: from its period's end on each different result of a document is kept, with what made it differ."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.ledger.periods.periods import Stage
from billing_pipeline.operations.closing import versions
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.closing.meter import meter_unit
from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.sandbox import JANUARY, MONTH, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

D = Decimal
FIRST = {"first": True}


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, MONTH) as made:
        made.land(use("acme", "api", "2026-01-05", 100))
        yield made


def kept(sandbox: Sandbox, customer: str = "acme") -> list[tuple[Decimal, dict[str, Any]]]:
    """(total, reason) of the versions of a customer's documents."""
    rows = sandbox.query(
        """
        SELECT v.total_minor, v.reason FROM document_version AS v JOIN document AS d ON d.id = v.document
        JOIN customer AS c ON c.code = d.customer WHERE c.id = :customer ORDER BY d.issue_date, v.version
        """,
        customer=customer,
    )
    return [(row.total_minor.scaleb(-2), row.reason) for row in rows]


def because(*, batches: tuple[int, ...] = (), changes: tuple[int, ...] = (), code: bool = False) -> dict[str, Any]:
    return {"batches": list(batches), "changes": list(changes), "code": code}


def test_while_the_period_runs_a_draft_is_replaced_and_nothing_is_kept(sandbox: Sandbox) -> None:
    for day in ("2026-01-10", "2026-01-20"):
        sandbox.at(day).land(use("acme", "api", day, 100))
        sandbox.close()
    assert kept(sandbox) == []
    (draft,) = sandbox.documents("acme")
    assert (draft.version, draft.total) == (1, D(20) + D(10))


def test_the_draft_that_stands_at_the_end_becomes_version_1_unchanged(sandbox: Sandbox) -> None:
    sandbox.at("2026-01-20").close()
    (before,) = sandbox.query("SELECT content, recorded_at, as_of_batch FROM current_document WHERE customer = 1")
    assert sandbox.at("2026-02-01").close()["versions"] == 3
    assert kept(sandbox) == [(D(10), FIRST)]
    (after,) = sandbox.query("SELECT content, recorded_at, as_of_batch FROM current_document WHERE customer = 1")
    assert after == before
    assert sandbox.query("SELECT * FROM draft_document") == sandbox.query("SELECT * FROM draft_line") == []


@pytest.mark.parametrize("closed_at", [(), ("2026-01-20",), ("2026-02-01",), ("2026-01-31T23:59", "2026-02-01")])
def test_version_1_is_what_was_known_at_the_end_whenever_runs_come(
    sandbox: Sandbox, closed_at: tuple[str, ...]
) -> None:
    steps: dict[str, Any] = {
        "2026-01-31": use("acme", "api", "2026-01-06", 50),
        "2026-02-01T06:00": use("acme", "api", "2026-01-07", 7),
    }
    for at in sorted({*steps, *closed_at}):
        sandbox.at(at)
        if at in steps:
            sandbox.land(steps[at])
        if at in closed_at:
            sandbox.close()
    sandbox.at("2026-02-02").close()
    assert kept(sandbox) == [(D(15), FIRST), (D("15.70"), because(batches=(3,)))]


def test_each_different_result_is_a_version_that_says_why(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-01").close()
    sandbox.land(use("acme", "api", "2026-01-06", 50))
    sandbox.close()
    sandbox.at("2026-02-02").land(use("beta", "api", "2026-01-06", 50))
    sandbox.close()
    sandbox.at("2026-02-02T12:00").apply("customers: [{id: acme, grace: 4 days}]")
    sandbox.close()
    sandbox.at("2026-02-03").land(use("acme", "api", "2026-01-06", 60))
    sandbox.apply("customers: [{id: acme, grace: 5 days}]")
    sandbox.close()
    assert kept(sandbox) == [
        (D(10), FIRST),
        (D(15), because(batches=(2,))),
        (D(15), because(changes=(2,))),  # it locks later
        (D(16), because(batches=(4,), changes=(3,))),
    ]


def test_only_the_code_can_be_the_reason(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.at("2026-02-01").close()
    monkeypatch.setattr(versions, "code_version", lambda: "2.0")
    sandbox.execute_as_owner("UPDATE customer_period SET pending = 'rate' WHERE customer = 1")
    sandbox.execute_as_owner("UPDATE metered_quantity SET quantity = 101 WHERE customer = 1")  # as other rules would
    sandbox.close()
    assert kept(sandbox) == [(D(10), FIRST), (D("10.10"), because(code=True))]
    (row,) = sandbox.query("SELECT code_version FROM document_version WHERE version = 2")
    assert row.code_version == "2.0"


def test_an_untouched_document_keeps_its_version(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-01").close()
    sandbox.land(use("beta", "gb", "2026-01-05", 7))
    assert sandbox.close()["versions"] == 1
    assert [(doc.issue_date, doc.version) for doc in sandbox.documents("beta")] == [
        ("2026-02-01", 1),
        ("2026-02-06", 2),
    ]
    assert [doc.version for doc in sandbox.documents("acme")] == [1]


def test_what_is_called_for_no_more_becomes_empty_and_final_without_a_number(sandbox: Sandbox) -> None:
    sandbox.land(use("beta", "gb", "2026-01-05", 7))
    sandbox.at("2026-02-01").close()
    sandbox.at("2026-02-02").apply("products: [{id: late, invoicing_delay: 0 days}]")
    sandbox.close()
    assert [(doc.kind, doc.total, doc.lines) for doc in sandbox.documents("beta") if doc.kind == "delayed"] == [
        ("delayed", D(0), ())
    ]
    assert [doc.total for doc in sandbox.documents("beta")] == [D(7), D(0)]
    sandbox.at("2026-02-06").lock()
    assert [(doc.status, doc.number) for doc in sandbox.documents("beta")] == [
        ("finalized", "2026-000002"),
        ("finalized", None),
    ]


def test_the_first_run_after_such_a_change_leaves_nothing_on_two_documents(sandbox: Sandbox) -> None:
    """Version 1 as of the end and version 2, which calls for other documents, are written by one run."""
    sandbox.land(use("beta", "gb", "2026-01-05", 7))
    sandbox.at("2026-02-02").apply("products: [{id: late, invoicing_delay: 0 days}]")
    sandbox.close()
    assert [(doc.kind, doc.total) for doc in sandbox.documents("beta")] == [("closing", D(7)), ("delayed", D(0))]
    assert [total for total, _ in kept(sandbox, "beta")] == [D(0), D(7), D(7), D(0)]


def test_a_draft_that_is_called_for_no_more_is_gone(sandbox: Sandbox) -> None:
    sandbox.close()
    assert len(sandbox.documents("beta")) == 2
    sandbox.apply("products: [{id: late, invoicing_delay: 0 days}]")
    sandbox.close()
    assert [doc.kind for doc in sandbox.documents("beta")] == ["closing"]
    sandbox.at("2026-02-04").lock()
    assert {doc.status for doc in sandbox.documents()} == {"finalized"}


def test_late_usage_makes_no_version_of_a_document_past_its_cutoff(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-01").close()
    sandbox.at("2026-02-03").land(use("acme", "api", "2026-01-06", 50))
    sandbox.at("2026-02-05").land(use("acme", "api", "2026-01-07", 70))
    sandbox.close()
    sandbox.lock()
    assert kept(sandbox) == [(D(10), FIRST), (D(15), because(batches=(2,)))]


def test_until_all_that_was_known_at_the_end_is_metered_there_is_no_version(sandbox: Sandbox) -> None:
    """A run that began before the period's end and invoices after it."""
    meter_unit(sandbox.billing, JANUARY, tuple(sandbox.billing.buckets))
    sandbox.land(use("acme", "api", "2026-01-06", 50))
    sandbox.at("2026-02-01")
    close(sandbox.billing, sandbox.period(), (Stage.RATE, Stage.INVOICE))
    assert kept(sandbox) == []
    sandbox.close()
    assert kept(sandbox) == [(D(15), FIRST)]
