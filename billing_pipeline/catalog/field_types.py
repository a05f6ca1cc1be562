"""The kinds of value that catalog fields hold, beyond Python's own: what is checked where a field is read.

A dataclass field is ``Annotated`` with a :class:`Rule`; the parser runs its check and the JSON Schema prints its terms.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from inspect import cleandoc
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.money import minor_digits
from billing_pipeline.core.period import Duration
from billing_pipeline.core.plain_text import shortened

LONGEST_ID = 200  # characters; ids stand in file names, URLs and idempotency keys
NO_TIME = Duration()
LONGEST_LINE = 500  # characters of a name that is printed
_ALL = 100  # percent
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}\Z")
_PLACEHOLDER = re.compile(r"\{(year)\}|\{(number)(?::0(?:[1-9]|1[0-9]|20))?\}")
MOST_PERIODS = 1200  # a hundred years of months


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: Annotated hashes it
class Rule:
    """What a value must satisfy beyond its type.

    Attributes:
        check: raises CatalogError for a value that does not satisfy it.
        schema: the same, as far as JSON Schema can say it.
        of_files: whether only files are asked for it: a ledger may hold what was allowed before there was the rule.
    """

    check: Callable[[Any], object]
    schema: Mapping[str, object] = field(default_factory=dict)
    of_files: bool = False


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
            f"The id {shortened(value)!r} holds control characters or blanks at its ends.",
            hint="Use letters, digits, '-', '_', '.', ':' and '/'.",
        )


def _is_time_zone(value: str) -> bool:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _is_number_format(value: str) -> bool:
    """Numbers count within a year, so a format without both of its parts would repeat itself."""
    names = [match[1] or match[2] for match in _PLACEHOLDER.finditer(value)]
    plain = _PLACEHOLDER.sub("", value)
    return {*names} == {"year", "number"} and not {*plain} & {"{", "}"} and plain.isprintable()


def _is_line(value: str) -> bool:
    return value.isprintable() and len(value) <= LONGEST_LINE


@cache
def _is_locale(value: str) -> bool:
    if not _LOCALE.match(value):
        return False
    from babel import Locale, UnknownLocaleError  # here: it takes long, and few customers have one

    try:
        Locale.parse(value.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return False
    return True


def _rule(holds: Callable[[Any], bool], message: str, hint: str = "", **schema: object) -> Rule:
    """The rule that ``holds`` is true of a value; where it is not, ``message`` names the value in place of {}."""

    def check(value: object) -> None:
        if not holds(value):
            raise CatalogError(message.format(shortened(value) if isinstance(value, str) else value), hint=hint)

    return Rule(check, schema)


def _rule_of_files(holds: Callable[[Any], bool], message: str, hint: str) -> Rule:
    """The same, for what was not refused before and may be recorded."""
    return replace(_rule(holds, message, hint), of_files=True)


_A_DAY = r"^\s*(0|\d{1,5}\s*days?)$"
_A_ZONE, _A_FORMAT = "Write e.g. 'Europe/Berlin' or 'UTC'.", "Write e.g. '{year}-{number:06}': at most 20 digits."

Id = Annotated[str, Rule(_check_id, {"minLength": 1, "maxLength": LONGEST_ID})]
CurrencyCode = Annotated[str, Rule(minor_digits, {"pattern": "^[A-Z]{3}$"})]
NotNegative = Annotated[Decimal, _rule(lambda value: value >= 0, "{} is negative.", "Write 0 or more.", minimum=0)]
Positive = Annotated[Decimal, _rule(lambda value: value > 0, "{} is not greater than 0.", exclusiveMinimum=0)]
Percent = Annotated[
    Decimal, _rule(lambda value: 0 <= value <= _ALL, "{} is not between 0 and 100 percent.", minimum=0, maximum=_ALL)
]
PeriodCount = Annotated[
    int,
    _rule(
        lambda value: 1 <= value <= MOST_PERIODS,
        f"{{}} is not between 1 and {MOST_PERIODS}.",
        "Leave it out for all periods.",
        minimum=1,
        maximum=MOST_PERIODS,
    ),
]
WholeDays = Annotated[
    Duration,
    _rule(lambda value: not value.hours, "'{}' is not a number of whole days.", "Write e.g. '5 days'.", pattern=_A_DAY),
]
TimeZone = Annotated[str, _rule(_is_time_zone, "{!r} is no IANA time zone.", _A_ZONE)]
NumberFormat = Annotated[str, _rule_of_files(_is_number_format, "{!r} is no number format.", _A_FORMAT)]
Line = Annotated[
    str,
    _rule_of_files(
        _is_line,
        "{!r} holds control characters, or is longer than a printed line.",
        "Write it in one short line.",
    ),
]
LocaleName = Annotated[str, _rule_of_files(_is_locale, "{!r} is no locale.", "Write e.g. 'de_DE' or 'en_US'.")]

_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n {5,}.+)*)", re.MULTILINE)


def summary(shape: type) -> str:
    """A schema's description of a class: the first line of its docstring."""
    return cleandoc(shape.__doc__ or "").partition("\n")[0]


def attributes(shape: type) -> dict[str, str]:
    """Each field's description, from the class's docstring."""
    section = cleandoc(shape.__doc__ or "").partition("Attributes:\n")[2]
    return {name: re.sub(r"\s+", " ", said) for name, said in _ATTRIBUTE.findall(section)}
