"""The kinds of value that catalog fields hold, beyond Python's own: what is checked where a field is read.

A dataclass field is ``Annotated`` with a :class:`Rule`; the parser runs its check and the JSON Schema prints its terms.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from inspect import cleandoc
from string import Formatter
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.money import minor_digits
from billing_pipeline.core.period import Duration

LONGEST_ID = 200  # characters; ids stand in file names, URLs and idempotency keys
NO_TIME = Duration()
MOST_PERIODS = 1200  # a hundred years of months


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: Annotated hashes it
class Rule:
    """What a value must satisfy beyond its type.

    Attributes:
        check: raises CatalogError for a value that does not satisfy it.
        schema: the same, as far as JSON Schema can say it.
    """

    check: Callable[[Any], object]
    schema: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assigned:
    """Marks a field that the ledger gives (a version): it is stored, but no file may name it."""


@dataclass(frozen=True, slots=True)
class DefaultsToAccount:
    """Marks a field that takes the account's value where a file leaves it out."""


def _check_id(value: str) -> None:
    if not value or len(value) > LONGEST_ID:
        raise CatalogError(f"An id has 1 to {LONGEST_ID} characters, this has {len(value)}.")
    if not value.isprintable() or value != value.strip():
        raise CatalogError(
            f"The id {value!r} holds control characters or blanks at its ends.",
            hint="Use letters, digits, '-', '_', '.', ':' and '/'.",
        )


def _check_not_negative(value: Decimal) -> None:
    if value < 0:
        raise CatalogError(f"{value} is negative.", hint="Write 0 or more.")


def _check_positive(value: Decimal) -> None:
    if value <= 0:
        raise CatalogError(f"{value} is not greater than 0.")


def _check_percent(value: Decimal) -> None:
    if not 0 <= value <= 100:  # noqa: PLR2004 - percent
        raise CatalogError(f"{value} is not between 0 and 100 percent.")


def _check_period_count(value: int) -> None:
    if not 1 <= value <= MOST_PERIODS:
        raise CatalogError(f"{value} is not between 1 and {MOST_PERIODS}.", hint="Leave it out for all periods.")


def _check_whole_days(value: Duration) -> None:
    if value.hours:
        raise CatalogError(f"{str(value)!r} is not a number of whole days.", hint="Write e.g. '5 days'.")


def _check_time_zone(value: str) -> None:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise CatalogError(f"{value!r} is no IANA time zone.", hint="Write e.g. 'Europe/Berlin' or 'UTC'.") from None


def _check_number_format(value: str) -> None:
    """Numbers count within a year, so a format without both of its parts would repeat itself."""
    try:
        names = {name for _, name, _, _ in Formatter().parse(value) if name is not None}
        if names == {"year", "number"} and value.format(year=2026, number=1):
            return
    except (ValueError, IndexError):
        pass
    raise CatalogError(f"{value!r} is no number format.", hint="Write e.g. '{year}-{number:06}'.")


_DECIMAL = {"minimum": 0}

Id = Annotated[str, Rule(_check_id, {"minLength": 1, "maxLength": LONGEST_ID})]
CurrencyCode = Annotated[str, Rule(minor_digits, {"pattern": "^[A-Z]{3}$"})]
NotNegative = Annotated[Decimal, Rule(_check_not_negative, _DECIMAL)]
Positive = Annotated[Decimal, Rule(_check_positive, {"exclusiveMinimum": 0})]
Percent = Annotated[Decimal, Rule(_check_percent, {"minimum": 0, "maximum": 100})]
PeriodCount = Annotated[int, Rule(_check_period_count, {"minimum": 1, "maximum": MOST_PERIODS})]
WholeDays = Annotated[Duration, Rule(_check_whole_days, {"pattern": r"^\s*(0|\d{1,5}\s*days?)$"})]
TimeZone = Annotated[str, Rule(_check_time_zone)]
NumberFormat = Annotated[str, Rule(_check_number_format)]


_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n {5,}.+)*)", re.MULTILINE)


def summary(shape: type) -> str:
    """The first line."""
    return cleandoc(shape.__doc__ or "").partition("\n")[0]


def attributes(shape: type) -> dict[str, str]:
    """What is said of each field."""
    section = cleandoc(shape.__doc__ or "").partition("Attributes:\n")[2]
    return {name: re.sub(r"\s+", " ", said) for name, said in _ATTRIBUTE.findall(section)}
