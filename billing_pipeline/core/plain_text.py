"""How figures and instants are written for machines: exact, in one form."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal

from billing_pipeline.core.money import EXACT

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST_QUOTED = 80  # characters, a line of a terminal


def shortened(text: str, most: int = _LONGEST_QUOTED) -> str:
    """A text as messages quote it: cut where it is long, since anybody may have sent it."""
    return text if len(text) <= most else f"{text[: most - 3]}…"


def printable(text: str) -> str:
    r"""A text without control characters and halves of surrogate pairs, which are shown as ``\x1b`` and ``\ud800``."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def instant(moment: datetime) -> str:
    """An instant as ISO 8601 in UTC, ending in Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def maybe_instant(moment: datetime | None) -> str | None:
    """An instant likewise, or None."""
    return None if moment is None else instant(moment)


def day(local_day: date | None) -> str | None:
    """A local day, or None."""
    return None if local_day is None else local_day.isoformat()


def plain(number: Decimal) -> str:
    """A number without exponent and without trailing zeros."""
    return f"{EXACT.normalize(number):f}"


def maybe_plain(number: Decimal | None) -> str | None:
    """A number likewise, or None."""
    return None if number is None else plain(number)
