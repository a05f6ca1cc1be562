"""From a file's text to one value. Each reader raises CatalogError for text that is none."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal

from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.money import EXACT
from billing_pipeline.core.period import BillingCalendar, Duration
from billing_pipeline.core.plain_text import printable, shortened

_DECIMAL = re.compile(r"[-+]?\d{1,40}(\.\d{1,40})?([eE][-+]?\d{1,3})?\Z", re.ASCII)
_INTEGER = re.compile(r"[-+]?\d{1,18}\Z", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) ?([Zz]|[-+]\d\d:\d\d)\Z", re.ASCII)
MOST_DIGITS = 18  # before the point, as many as a quantity has
LONGEST_TEXT = 10_000  # characters
MOST_DECIMALS = 12  # after it


def free_text(value: object, calendar: BillingCalendar | None = None) -> str:
    """A text that nothing else is said of; a file's has lines, but no other control characters."""
    free = text(value)
    if calendar is not None and len(free) > LONGEST_TEXT:
        raise CatalogError(f"The text has {len(free):,} characters; at most {LONGEST_TEXT:,}.", hint="Shorten it.")
    if calendar is not None and printable(unbroken := free.replace("\n", "")) != unbroken:
        raise CatalogError(f"{shown(free)} holds control characters.", hint="Remove them.")
    return free


def text(value: object, _calendar: BillingCalendar | None = None) -> str:
    """A text: any scalar, as it was written."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        raise CatalogError(f"{str(value).lower()} is not a text.", hint=f"Quote it: '{str(value).lower()}'.")
    raise CatalogError(f"Expected a text, not {shape(value)}.")


def decimal(value: object, _calendar: BillingCalendar | None = None) -> Decimal:
    """An exact decimal of at most 18 digits before the point and 12 after it."""
    written = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(written, str) or not _DECIMAL.match(written):
        raise CatalogError(
            f"{shown(value)} is not a decimal.", hint='Write e.g. "0.10", with a point and no separators.'
        )
    number = Decimal(written)
    scaled = EXACT.scaleb(number, MOST_DECIMALS)
    if number and (number.adjusted() >= MOST_DIGITS or scaled != scaled.to_integral_value()):
        raise CatalogError(
            f"{written} has more than {MOST_DIGITS} digits or {MOST_DECIMALS} decimals.", hint="Shorten it."
        )
    return number


def integer(value: object, _calendar: BillingCalendar | None = None) -> int:
    """A whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.match(value):
        return int(value)
    raise CatalogError(f"{shown(value)} is not a whole number.")


def boolean(value: object, _calendar: BillingCalendar | None = None) -> bool:
    """A value of unquoted true or false."""
    if isinstance(value, bool):
        return value
    raise CatalogError(f"{shown(value)} is neither true nor false.", hint="Write true or false, without quotes.")


def duration(value: object, _calendar: BillingCalendar | None = None) -> Duration:
    """Days or hours, not negative."""
    written = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else shown(value)
    if written.startswith("-"):
        raise CatalogError(f"{written!r} is negative.", hint="Write 0, '3 days' or '12 hours'.")
    return Duration.parse(written)


def instant(value: object, calendar: BillingCalendar | None = None) -> datetime:
    """A UTC instant: an instant with its zone, or a day, which begins at midnight in the calendar's zone."""
    try:
        if isinstance(value, str) and (match := _INSTANT.match(value)):
            return datetime.fromisoformat(f"{match[1]}T{match[2]}{match[3].upper()}").astimezone(UTC)
        if isinstance(value, str) and _DAY.match(value) and calendar:
            return calendar.midnight(date.fromisoformat(value))
    except (ValueError, OverflowError):
        pass
    raise CatalogError(
        f"{shown(value)} is neither a day nor an instant.",
        hint="Write e.g. 2026-01-01, or 2026-01-01T12:00:00Z with its zone.",
    )


def written(instant: datetime, calendar: BillingCalendar) -> str:
    """An instant as people write it: a local day where one begins, else with the zone's offset."""
    day = calendar.local_day(instant)
    return day.isoformat() if calendar.midnight(day) == instant else instant.astimezone(calendar.zone).isoformat()


def shape(value: object) -> str:
    """What kind of value it is, for messages."""
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else shown(value)


def shown(value: object) -> str:
    """``value`` as messages quote it, cut where it is long."""
    if isinstance(value, dict | list):
        return shape(value)
    quoted = str(value).lower() if isinstance(value, bool) else repr(value)
    return shortened(quoted)
