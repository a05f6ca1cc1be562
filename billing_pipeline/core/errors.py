"""The errors: every way billing can refuse to go on, and what to do about each.

BillingError
├── CatalogError        the catalog contradicts itself        mend the file at the line named, apply again
├── UsageError          a delivery cannot be accepted          mend the file, land it again
├── SettingsError       settings and ledger disagree           mend the setting named
├── LedgerError         the database cannot be used as asked   do what the hint says
├── RatingError         a quantity has no price                add the rate or a default
├── PaymentError        a gateway refused                      mend the payment method, deliver again
├── UnexpectedError     a fault of the program             report it; what else there was to do was done
└── Refused             the rules forbid it at this time       the message names the next step

``code`` is what machines read (``--json``), the message says what and where, ``hint`` what to do next.
"""

from collections.abc import Sequence
from difflib import get_close_matches


class BillingError(Exception):
    """An error that says what billing refuses: the root of all. ``exit_code`` is what the command line ends with."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def code(self) -> str:
        """The class name in snake case: ``CatalogError`` is ``catalog_error``."""
        name = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process boundaries: rebuild without calling ``__init__``, which subclasses change."""
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(kind: type[BillingError], args: tuple[object, ...], state: dict[str, object]) -> BillingError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class CatalogError(BillingError):
    """The catalog contradicts itself.

    Attributes:
        path: where in the object, e.g. ``("prices", 0, "price", "tiers", 1, "up_to")``; the loader turns it
            into file and line.
    """

    def __init__(self, message: str, *, hint: str = "", path: Sequence[str | int] = ()) -> None:
        super().__init__(message, hint=hint)
        self.path = tuple(path)


class UsageError(BillingError):
    """A delivery of usage cannot be accepted as a whole; nothing of it was recorded."""


class NoSpace(UsageError):  # noqa: N818 - what there is not
    """A delivery that did not fit on the disk; the same one may fit later."""


class SettingsError(BillingError):
    """The error of a setting that is malformed, or differs from what the ledger was initialised with."""


class LedgerError(BillingError):
    """The error of a ledger whose database is missing, too new, not initialised, or refuses."""


class RatingError(BillingError):
    """A quantity cannot be priced: no rate matches, or the amount is too large to be meant."""


class PaymentError(BillingError):
    """A payment gateway refused or could not be reached."""


class Refused(BillingError):  # noqa: N818 - a refusal, not a fault
    """The error where the rules forbid what was asked at this time; the hint names what is possible."""


class UnexpectedError(BillingError):
    """An error that nobody foresaw: a fault of the program, shown beside what it stopped while all else goes on."""


def unexpected(error: Exception) -> UnexpectedError:
    """Any exception as one that says what to do; the original is its cause."""
    made = UnexpectedError(
        f"This failed in a way that nobody foresaw: {type(error).__name__}: {error}",
        hint="Nothing was changed by it. Try it by itself for a traceback, and report it.",
    )
    made.__cause__ = error
    return made


_LONGEST_COMPARED = 500  # characters; comparing takes their square


def nearest(name: str, names: Sequence[str]) -> str:
    """A hint for a misspelt name: the nearest of the names there are, else the list of all."""
    close = get_close_matches(name, list(names), n=1, cutoff=0.6) if len(name) <= _LONGEST_COMPARED else ()
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(sorted(names)) or 'none'}."
