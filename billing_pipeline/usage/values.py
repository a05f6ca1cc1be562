"""Text → exact values, one at a time: the forms that the fast path leaves, and the reason where there is no value."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from billing_pipeline.usage.event import VALUE_PRECISION, VALUE_SCALE

_WHOLE_DIGITS = VALUE_PRECISION - VALUE_SCALE
_SHOWN = 50  # characters of a text that a message repeats
_LONGEST = 400  # characters; longer texts are refused before anything is computed with them
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,6})?\Z")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)\Z", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+\Z")
_TOO_FINE = re.compile(r"[.,]([0-9]{6})([0-9]+)")
_FARTHEST_OFFSET = timedelta(hours=14)


class BadValue(ValueError):  # noqa: N818 - the value is bad, the program is not
    """A text is no value; ``code`` is for machines, the message for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def parse_decimal(text: str) -> Decimal:
    """A decimal of at most 18 digits before the point and 12 after it. Raises BadValue; never rounds."""
    stripped = text.strip()
    if _NOT_FINITE.match(stripped):
        raise BadValue("value_not_finite", f"{_short(text)} is not a finite number.")
    if _DECIMAL_COMMA.match(stripped):
        raise BadValue(
            "bad_value", f"{_short(text)} has a comma; write the decimal point, and no thousands separators."
        )
    if not _NUMBER.match(stripped):
        raise BadValue("bad_value", f"{_short(text)} is no number.")
    if len(stripped) > _LONGEST:
        raise BadValue("value_too_large", f"{_short(text)} has {len(stripped)} characters.")
    try:
        value = Decimal(stripped)
    except InvalidOperation:
        raise BadValue("value_too_large", f"{_short(text)} is out of any range.") from None
    return _fitting(value, text)


def _fitting(value: Decimal, text: str) -> Decimal:
    if not value:
        return Decimal(0)
    if value.adjusted() >= _WHOLE_DIGITS:
        raise BadValue("value_too_large", f"{_short(text)} has more than {_WHOLE_DIGITS} digits before the point.")
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int), "only finite numbers match"  # noqa: S101
    trailing = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    if -(exponent + trailing) > VALUE_SCALE:
        raise BadValue("value_too_fine", f"{_short(text)} has more than {VALUE_SCALE} decimals; nothing is rounded.")
    return value


def parse_instant(text: str, time_zone: str | None) -> datetime:
    """An instant in UTC: ISO 8601 with a zone, or in ``time_zone`` where the text names none.

    Of a local time that happens twice, when clocks go back, the earlier instant is meant.

    Raises:
        BadValue: malformed, without zone, finer than a microsecond, or a local time that never was.
    """
    stripped = text.strip().upper().removesuffix(" UTC")
    written = stripped + "Z" if stripped != text.strip().upper() else stripped
    finer = _TOO_FINE.search(written)
    if finer and finer[2].strip("0"):
        raise BadValue("timestamp_too_fine", f"{_short(text)} is finer than a microsecond; nothing is rounded.")
    if finer:
        written = written[: finer.start(2)] + written[finer.end(2) :]
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise BadValue("bad_timestamp", f"{_short(text)} is no ISO 8601 date and time.") from None
    return _in_utc(moment, text, time_zone)


def _in_utc(moment: datetime, text: str, time_zone: str | None) -> datetime:
    try:
        if moment.tzinfo is not None:
            if abs(moment.utcoffset() or timedelta()) > _FARTHEST_OFFSET:
                raise BadValue("bad_timestamp", f"{_short(text)} has an offset that no zone has.")
            return moment.astimezone(UTC)
        if time_zone is None:
            raise BadValue(
                "timestamp_without_zone",
                f"{_short(text)} names no zone. Add Z or an offset, or give the source a time_zone.",
            )
        instant = moment.replace(tzinfo=ZoneInfo(time_zone)).astimezone(UTC)
        if instant.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None) != moment:
            raise BadValue(
                "bad_timestamp", f"{_short(text)} never was in {time_zone}: the clocks went forward over it."
            )
    except OverflowError:
        raise BadValue("bad_timestamp", f"{_short(text)} is outside the calendar.") from None
    return instant


def parse_flag(text: str) -> bool:
    """A flag: ``true``, ``1``, ``yes`` or their opposites. Raises BadValue for anything else."""
    flag = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.strip().lower())
    if flag is None:
        raise BadValue("bad_retract", f"{_short(text)} is neither true nor false.")
    return flag


def too_early(text: str, first_day: date) -> BadValue:
    """What is wrong with a timestamp before there was anything to bill: of year 0001, or a clock that was never set."""
    return BadValue(
        "timestamp_before_first_period", f"{_short(text)} is before the first billing period ({first_day})."
    )


def too_late(text: str, end: datetime) -> BadValue:
    """What is wrong with a timestamp so far ahead that it is a mistake, e.g. milliseconds taken for seconds."""
    reason = f"{_short(text)} is after the end of the next billing period ({end.isoformat()})."
    return BadValue("timestamp_too_far_ahead", reason)


def _short(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN else repr(text[:_SHOWN] + "…")
