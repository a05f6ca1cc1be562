"""A tick does what is due, and nothing twice: repeated, raced, killed."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import pytest
from sqlalchemy import event

from billing_pipeline.core.errors import UsageError
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.operations.closing.standings import standings
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.reading.status import status
from billing_pipeline.operations.tick import TickReport, tick
from billing_pipeline.usage.lake import Lake
from billing_pipeline_tests.cli.command_line import CATALOG
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, Sandbox, instant, open_sandbox, use
from billing_pipeline_tests.servers import Server


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, CATALOG, now="2026-01-01") as made:
        yield made.at("2026-01-20")


def steps(report: TickReport) -> list[tuple[str, str | None]]:
    assert not report.problems, report.to_json()
    return [(step.name, step.period) for step in report.steps]


def drop(sandbox: Sandbox, name: str, *rows: str) -> None:
    """A file in the landing folder, of the source ``usage``."""
    folder = Path(sandbox.billing.settings.landing) / "usage"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("customer,meter,timestamp,value,region,id,retract\n" + "\n".join(rows) + "\n")


def test_a_month_from_dropped_files_to_payments(sandbox: Sandbox) -> None:
    drop(sandbox, "a.csv", "acme,compute,2026-01-03T10:00Z,10,eu,,")
    assert steps(tick(sandbox.billing)) == [("land", None), ("close", JANUARY), ("check", JANUARY)]
    assert steps(tick(sandbox.at("2026-02-01").billing)) == [
        ("close", JANUARY),
        ("close", FEBRUARY),
        ("check", JANUARY),
        ("check", FEBRUARY),
        ("lock", JANUARY),
    ]
    drop(sandbox, "b.csv", "acme,compute,2026-01-03T10:00Z,12,eu,,")
    names = steps(tick(sandbox.at("2026-02-02").billing))
    assert names == [("land", None), ("close", JANUARY), ("check", JANUARY), ("lock", JANUARY)]
    assert steps(tick(sandbox.at("2026-02-04").billing)) == [("lock", JANUARY), ("deliver", None)]
    (acme,) = sandbox.documents("acme", JANUARY)
    assert (acme.status, acme.version, str(acme.total), acme.number) == ("finalized", 2, "1.20", "2026-000001")
    assert len(list(sandbox.billing.settings.outbox.glob("*.json"))) == 1


BROKEN = {
    "land": ("landing.landing_folder", "land_waiting"),
    "close": ("closing.close", "close"),
    "check": ("locking.check_and_lock", "checked"),
    "lock": ("locking.lock", "lock"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_in_one_step_is_a_problem_of_that_step_and_done_by_the_next_tick(
    sandbox: Sandbox, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.land(use("acme", "compute", "2026-01-03", 10))
    sandbox.at("2026-02-04")
    module, function = BROKEN[name]
    whole = import_module(f"billing_pipeline.operations.{module}")
    works = getattr(whole, function)

    def broken(billing: Billing, period: BillingPeriod | None = None, **more: object) -> object:
        if period is None or period.key == JANUARY:
            raise ZeroDivisionError("nobody foresaw this")
        return works(billing, period, **more)

    with monkeypatch.context() as patched:
        patched.setattr(whole, function, broken)
        report = tick(sandbox.billing)
    period = None if name == "land" else JANUARY
    assert {(step.name, step.period) for step in report.problems} == {(name, period)}
    assert all("ZeroDivisionError: nobody foresaw this" in step.summary for step in report.problems)
    assert ("close", FEBRUARY) in {(step.name, step.period) for step in report.steps}
    (kept,) = status(sandbox.billing).failed
    assert (kept.step, kept.period, kept.times, kept.since) == (name, period, 1, sandbox.billing.now())
    assert "ZeroDivisionError" in kept.error
    with monkeypatch.context() as patched:
        patched.setattr(whole, function, broken)
        tick(sandbox.at("2026-02-04T01:00").billing)
    (again,) = status(sandbox.billing).failed
    assert (again.times, again.since, again.last_at) == (2, kept.since, instant("2026-02-04T01:00"))
    steps(tick(sandbox.billing))
    assert list(status(sandbox.billing).failed) == []
    assert {document.status for document in sandbox.documents("acme", JANUARY)} == {"finalized"}


def test_what_a_crash_left_is_swept_once_an_hour(sandbox: Sandbox) -> None:
    def left_behind(name: str) -> Path:
        made = sandbox.billing.settings.home / "staging" / name
        made.mkdir(parents=True, exist_ok=True)
        (made / "00000.parquet").write_bytes(b"x" * 1000)
        os.utime(made, times=(0, 0))
        return made

    first = left_behind("1-killed")
    step = tick(sandbox.billing).steps[0]
    assert (step.name, step.result) == ("sweep", {"removed": [str(first)]})
    assert step.summary == "removed 1 files that a crash left"
    second, marker = left_behind("2-killed"), sandbox.billing.settings.home / "swept"
    assert steps(tick(sandbox.billing)) == []
    assert second.exists()
    os.utime(marker, times=(marker.stat().st_mtime - 3601,) * 2)
    assert steps(tick(sandbox.billing)) == [("sweep", None)]
    assert not second.exists()


def test_what_cannot_be_swept_stops_nothing_else(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Lake, "orphans", refuses)
    drop(sandbox, "a.csv", "acme,compute,2026-01-03T10:00Z,10,eu,,")
    report = tick(sandbox.billing)
    assert [(step.name, step.problem is None) for step in report.steps][:2] == [("sweep", False), ("land", True)]
    assert "cannot be swept" in report.steps[0].summary


def test_where_nothing_is_to_be_done_nothing_is_done(sandbox: Sandbox) -> None:
    drop(sandbox, "a.csv", "acme,compute,2026-01-03T10:00Z,10,eu,,")
    assert steps(tick(sandbox.billing))
    assert steps(tick(sandbox.billing)) == []


def test_late_usage_of_a_locked_period_changes_none_of_its_documents_but_the_next_one(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "compute", "2026-01-03", 10))
    tick(sandbox.at("2026-02-04").billing)
    before = sandbox.documents(key=JANUARY)
    sandbox.land(use("acme", "compute", "2026-01-04", 10))
    assert {("close", JANUARY), ("close", FEBRUARY)} <= set(steps(tick(sandbox.billing)))
    assert steps(tick(sandbox.billing)) == []
    assert sandbox.documents(key=JANUARY) == before
    assert sum((doc.total for doc in sandbox.documents(key=FEBRUARY)), Decimal(0)) == Decimal("1.00")
    (counted,) = sandbox.query("SELECT sum(accepted) AS events FROM usage_count WHERE period = '2026-01-01'")
    assert counted.events == 2


def test_a_catalog_change_concerns_the_periods_that_are_not_locked(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "compute", "2026-01-03", 10))
    tick(sandbox.at("2026-02-04").billing)
    sandbox.apply(CATALOG.replace("Acme GmbH", "Acme AG"))
    assert steps(tick(sandbox.billing)) == [("close", FEBRUARY), ("check", FEBRUARY)]
    assert steps(tick(sandbox.billing)) == []


def test_a_subscription_recorded_late_gets_its_documents_in_a_locked_period(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "compute", "2026-01-03", 10))
    tick(sandbox.at("2026-02-04").billing)
    late = """
