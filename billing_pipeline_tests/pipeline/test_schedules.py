"""What the clock launches: the period that is open, and those that have ended; never the one that has just opened."""

import os
from pathlib import Path

import pytest

from billing_pipeline.operations.locking.holds import list_holds
from billing_pipeline_tests.pipeline.month import Month
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, instant, use


def test_the_heartbeat_is_for_the_open_period(month: Month) -> None:
    look = month.tick("heartbeat", "2026-01-20T10:15")
    assert look.partitions == [JANUARY]
    assert look.keys == ["2026-01-01:2026-01-20T10:15:00+00:00"]
    month.sandbox.at("2026-02-01")
    assert month.tick("heartbeat", "2026-02-01T00:15").partitions == [FEBRUARY]


def test_the_close_is_for_what_has_ended_and_not_for_what_has_just_opened(month: Month) -> None:
    """A schedule made from the partitioned job would pick February here."""
    month.sandbox.land(use("acme", "compute", "2026-01-05", 3))
    month.run()
    assert month.tick("close_through_grace", "2026-01-21T00:05").skipped == "No period is in grace."
    month.sandbox.at("2026-02-01T00:05")
    assert month.tick("close_through_grace", "2026-02-01T00:05").partitions == [JANUARY]


def test_it_closes_every_day_until_the_lock_and_every_period_in_grace(month: Month) -> None:
    month.sandbox.apply("subscriptions: [{id: acme, customer: acme, plan: patient, start: 2026-01-01}]")
    month.sandbox.land(use("acme", "compute", "2026-01-05", 3), use("beta", "compute", "2026-01-05", 3))
    month.sandbox.at("2026-03-02T00:05")
    for key in (JANUARY, FEBRUARY):
        month.run(key=key)
        month.run("lock_period", key)
    look = month.tick("close_through_grace", "2026-03-02T00:05")
    assert look.partitions == [JANUARY, FEBRUARY], "acme's 150 days of grace are not over"
    tomorrow = month.tick("close_through_grace", "2026-03-03T00:05")
    assert set(tomorrow.keys).isdisjoint(look.keys)


def test_a_locked_period_is_left_alone(month: Month) -> None:
    month.sandbox.land(use("acme", "compute", "2026-01-05", 3), use("beta", "compute", "2026-01-05", 3))
    month.sandbox.at("2026-02-04")
    month.run("lock_period")
    assert month.tick("close_through_grace", "2026-02-05T00:05").skipped == "No period is in grace."


def test_upkeep_releases_who_waits_for_a_restored_file_and_removes_what_crashes_left(month: Month) -> None:
    billing = month.sandbox.billing
    month.sandbox.land(use("acme", "compute", "2026-01-05", 3), use("beta", "compute", "2026-01-05", 4))
    lake = Path(billing.settings.lake)
    paths = [lake / row.path for row in month.sandbox.query("SELECT path FROM lake_file")]
    kept = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.unlink()
    month.run()
    assert {hold.cause for hold in list_holds(billing)} == {"lake_files"}
    left = billing.settings.home / "staging" / "1-killed"
    left.mkdir(parents=True)
    os.utime(left, times=(0, 0))
    for path, content in kept.items():
        path.write_bytes(content)

    assert month.tick("hourly_upkeep", "2026-01-20T10:45").keys == ["2026-01-20T10:45:00+00:00"]
    month.run("upkeep", None)
    assert list_holds(billing) == []
    assert not left.exists()
    assert month.look("dirty_periods").partitions == [JANUARY]
    month.run()
    assert [str(doc.total) for doc in month.sandbox.documents(key=JANUARY)] == ["0.30", "0.40"]


@pytest.mark.parametrize("schedule", ["heartbeat", "close_through_grace", "hourly_upkeep", "on_demand_windows"])
def test_without_a_ledger_they_say_how_to_make_one(
    month: Month, schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", month.empty_database())
    assert str(month.tick(schedule, "2026-02-01").skipped).endswith("is not a billing ledger yet. Run: billing init")


def test_a_sandbox_ahead_of_today_is_left_to_tick(month: Month) -> None:
    month.sandbox.at("2099-01-01")
    assert month.tick("heartbeat", "2026-02-01").skipped == "No period is open that Dagster knows."


def test_they_run_in_the_billing_time_zone(month: Month) -> None:
    from billing_pipeline.pipeline.partitions import BILLING_PERIODS

    for name in ("heartbeat", "close_through_grace", "hourly_upkeep"):
        assert month.defs.resolve_schedule_def(name).execution_timezone == BILLING_PERIODS.timezone


def test_an_hour_after_the_usage_its_window_is_invoiced(month: Month) -> None:
    """1:30pm UTC → 2:00pm UTC, by the schedule's own run; a window is no partition."""
    month.sandbox.apply("""
plans:
  - id: now
    currency: USD
    billing: on_demand
    invoice_every: hour
    prices: [{id: compute, meter: compute, price: {model: per_unit, unit_amount: "0.10"}}]
customers: [{id: gamma, currency: USD}]
subscriptions: [{id: gamma, customer: gamma, plan: now, start: 2026-01-01}]
""")
    month.sandbox.at("2026-01-20T13:30")
    month.sandbox.land(use("gamma", "compute", "2026-01-20T13:25", 30))
    month.sandbox.at("2026-01-20T14:00")
    look = month.tick("on_demand_windows", "2026-01-20T14:00")
    assert look.partitions == [JANUARY]
    assert look.keys == ["2026-01-01:2026-01-20T14:00:00+00:00"]
    run = month.run("invoice_windows", JANUARY)
    (made,) = [one for one in month.sandbox.documents("gamma") if one.kind == "on_demand"]
    assert (str(made.total), made.number, made.cutoff) == ("3.00", "2026-000001", instant("2026-01-20T14:00"))
    assert run.metadata("on_demand_invoices")["invoices issued"] == 1
    assert month.tick("on_demand_windows", "2026-01-20T14:00").skipped == "No window on demand is due."


def test_windows_end_by_the_utc_hour_whatever_the_billing_zone(month: Month) -> None:
    assert month.defs.resolve_schedule_def("on_demand_windows").execution_timezone == "UTC"
