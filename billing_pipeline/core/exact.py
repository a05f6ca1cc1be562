"""Exact arithmetic, and quotients that have no last digit: 100 seconds are 0.02777… hours.

Sums and products of decimals are exact in the EXACT context; where they would not be, they raise. A quotient that
terminates within ``QUOTIENT_DECIMALS`` is exact too. Any other is carried to that many decimals, half-even, and an
amount made from it is finished at ``AMOUNT_DECIMALS``, half-even.

The two scales keep this from ever changing a bill. The error of a carried quotient, times any unit amount below 10^9,
is less than half of the last digit of a finished amount: an amount whose true value ends within ``AMOUNT_DECIMALS``, a
tie between two cents above all, is found again exactly. One that does not end there is off by less than 10^-49; and
since quantities and unit amounts have 12 decimals, one that is no tie is further from any tie than that for every
divisor of up to 20 digits.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation, Overflow, getcontext, setcontext
from fractions import Fraction
from types import TracebackType

from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.money import EXACT, LARGEST_AMOUNT

QUOTIENT_DECIMALS = 60
AMOUNT_DECIMALS = 50

_WIDE = Context(prec=2 * EXACT.prec, rounding=ROUND_HALF_EVEN)  # here, and only here, a result may be inexact
_QUOTIENT_STEP = Decimal(1).scaleb(-QUOTIENT_DECIMALS)
_AMOUNT_STEP = Decimal(1).scaleb(-AMOUNT_DECIMALS)


class Exactly:
    """A block of exact arithmetic: what would lose a digit becomes a RatingError. Reusable, cheap, not reentrant."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = getcontext()
        setcontext(EXACT)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        setcontext(self._before)
        if kind is not None and issubclass(kind, Inexact | InvalidOperation | Overflow):
            raise too_large() from None


def divide(dividend: Decimal, divisor: Decimal) -> Decimal:
    """The exact quotient, or, where it has no last digit, ``QUOTIENT_DECIMALS`` of it."""
    try:
        return EXACT.divide(dividend, divisor)
    except Inexact:
        return _WIDE.quantize(_WIDE.divide(dividend, divisor), _QUOTIENT_STEP)


def quotient_of(fraction: Fraction) -> Decimal:
    """A fraction's quotient, as :func:`divide` gives it."""
    return divide(Decimal(fraction.numerator), Decimal(fraction.denominator))


def finish_quotient(amount: Decimal) -> Decimal:
    """An amount as it is, unless it was made from a carried quotient: then to ``AMOUNT_DECIMALS``, half-even."""
    try:
        amount.quantize(_AMOUNT_STEP, None, EXACT)  # half the time of EXACT.quantize, for every line
    except Inexact:
        return _WIDE.quantize(amount, _AMOUNT_STEP)
    return amount


def too_large() -> RatingError:
    """The error for an amount that no bill can be meant to have."""
    return RatingError(
        f"The amount is larger than any bill ({LARGEST_AMOUNT:.0E}), or has more digits than any number here.",
        hint="Check the quantity's unit and the price.",
    )