customers: [{id: late, name: Late, currency: USD, grace: 20 days}]
subscriptions: [{id: late-payg, customer: late, plan: payg, start: 2026-01-10}]
"""
    sandbox.apply(late)
    sandbox.land(use("late", "compute", "2026-01-12", 3))
    assert ("close", JANUARY) in steps(tick(sandbox.billing))
    (document,) = sandbox.documents("late", JANUARY)
    assert (document.status, str(document.total)) == ("draft", "0.30")


def test_periods_before_the_first_subscription_are_left_alone(sandbox: Sandbox) -> None:
    dirty = [one.period.key for one in standings(sandbox.billing) if one.dirty]
    assert dirty == [JANUARY]  # the ledger's first period is January 2024


def test_periods_missed_are_done_in_order(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "compute", "2026-01-03", 10))
    report = tick(sandbox.at("2026-05-10").billing)
    closed = [step.period for step in report.steps if step.name == "close"]
    assert closed == ["2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01", "2026-05-01"]
    locked = [step.period for step in report.steps if step.name == "lock"]
    assert locked == closed[:-1]
    assert steps(tick(sandbox.billing)) == []


def test_a_held_document_does_not_make_every_tick_lock(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "compute", "2026-01-03", 10))
    tick(sandbox.billing)
    (code,) = sandbox.query("SELECT code FROM customer WHERE id = 'acme'")
    sandbox.query(
        "INSERT INTO hold (customer, period, cause, reason, created_at, actor) "
        "VALUES (:code, '2026-01-01', 'manual', 'x', '2026-01-20', 'me') RETURNING id",
        code=code.code,
    )
    tick(sandbox.at("2026-02-04").billing)
    assert steps(tick(sandbox.billing)) == []
    sandbox.query("INSERT INTO hold_release SELECT id, '2026-02-04', 'me', 'ok' FROM hold RETURNING hold")
    assert steps(tick(sandbox.billing)) == [("lock", JANUARY), ("deliver", None)]


def test_required_sources_are_waited_for_without_work(sandbox: Sandbox) -> None:
    sandbox.apply(
        "sources: [{id: must, format: jsonl, required: true, deadline: 6 days, "
        "event: {customer: c, meter: m, timestamp: t, value: v}}]"
    )
    sandbox.land(use("acme", "compute", "2026-01-03", 10))
    tick(sandbox.at("2026-02-04").billing)
    assert steps(tick(sandbox.at("2026-02-05").billing)) == []
    assert ("lock", JANUARY) in steps(tick(sandbox.at("2026-02-07").billing))


def test_ticks_at_once_do_everything_once(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-03")
    for number in range(5):
        drop(sandbox, f"{number}.csv", f"acme,compute,2026-01-03T10:0{number}Z,10,eu,,")
    _race(sandbox)
    assert steps(tick(sandbox.billing)) == []
    _race(sandbox.at("2026-02-04"))
    assert steps(tick(sandbox.billing)) == []
    (acme,) = sandbox.documents("acme", JANUARY)
    assert (acme.status, str(acme.total), acme.number) == ("finalized", "5.00", "2026-000001")
    assert len(list(sandbox.billing.settings.outbox.glob("*.json"))) == 1
    assert len(sandbox.query("SELECT number FROM batch")) == 5


def _race(sandbox: Sandbox) -> None:
    """Three ticks at once, each with connections of its own; then one, for what a loser has left."""
    others = [sandbox.another() for _ in range(3)]
    with ThreadPoolExecutor(len(others)) as pool:
        reports = list(pool.map(tick, others))
    for other in others:
        other.ledger.close()
    assert not [step for report in reports for step in report.problems], [one.to_json() for one in reports]
    tick(sandbox.billing)


def test_a_tick_killed_between_close_and_check_is_made_up_for(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.land(use("acme", "compute", "2026-01-03", 10))
    with monkeypatch.context() as patched:
        patched.setattr("billing_pipeline.operations.locking.check_and_lock.check", _killed)
        with pytest.raises(KeyboardInterrupt):
            tick(sandbox.billing)
    assert steps(tick(sandbox.billing)) == [("check", JANUARY)]


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_cannot_be_checked_is_not_locked_and_stops_nothing_else(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.land(use("acme", "compute", "2026-01-03", 10))
    sandbox.at("2026-02-04")

    def refusing(*_: object) -> None:
        raise UsageError("The lake is away.", hint="Bring it back.")

    with monkeypatch.context() as patched:
        patched.setattr("billing_pipeline.operations.locking.check_and_lock.check", refusing)
        report = tick(sandbox.billing)
    assert {(step.name, step.period) for step in report.problems} == {("check", JANUARY), ("check", FEBRUARY)}
    assert report.to_json()["steps"][-1]["error"]["hint"] == "Bring it back."  # type: ignore[index]
    assert not [step for step in report.steps if step.name == "lock"]
    assert ("lock", JANUARY) in steps(tick(sandbox.billing))


def test_a_refused_file_is_shown_and_does_not_stop_the_tick(sandbox: Sandbox) -> None:
    folder = Path(sandbox.billing.settings.landing) / "nobody"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("x\n1\n")
    report = tick(sandbox.billing)
    assert report.steps[0].name == "land"
    assert "refused 1" in report.steps[0].summary
    assert ("close", JANUARY) in steps(report)
    assert steps(tick(sandbox.billing)) == []


@contextmanager
def counted(sandbox: Sandbox) -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    statements: list[str] = []

    def count(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    event.listen(sandbox.billing.ledger.engine, "before_cursor_execute", count)
    yield statements
    event.remove(sandbox.billing.ledger.engine, "before_cursor_execute", count)


def test_a_tick_with_nothing_to_do_costs_a_few_queries_however_many_periods(sandbox: Sandbox) -> None:
    costs = []
    for now in ("2026-02-20", "2027-06-20"):
        tick(sandbox.at(now).billing)
        with counted(sandbox) as statements:
            assert steps(tick(sandbox.billing)) == []
        costs.append(len(statements))
    assert costs[0] == costs[1]
    assert costs[0] < 40


def test_usage_at_half_past_one_is_invoiced_at_two(sandbox: Sandbox) -> None:
    """1:30pm UTC → 2:00pm UTC, as cron would do it: one line an hour, and the file lies in the landing folder."""
    sandbox.apply("""
