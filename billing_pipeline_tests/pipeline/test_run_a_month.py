"""A month through the real assets, on a real ledger: from what landed to what is owed."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.operations.locking.holds import list_holds, place, release
from billing_pipeline_tests.pipeline.month import Month, plain
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, Sandbox, lines_of, use


def everything(sandbox: Sandbox) -> list[Any]:
    """All that must not change where nothing has happened."""
    return [
        sandbox.query(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
        for table in ("document", "document_version", "document_line", "draft_document", "draft_line", "finalization")
    ] + [sandbox.query("SELECT document, status, amount_minor FROM payment ORDER BY 1")]


def test_a_correction_reaches_the_invoice(month: Month) -> None:
    """The same hour reported as 99 and, later, as 35: the invoice shows 35."""
    month.sandbox.land(use("acme", "compute", "2026-01-03T10:00", 99))
    month.run()
    month.sandbox.at("2026-01-21").land(use("acme", "compute", "2026-01-03T10:00", 35))
    run = month.run()
    (invoice,) = month.sandbox.documents("acme")
    assert lines_of(invoice) == [("compute", "35", "3.50")]
    assert (invoice.status, invoice.version, invoice.replaceable) == ("draft", 1, True)
    assert run.metadata("deduped_usage")["where every row ended"] == [
        {"landed": 2, "accepted": 1, "superseded": 1, "retracted": 0, "quarantined": 0, "not deduped yet": 0}
    ]
    shown = run.metadata("invoices")
    assert (shown["invoices"], shown["total"], shown["total USD"]) == (1, "$3.50", 3.5)
    assert "<title>" in Path(shown["report"]).read_text()
    assert shown["an invoice as PDF"] == "`billing invoices render NUMBER`"


def test_from_the_periods_end_a_correction_is_a_version_that_says_why(month: Month) -> None:
    month.sandbox.land(use("acme", "compute", "2026-01-03", 1000), use("beta", "compute", "2026-01-03", 10))
    month.sandbox.at("2026-02-01T01:00")
    month.run()
    batch = month.sandbox.land(use("acme", "compute", "2026-01-03", 4000))
    run = month.run()
    assert run.metadata("invoices")["changed, the last first"] == [
        {
            "customer": "acme",
            "before": "$100.00",
            "after": "$400.00",
            "difference": "$300.00",
            "because": f"batch {batch} (frame)",
            "version": 2,
            "kind": "closing",
            "changed": "2026-02-01 01:00",
        }
    ]
    assert [row["customer"] for row in run.metadata("invoices")["largest"]] == ["acme", "beta"]


@pytest.mark.parametrize("now", ["2026-01-20", "2026-02-01", "2026-02-05"])
def test_running_a_partition_twice_changes_nothing(month: Month, now: str) -> None:
    """While it runs, in its grace and after its lock."""
    month.sandbox.land(use("acme", "compute", "2026-01-03", 7), use("beta", "compute", "2026-01-19", 8))
    month.sandbox.at(now)
    for job in ("close_period", "lock_period"):
        month.run(job)
    before = everything(month.sandbox)
    for job in ("close_period", "lock_period"):
        again = month.run(job)
    assert everything(month.sandbox) == before
    assert again.metadata("payments")["done in this run"] == [{"finalized": 0, "issued": 0, "queued": 0, "held": 0}]


def test_every_asset_of_a_repeated_run_says_that_it_found_nothing_to_do(month: Month) -> None:
    month.sandbox.land(use("acme", "compute", "2026-01-03", 7))
    month.run()
    again = month.run()
    for asset in ("deduped_usage", "metered_usage", "rated_lines", "invoices"):
        assert {row["customers"] for row in again.metadata(asset)["done in this run"]} == {0}
    assert again.metadata("raw_usage")["dagster/row_count"] == 1
    assert again.metadata("invoices")["dagster/row_count"] == 1


@pytest.mark.parametrize("now", ["2026-01-20", "2026-02-01", "2026-02-03T23:59:59"])
def test_payments_before_its_time_does_nothing(month: Month, now: str) -> None:
    """Grace is 3 days: nothing locks before 4 February, whoever asks."""
    month.sandbox.land(use("acme", "compute", "2026-01-03", 7))
    month.sandbox.at(now)
    run = month.run("lock_period")
    assert [doc.status for doc in month.sandbox.documents("acme", JANUARY)] == ["draft"]
    assert month.sandbox.query("SELECT 1 FROM finalization UNION ALL SELECT 1 FROM payment") == []
    shown = run.metadata("payments")
    assert (shown["final invoices"], shown["payments by status"], shown["dagster/row_count"]) == (0, "none", 0)


def test_at_its_time_it_locks_numbers_and_queues(month: Month) -> None:
    month.sandbox.land(use("acme", "compute", "2026-01-03", 7), use("beta", "compute", "2026-01-19", 8))
    month.sandbox.at("2026-02-04")
    run = month.run("lock_period")
    found = [(doc.customer, doc.status, doc.number, doc.total) for doc in month.sandbox.documents(key=JANUARY)]
    assert found == [
        ("acme", "finalized", "2026-000001", Decimal("0.70")),
        ("beta", "finalized", "2026-000002", Decimal("0.80")),
    ]
    shown = run.metadata("payments")
    assert (shown["final invoices"], shown["total, drafts included"]) == (2, "$1.50")
    assert shown["payments by status"] == [{"gateway": "file", "status": "queued", "payments": 2, "amount": "$1.50"}]
    month.run("deliver_payments", None)
    assert month.sandbox.query("SELECT DISTINCT status FROM payment") == [("submitted",)]


def test_a_period_that_has_not_begun_is_refused_with_its_start(month: Month) -> None:
    run = month.run(key=FEBRUARY, fails=True)
    assert "The period 2026-02-01 has not started. It starts at 2026-02-01T00:00:00+00:00." in run.problem


def test_an_old_month_with_late_usage_is_found_and_changed(month: Month) -> None:
    """Months later, unlocked because of a long grace: no window of recent partitions would look there."""
    month.sandbox.apply("subscriptions: [{id: acme, customer: acme, plan: patient, start: 2026-01-01}]")
    month.sandbox.land(use("acme", "compute", "2026-01-03", 5))
    month.sandbox.at("2026-04-20")
    for key in month.look("dirty_periods").partitions:
        month.run(key=key)
    assert month.look("dirty_periods").skipped
    month.sandbox.land(use("acme", "compute", "2026-01-04", 5))
    assert month.look("dirty_periods").partitions == [JANUARY]
    month.run()
    (invoice,) = month.sandbox.documents("acme", JANUARY)
    assert (invoice.version, invoice.status, invoice.total) == (2, "draft", Decimal("2.00"))
    assert month.look("dirty_periods").skipped


def test_checks_appear_per_partition(month: Month) -> None:
    month.sandbox.land(use("acme", "compute", "2026-01-03", 7), use("nobody", "compute", "2026-01-03", 1))
    january = month.run()
    assert january.failed == {"quarantine_limit": "ERROR", "quarantine_rate": "WARN"}
    month.sandbox.at("2026-02-10").land(use("acme", "compute", "2026-02-03", 7))
    february = month.run(key=FEBRUARY)
    assert february.checks.keys() == january.checks.keys()
    assert {one.partition for one in january.checks.values()} == {JANUARY}
    assert {one.partition for one in february.checks.values()} == {FEBRUARY}
    assert "quarantine_limit" not in february.failed


def test_what_a_failed_check_found_is_shown_in_words(month: Month) -> None:
    month.sandbox.land(use("acme", "compute", "2026-01-03", -7))
    check = month.run().checks["negative_values"]
    assert check.description == "1 value of 1 customer"
    found = plain(check.metadata)
    assert found["what to do"] == "Correct them unless the source means them; to take an event back, retract it."
    (row,) = found["found, the worst first"]
    assert (row["customers"], row["figure"]) == ("acme", "1 value")


def test_an_error_holds_whom_it_names_and_the_others_lock(month: Month) -> None:
    """Acme used what its price has no rate for; beta is billed, acme once the rate is there."""
    month.sandbox.apply("subscriptions: [{id: acme, customer: acme, plan: in-europe, start: 2026-01-01}]")
    month.sandbox.land(use("acme", "compute", "2026-01-03", 7, "moon"), use("beta", "compute", "2026-01-03", 8))
    month.sandbox.at("2026-02-05")
    assert month.run().failed == {"every_quantity_has_a_rate": "ERROR", "nothing_stands_in_the_way": "WARN"}
    month.run("lock_period")
    assert {doc.customer: doc.status for doc in month.sandbox.documents(key=JANUARY)} == {
        "acme": "draft",
        "beta": "finalized",
    }
    assert month.look("due_documents").skipped


def test_what_stands_in_the_way_of_a_lock_is_shown_where_somebody_looks(month: Month) -> None:
    """On the invoices before the lock and on the payments after it: the check, its causes and the documents."""
    month.sandbox.land(use("acme", "compute", "2026-01-03", 7), use("beta", "compute", "2026-01-03", 8))
    place(month.sandbox.billing, ["acme"], JANUARY, "disputed")
    assert "nothing_stands_in_the_way" not in month.run().failed  # nothing is due
    month.sandbox.at("2026-02-05")
    close, lock = month.run(), month.run("lock_period")
    rows = [
        {
            "customer": "acme",
            "document": "closing, 2026-02-01",
            "due since": "2026-02-04 00:00",
            "waits for": "hold 1, manual: disputed",
            "at the latest until": "",
        }
    ]
    for run, asset, free in ((close, "invoices", 1), (lock, "payments", 0)):
        check = run.checks["nothing_stands_in_the_way"]
        assert (check.passed, check.severity.value, check.asset_key.path) == (False, "WARN", [asset])
        assert check.description == (
            f"Due documents that wait: 1: 1 for hold manual (acme). That lock with the next run: {free}."
        )
        assert plain(check.metadata)["waiting"] == run.metadata(asset)["stands in the way of a lock"] == rows
        (cause,) = plain(check.metadata)["because of"]
        assert (cause["cause"], cause["documents"], cause["customers"], cause["first"]) == ("hold manual", 1, 1, "acme")
    release(month.sandbox.billing, [1], "settled")
    assert month.run("lock_period").failed == {}


def test_a_slip_of_the_unit_is_held_until_somebody_says_that_it_is_right(month: Month) -> None:
    """A check of all rows finds it; the lock runs the checks itself, so that nothing locks unchecked."""
    hours = [f"2026-01-{day:02}T{hour:02}:00" for day in range(1, 6) for hour in range(24)]
    month.sandbox.land(*(use(who, "compute", hour, 1) for who in ("acme", "beta") for hour in hours))
    month.sandbox.at("2026-02-01").land(use("acme", "compute", "2026-01-20", 5_000_000))
    month.sandbox.at("2026-02-05")
    month.run("lock_period")
    statuses = {doc.customer: doc.status for doc in month.sandbox.documents(key=JANUARY)}
    assert statuses == {"acme": "draft", "beta": "finalized"}
    (hold,) = list_holds(month.sandbox.billing, period=JANUARY)
    assert (hold.customer, hold.cause) == ("acme", "absurd_values")
    release(month.sandbox.billing, [hold.id], "they really used it")
    assert month.look("due_documents").partitions == [JANUARY]
    month.run("lock_period")
    assert [doc.status for doc in month.sandbox.documents("acme", JANUARY)] == ["finalized"]
