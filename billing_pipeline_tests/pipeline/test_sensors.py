"""What each sensor asks for: nothing, or a run whose key names what was seen; nothing is forgotten by a downtime."""

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from billing_pipeline.core.errors import SettingsError
from billing_pipeline.ledger import migrate
from billing_pipeline_tests.patience import until
from billing_pipeline_tests.pipeline.month import CATALOG, Month
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, use

SENSORS = ("files_landed", "dirty_periods", "due_documents", "queued_payments")
HEADER = "customer,meter,timestamp,value,region,id,retract\n"


@pytest.fixture(autouse=True)
def _within_one_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run keys hold the machine's hour; no test shall depend on it."""
    at("10", monkeypatch)


def at(hour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's hour, for run keys."""
    from billing_pipeline.pipeline import sensors

    monkeypatch.setattr(sensors, "hour", lambda: f"2026-11-21T{hour}")


def drop(month: Month, name: str, *rows: str) -> Path:
    """A file in the landing folder of the source ``usage``."""
    folder = Path(month.sandbox.billing.settings.landing) / "usage"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


def settle(month: Month) -> None:
    """Close what is dirty."""
    for key in month.look("dirty_periods").partitions:
        month.run(key=key)


def test_where_nothing_is_to_be_done_each_says_so(month: Month) -> None:
    settle(month)
    said = {name: month.look(name) for name in SENSORS}
    assert {name: look.partitions for name, look in said.items()} == {name: [] for name in SENSORS}
    assert {name: look.skipped for name, look in said.items()} == {
        "files_landed": f"No new files in {month.sandbox.billing.settings.landing}.",
        "dirty_periods": "Every period is computed through everything that is known, and checked.",
        "due_documents": "No document is due that nothing holds.",
        "queued_payments": "Nothing is queued for payment.",
    }


@pytest.mark.parametrize("sensor", SENSORS)
def test_without_a_ledger_each_says_how_to_make_one(month: Month, sensor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", month.empty_database())
    look = month.look(sensor)
    assert look.partitions == []
    assert re.fullmatch(r".* is not a billing ledger yet\. Run: billing init", str(look.skipped))


@pytest.mark.parametrize("sensor", SENSORS)
def test_an_empty_ledger_is_not_initialised(month: Month, sensor: str) -> None:
    with migrate.as_owner(month.sandbox.billing.ledger) as connection:
        connection.execute(text("ALTER TABLE ledger DISABLE TRIGGER what_is_written_stays"))
        connection.execute(text("TRUNCATE ledger"))
    assert month.look(sensor).skipped == "The ledger is not initialised. Run: billing init"


@pytest.mark.parametrize("sensor", SENSORS)
def test_a_ledger_of_another_calendar_is_an_error_and_no_skip(
    month: Month, sensor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has to mend the settings: a red tick, not a quiet one."""
    monkeypatch.setenv("BILLING_TIME_ZONE", "Asia/Tokyo")
    with pytest.raises(SettingsError, match="BILLING_TIME_ZONE is Asia/Tokyo in the settings, UTC in the ledger"):
        month.look(sensor)


def test_a_file_is_seen_until_it_has_landed(month: Month) -> None:
    drop(month, "1.csv", "acme,compute,2026-01-05T10:00:00Z,3,,,")
    seen = month.look("files_landed")
    assert seen.partitions == [None]
    assert seen.cursor
    assert month.look("files_landed", seen.cursor).keys == seen.keys, "the same state asks for the same run"
    month.run("land_usage", None)
    assert month.look("files_landed").skipped
    assert month.look("dirty_periods").partitions == [JANUARY]


def test_one_more_file_is_another_run(month: Month) -> None:
    drop(month, "1.csv", "acme,compute,2026-01-05T10:00:00Z,3,,,")
    first = month.look("files_landed")
    drop(month, "2.csv", "acme,compute,2026-01-06T10:00:00Z,3,,,")
    second = month.look("files_landed")
    assert first.keys != second.keys
    month.run("land_usage", None)
    assert month.look("files_landed").skipped, "one run lands what waits"


def test_a_refused_file_is_tried_once_and_not_for_ever(month: Month) -> None:
    path = drop(month, "broken.csv", "acme,compute,2026-01-05T10:00:00Z,3,,,")
    path.write_text("customer;meter\n")
    month.run("land_usage", None)
    assert month.look("files_landed").skipped
    path.write_text(HEADER + "acme,compute,2026-01-05T10:00:00Z,3,,,\n")
    assert month.look("files_landed").keys, "mended, it is a new one"


def test_the_same_dirt_asks_for_the_same_run_and_more_for_another(month: Month) -> None:
    month.sandbox.land(use("acme", "compute", "2026-01-05", 3))
    first = month.look("dirty_periods")
    assert (first.partitions, first.skipped) == ([JANUARY], None)
    assert month.look("dirty_periods").keys == first.keys
    month.sandbox.land(use("acme", "compute", "2026-01-06", 3))
    assert month.look("dirty_periods").keys != first.keys


def test_what_failed_is_tried_again_within_minutes_and_the_sensor_says_that_it_waits(
    month: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 1, 2, 4 minutes, …, and never at once because an hour is over; a run that succeeds ends it."""
    from billing_pipeline.pipeline import sensors

    month.sandbox.land(use("acme", "compute", "2026-01-05", 3))
    in_the_way = month.sandbox.billing.spill_folder  # no engine starts where it cannot spill
    in_the_way.write_text("a file, where a folder must be")
    look = month.look("dirty_periods")
    keys = list(look.keys)
    for failures in range(1, 9):
        month.run(fails=True, tags=look.tags[0])
        at(f"{10 + failures}", monkeypatch)
        waits = month.look("dirty_periods")
        times = "once" if failures == 1 else f"{failures} times"
        said = rf"2026-01-01 failed {times}; it is tried again at \d\d:\d\d:\d\d UTC\."
        assert (waits.partitions, bool(re.fullmatch(said, str(waits.skipped)))) == ([], True)
        wait = timedelta(minutes=min(2 ** (failures - 1), 60))
        with monkeypatch.context() as patched:
            patched.setattr(sensors, "machine_now", partial(_in, wait - timedelta(seconds=30)))
            assert month.look("dirty_periods").skipped
            patched.setattr(sensors, "machine_now", partial(_in, wait + timedelta(seconds=1)))
            look = month.look("dirty_periods")
        assert look.partitions == [JANUARY]
        keys += look.keys
    assert len(set(keys)) == 9, "Dagster launches no key twice"
    in_the_way.unlink()
    month.run(tags=look.tags[0])
    assert (
        month.look("dirty_periods").skipped == "Every period is computed through everything that is known, and checked."
    )


def _in(some_time: timedelta) -> datetime:
    return datetime.now(UTC) + some_time


def test_what_failed_is_tried_again_in_the_next_hour(month: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    month.sandbox.land(use("acme", "compute", "2026-01-05", 3))
    first = month.look("dirty_periods")
    at("11", monkeypatch)
    assert month.look("dirty_periods").keys != first.keys


def test_a_catalog_change_makes_its_periods_dirty(month: Month) -> None:
    settle(month)
    month.sandbox.apply("subscriptions: [{id: acme, customer: acme, plan: in-europe, start: 2026-01-01}]")
    assert month.look("dirty_periods").partitions == [JANUARY]


def test_new_quarantined_rows_have_their_periods_checked_again(month: Month) -> None:
    """Nothing of it is metered, so nothing is dirty; but how much waits is worth a check."""
    month.sandbox.land(use("acme", "compute", "2026-01-05", 3))
    settle(month)
    month.sandbox.land(use("nobody", "compute", "2026-01-05", 3))
    assert month.look("dirty_periods").partitions == [JANUARY]
    settle(month)
    assert month.look("dirty_periods").skipped


def test_after_a_downtime_every_period_is_caught_up(month: Month) -> None:
    """Nothing ran for weeks after usage had landed; two months ended, a file was dropped."""
    month.sandbox.land(use("acme", "compute", "2026-01-05", 30))
    month.sandbox.at("2026-03-02")
    drop(month, "1.csv", "acme,compute,2026-02-05T10:00:00Z,40,,,", "beta,compute,2026-03-01T10:00:00Z,5,,,")
    month.run("land_usage", None)
    dirty = month.look("dirty_periods")
    assert dirty.partitions == [JANUARY, FEBRUARY, "2026-03-01"]
    assert len(set(dirty.keys)) == 3
    settle(month)
    assert month.look("due_documents").partitions == [JANUARY]
    month.run("lock_period")
    assert month.look("queued_payments").partitions == [None]
    month.run("deliver_payments", None)
    assert [month.look(name).partitions for name in SENSORS] == [[], [], [], []]


def test_due_documents_wait_for_their_time(month: Month) -> None:
    month.sandbox.land(use("acme", "compute", "2026-01-05", 30))
    for now, expected in (("2026-01-20", []), ("2026-02-03T23:59", []), ("2026-02-04", [JANUARY])):
        month.sandbox.at(now)
        settle(month)
        assert month.look("due_documents").partitions == expected, now


def test_a_document_that_becomes_free_is_another_run_in_the_same_hour(month: Month) -> None:
    """As many are due as before, and nothing was received; still the first run did not lock it."""
    from billing_pipeline.operations.locking.holds import list_holds, place, release

    billing = month.sandbox.billing
    month.sandbox.land(use("acme", "compute", "2026-01-05", 30), use("beta", "compute", "2026-01-05", 30))
    month.sandbox.at("2026-02-05")
    settle(month)
    place(billing, ["acme"], JANUARY, "disputed")
    first = month.look("due_documents")
    month.run("lock_period")
    assert month.look("due_documents").skipped
    release(billing, [one.id for one in list_holds(billing)], "settled")
    second = month.look("due_documents")
    assert second.partitions == [JANUARY]
    assert second.keys != first.keys


def test_documents_that_wait_for_a_source_ask_for_no_run(month: Month) -> None:
    month.sandbox.apply(CATALOG.replace("format: csv,", "format: csv, required: true,"))
    month.sandbox.land(use("acme", "compute", "2026-01-05", 30))
    month.sandbox.at("2026-02-05")
    settle(month)
    assert month.look("due_documents").skipped
    assert month.run("lock_period").metadata("payments")["final invoices"] == 0


def test_payments_queued_later_in_the_hour_are_another_run(month: Month) -> None:
    """One is handed over, then another is queued: the same count, and yet not the same."""
    keys = set()
    for key, start in ((JANUARY, "2026-01"), (FEBRUARY, "2026-02")):
        month.sandbox.at(f"{start}-25").land(use("acme", "compute", f"{start}-05", 30))
        month.sandbox.at("2026-02-04" if key == JANUARY else "2026-03-04")
        month.run("lock_period", key)
        look = month.look("queued_payments")
        assert look.partitions == [None]
        keys.update(look.keys)
        month.run("deliver_payments", None)
        assert month.look("queued_payments").skipped
    assert len(keys) == 2


def test_a_sandbox_ahead_of_today_is_left_to_tick(month: Month) -> None:
    """Dagster knows no partition after today; what lies before it is still launched."""
    ahead = f"{datetime.now(UTC).year + 2}-01-20"
    settle(month)
    month.sandbox.at(ahead).land(use("acme", "compute", ahead.replace("-20", "-05"), 3))
    look = month.look("dirty_periods")
    assert look.partitions[:2] == [JANUARY, FEBRUARY]
    assert max(map(str, look.partitions)) < f"{datetime.now(UTC):%Y-%m-32}"


def test_where_all_that_is_dirty_lies_ahead_of_today_it_says_what_to_run(
    month: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    from billing_pipeline.pipeline import sensors

    month.sandbox.land(use("acme", "compute", "2026-01-05", 3))
    monkeypatch.setattr(sensors, "BILLING_PERIODS", type("None", (), {"has_partition_key": lambda *_: False})())
    assert month.look("dirty_periods").skipped == (
        "2026-01-01: beyond today. Run a sandbox that is ahead of it with: billing tick"
    )


def test_a_look_gives_its_connections_back(month: Month) -> None:
    """Sensors tick for months in one process."""
    sessions = "SELECT array_agg(pid ORDER BY pid) AS pids FROM pg_stat_activity WHERE datname = current_database()"
    before = month.sandbox.query(sessions)[0].pids
    for _ in range(3):
        month.look("dirty_periods")
    until(lambda: month.sandbox.query(sessions)[0].pids == before, "connections were kept")