plans:
  - id: now
    currency: USD
    billing: on_demand
    invoice_every: hour
    prices: [{id: compute, meter: compute, price: {model: per_unit, unit_amount: "0.10"}}]
customers: [{id: delta, currency: USD, payment: {gateway: file, collection: automatic}}]
subscriptions: [{id: delta, customer: delta, plan: now, start: 2026-01-01}]
""")
    tick(sandbox.billing)
    sandbox.at("2026-01-20T13:30")
    drop(sandbox, "a.csv", "delta,compute,2026-01-20T13:20Z,30,eu,,")
    assert steps(tick(sandbox.billing)) == [("land", None), ("close", JANUARY), ("check", JANUARY)]
    assert steps(tick(sandbox.at("2026-01-20T13:59:59").billing)) == []
    assert steps(tick(sandbox.at("2026-01-20T14:00").billing)) == [("on_demand", None), ("deliver", None)]
    (made,) = [one for one in sandbox.documents("delta") if one.kind == "on_demand"]
    assert (made.status, str(made.total), made.number, made.issue_date) == (
        "finalized", "3.00", "2026-000001", "2026-01-20",
    )  # fmt: skip
    assert [file.read_text().count('"3.00"') for file in sandbox.billing.settings.outbox.glob("*.json")] == [1]
    assert steps(tick(sandbox.billing)) == []
