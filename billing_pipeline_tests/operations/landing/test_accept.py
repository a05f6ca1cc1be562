"""The order of arrival: numbers and instants are given once, under a lock, and neither goes back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing_pipeline.core.errors import Refused, UsageError
from billing_pipeline.ledger.usage import batches
from billing_pipeline.ledger.usage.batches import Accepted, Delivery
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.land import land
from billing_pipeline.usage.event import LakeFile
from billing_pipeline_tests.operations.landing.landing_ledger import lake_files, rows_of, write
from billing_pipeline_tests.payments.outbox_ledger import set_clock

NOW = datetime(2026, 2, 1, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def accept(
    billing: Billing,
    content: str,
    now: datetime = NOW,
    *,
    again: bool = False,
    received_at: datetime | None = None,
    files: tuple[LakeFile, ...] = (),
) -> Accepted:
    delivery = Delivery("bare", content, "usage.csv", 0, 0, "tester", files=files)
    with billing.ledger.begin() as connection:
        return batches.accept(connection, delivery, lambda _: now, again=again, received_at=received_at)


def test_batches_are_numbered_without_gaps(billing: Billing) -> None:
    assert [accept(billing, content).batch.number for content in "abcab"] == [1, 2, 3, 1, 2]
    assert accept(billing, "a", again=True).batch.number == 4
    assert accept(billing, "a").batch.number == 4, "a re-send repeats the newest"
    assert rows_of(billing, "SELECT number, repeat FROM batch ORDER BY number") == [(1, 0), (2, 0), (3, 0), (4, 1)]


def test_a_batch_that_fails_takes_no_number(billing: Billing) -> None:
    with pytest.raises(Refused):
        accept(billing, "a", received_at=NOW + HOUR)
    assert accept(billing, "b").batch.number == 1


def test_the_instant_of_receipt_never_goes_back(billing: Billing) -> None:
    instants = [accept(billing, content, now).batch.received_at for content, now in (("a", NOW), ("b", NOW - HOUR))]
    assert instants == [NOW, NOW]
    set_clock(billing, NOW + HOUR)
    assert accept(billing, "c", NOW + HOUR).batch.received_at == NOW + HOUR


def test_history_is_imported_in_its_order(billing: Billing) -> None:
    past = NOW - 100 * HOUR
    assert accept(billing, "a", received_at=past).batch.received_at == past
    assert accept(billing, "b", received_at=past + HOUR).batch.received_at == past + HOUR
    with pytest.raises(Refused, match="received or locked at 2026-01-28T06:30"):
        accept(billing, "c", received_at=past)
    with pytest.raises(Refused, match="in the future"):
        accept(billing, "c", received_at=NOW + HOUR)
    assert accept(billing, "a", received_at=past).already, "a re-send changes nothing, whatever it says"


def test_dimensions_that_two_deliveries_spell_differently_at_once(billing: Billing) -> None:
    def file(dimension: str) -> LakeFile:
        return LakeFile(f"{dimension}.parquet", 0, NOW.date().replace(day=1), None, 1, 0, "", 1, (dimension,))

    accept(billing, "a", files=(file("zone"),))
    with pytest.raises(UsageError, match="case only"):
        accept(billing, "b", files=(file("Zone"),))
    assert rows_of(billing, "SELECT content_hash FROM batch") == [("a",)]


def test_files_of_a_refused_landing_are_removed(billing: Billing, tmp_path: Path) -> None:
    path = write(tmp_path / "usage.csv", ["customer,meter,timestamp,value", "acme,gb,2026-01-05T10:00:00Z,1"])
    with pytest.raises(Refused):
        land(billing, "bare", path, received_at=NOW + HOUR)
    assert not lake_files(billing)
    assert not rows_of(billing, "SELECT FROM batch")


def test_a_landing_is_received_by_the_ledgers_clock(billing: Billing, tmp_path: Path) -> None:
    set_clock(billing, NOW + 24 * HOUR)
    path = write(tmp_path / "usage.csv", ["customer,meter,timestamp,value", "acme,gb,2026-01-05T10:00:00Z,1"])
    land(billing, "bare", path)
    assert rows_of(billing, "SELECT received_at, actor FROM batch") == [(NOW + 24 * HOUR, "tester")]


def test_the_manifest_cannot_be_changed(billing: Billing) -> None:
    """The application's role writes facts once."""
    accept(billing, "a")
    for statement in ("UPDATE batch SET rows = 7", "DELETE FROM batch", "TRUNCATE lake_file"):
        with pytest.raises(Exception, match="permission denied"):
            rows_of(billing, statement)
