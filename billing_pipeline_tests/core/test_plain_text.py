"""How figures and instants are written for machines."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from billing_pipeline.core.plain_text import day, instant, maybe_instant, maybe_plain


@pytest.mark.parametrize(
    ("quantity", "written"),
    [
        (Decimal(1600), "1600"),
        (Decimal("1600.000000000000"), "1600"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.100"), "0.1"),
        (Decimal("0E-12"), "0"),
        (Decimal("-3.50"), "-3.5"),
        (Decimal("999999999999999999.999999999999"), "999999999999999999.999999999999"),  # 30 digits, none lost
        (None, None),
    ],
)
def test_quantities_are_plain(quantity: Decimal | None, written: str | None) -> None:
    assert maybe_plain(quantity) == written


def test_instants_are_in_utc_and_end_in_z() -> None:
    local = datetime(2026, 2, 1, 1, 30, tzinfo=timezone(timedelta(hours=1)))
    assert instant(local) == "2026-02-01T00:30:00Z"
    assert instant(datetime(2026, 2, 1, 0, 0, 0, 5, tzinfo=UTC)) == "2026-02-01T00:00:00.000005Z"
    assert (maybe_instant(None), day(None), day(date(2026, 2, 1))) == (None, None, "2026-02-01")
