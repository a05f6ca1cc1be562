"""How figures and days are written in a locale: exact, and with the currency's decimals by ISO 4217."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_interval, format_skeleton
from babel.numbers import get_currency_symbol, parse_pattern

from billing_pipeline.core.money import EXACT, Money, minor_digits
from billing_pipeline.core.period import A_DAY

FALLBACK = "en_US"
_BESIDE_A_DIGIT = re.compile(r"(?<=¤)(?=[#0])|(?<=[#0])(?=¤)")
_FROM_THE_RIGHT = frozenset({"R", "AL"})


@dataclass(frozen=True)
class Formats:
    """The ways of one locale."""

    locale: Locale

    @classmethod
    def of(cls, name: str | None) -> "Formats":
        """A locale by its name, ``de_DE`` or ``de-DE``; an unknown one, or none, is written as in the United States."""
        try:
            return cls(Locale.parse((name or FALLBACK).replace("-", "_")))
        except (UnknownLocaleError, ValueError):
            return cls(Locale.parse(FALLBACK))

    @property
    def language(self) -> str:
        """As HTML names it: ``de-DE``."""
        return str(self.locale).replace("_", "-")

    def money(self, amount: Money) -> str:
        """``1.234,50 €``: with the locale's sign for the currency; its code where that is written from the right."""
        pattern = self.locale.currency_formats["standard"].pattern
        sign = get_currency_symbol(amount.currency, self.locale)
        if any(unicodedata.bidirectional(letter) in _FROM_THE_RIGHT for letter in sign):
            pattern, sign = pattern.replace("¤", "¤¤"), amount.currency
        if sign[-1].isalpha():
            pattern = _BESIDE_A_DIGIT.sub("\u00a0", pattern)
        digits, written = minor_digits(amount.currency), parse_pattern(pattern)
        written.frac_prec = (digits, digits)
        with localcontext(EXACT):
            return _unmarked(written.apply(amount.amount, self.locale, currency=amount.currency, currency_digits=False))

    def figure(self, amount: Money) -> str:
        """``1.234,50``: an amount in a column that names the currency."""
        digits = minor_digits(amount.currency)
        return self._decimal(amount.amount, digits)

    def exact(self, amount: Decimal, currency: str) -> str:
        """An unrounded amount: at least the currency's decimals, and all that it has."""
        return self._decimal(amount, minor_digits(currency))

    def quantity(self, quantity: Decimal) -> str:
        """A quantity with all its digits, none for show."""
        return self._decimal(quantity, 0)

    def _decimal(self, number: Decimal, digits: int) -> str:
        pattern = parse_pattern(self.locale.decimal_formats[None].pattern)
        with localcontext(EXACT):
            own = -int(EXACT.normalize(number).as_tuple().exponent)
            pattern.frac_prec = (digits, max(digits, own))
            return _unmarked(pattern.apply(number, self.locale))

    def day(self, local_day: date) -> str:
        """A local day: ``01.02.2026``."""
        return _unmarked(format_date(local_day, "medium", locale=self.locale))

    def span(self, start: date, end: date) -> str:
        """The days of ``[start, end)``: ``1.–31. Jan. 2026``."""
        last = end - A_DAY
        return (
            self.day(start) if last <= start else _unmarked(format_interval(start, last, "yMMMd", locale=self.locale))
        )

    def period(self, first: date, last: date) -> str:
        """A billing period by its first and last day: ``Januar 2026``, a year, or its days."""
        if first.day == 1 and (last + A_DAY).day == 1:
            if (first.year, first.month) == (last.year, last.month):
                return format_skeleton("yMMMM", first, locale=self.locale)
            if (first.month, last.month, first.year) == (1, 12, last.year):
                return format_skeleton("y", first, locale=self.locale)
        return self.span(first, last + A_DAY)


def _unmarked(written: object) -> str:
    """Without marks of direction: our words run from the left, and a minus must stand before its figure."""
    return "".join(sign for sign in str(written) if unicodedata.category(sign) != "Cf")
