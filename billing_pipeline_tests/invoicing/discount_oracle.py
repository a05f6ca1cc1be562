"""What discounts come to, once more and differently: fractions of minor units, one line after the other.

It knows lines that cost something, and nothing of the program but the shapes that it is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import floor


@dataclass
class Line:
    place: str
    price: str
    start: datetime
    left: int  # minor units


@dataclass(frozen=True)
class Off:
    """``percent`` of what counts in ``[start, end)``, or ``fixed`` minor units a period."""

    start: datetime
    end: datetime
    prices: tuple[str, ...]
    percent: Fraction | None
    fixed: int

    def lowers(self, line: Line, period: tuple[datetime, datetime]) -> bool:
        if self.prices and line.price not in self.prices:
            return False
        if self.percent is not None:
            return self.start <= line.start < self.end
        return max(self.start, period[0]) < min(self.end, period[1])


def taken(
    lines: Sequence[Line], offs: Sequence[Off], period: tuple[datetime, datetime], *, half_even: bool
) -> list[tuple[int, str, int]]:
    """Number of the discount, document and minor units; lowers what is left of ``lines``."""
    found = []
    for number, off in enumerate(offs):
        allowance = off.fixed
        for place in dict.fromkeys(line.place for line in lines):
            lowered = [line for line in lines if line.place == place and off.lowers(line, period)]
            whole = sum(line.left for line in lowered)
            if off.percent is None:
                amount = min(allowance, whole)
                allowance -= amount
            else:
                amount = _rounded(whole * off.percent / 100, half_even=half_even)
            if amount:
                _spread(amount, lowered)
                found.append((number, place, amount))
    return found


def _rounded(exact: Fraction, *, half_even: bool) -> int:
    return round(exact) if half_even else floor(exact + Fraction(1, 2))


def _spread(amount: int, lines: Sequence[Line]) -> None:
    """Each its exact share cut off; what is lacking then, a unit each, from the largest rest on."""
    shares = [Fraction(amount * line.left, sum(each.left for each in lines)) for line in lines]
    lacking = amount - sum(floor(share) for share in shares)
    by_rest = sorted(range(len(lines)), key=lambda i: (floor(shares[i]) - shares[i], i))
    for i, line in enumerate(lines):
        line.left -= floor(shares[i]) + (i in by_rest[:lacking])
