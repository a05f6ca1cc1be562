"""The instant from which a change counts, as people and programs say it."""

import re
from datetime import UTC, datetime

from billing_pipeline.catalog.scalars import instant
from billing_pipeline.core.errors import CatalogError, Refused
from billing_pipeline.core.period import BillingCalendar, BillingPeriod

NOW, CURRENT_PERIOD, PREVIOUS_PERIOD = "now", "current-period", "previous-period"
_EPOCH_SECONDS = re.compile(r"\d{10}\Z", re.ASCII)  # from 2001 to 2286
_EPOCH_MILLISECONDS = re.compile(r"\d{13}\Z", re.ASCII)


def parse_start(text: str, calendar: BillingCalendar, now: datetime) -> datetime:
    """``now``, ``current-period``, ``previous-period``, a local day, an instant with its zone, or epoch seconds.

    Args:
        text: what was said.
        calendar: places local days and periods.
        now: the ledger's clock.

    Returns:
        A UTC instant. Whether it may be a start is decided where it is recorded.

    Raises:
        Refused: it is none of these, or there is no such period.
    """
    said = text.strip()
    if said == NOW:
        return now
    if said == CURRENT_PERIOD:
        return _current(calendar, now).start
    if said == PREVIOUS_PERIOD:
        return _previous(calendar, now).start
    if _EPOCH_SECONDS.match(said):
        return datetime.fromtimestamp(int(said), UTC)
    try:
        return instant(said, calendar)
    except CatalogError:
        raise Refused(f"{text!r} is no start.", hint=_hint(said)) from None


def _current(calendar: BillingCalendar, now: datetime) -> BillingPeriod:
    period = calendar.period_of(now)
    if period is None:
        raise Refused("The first billing period has not started.", hint=f"It starts on {calendar.first_day}.")
    return period


def _previous(calendar: BillingCalendar, now: datetime) -> BillingPeriod:
    current = _current(calendar, now)
    period = calendar.previous(current)
    if period is None:
        raise Refused(
            "There is no period before the first one.", hint=f"The earliest start is {current.start.isoformat()}."
        )
    return period


def _hint(said: str) -> str:
    if _EPOCH_MILLISECONDS.match(said):
        return "These look like milliseconds; give seconds since 1970, in 10 digits."
    return (
        f"Write {NOW}, {CURRENT_PERIOD}, {PREVIOUS_PERIOD}, a day (2026-01-01), an instant with its zone "
        "(2026-01-01T12:00:00Z) or seconds since 1970, in 10 digits."
    )
