"""What discounts take, in minor units: each, in the order added, from what those before it left."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING

from billing_pipeline_tests.histories.oracle import cents
from billing_pipeline_tests.histories.sold import Discount

if TYPE_CHECKING:
    from billing_pipeline_tests.histories.whole import Home, Line


def reductions(
    lines: "Sequence[Line]",
    discounts: Sequence[Discount],
    period: tuple[datetime, datetime],
    cutoffs: "Mapping[Home, datetime]",
) -> "Iterator[tuple[Home, str, int]]":
    """Of one service period: document, discount and how much. A document knows what was recorded before its cutoff.

    What was not due then knows what is recorded now.
    """
    left = [line.minor for line in lines]
    for discount in discounts:
        used = 0
        for home in dict.fromkeys(line.home for line in lines):
            own = [n for n, line in enumerate(lines) if line.home == home]
            eligible = [
                n
                for n in own
                if (known := discount.known(None if lines[n].later else cutoffs.get(home)))
                and _lowered(discount, known, lines[n], period)
            ]
            rooms = _rooms(lines, left, own, eligible)
            whole = sum(left[n] for n in eligible)
            wanted = max(whole, 0) * Fraction(discount.percent or 0) / 100 / 100  # major units
            allowance = cents(Fraction(discount.amount or 0)) - used
            taken = min(cents(wanted) if discount.percent else allowance, max(whole, 0), sum(rooms))
            if taken > 0:
                used += taken
                for n, share in zip(eligible, spread(taken, rooms), strict=True):
                    left[n] -= share
                yield home, discount.id, taken


def _lowered(
    discount: Discount, known: tuple[datetime, datetime | None], line: "Line", period: tuple[datetime, datetime]
) -> bool:
    start, end = known
    if not discount.lowers(line.price):
        return False
    if discount.percent:
        return start <= line.counts and (end is None or line.counts < end)
    return start < period[1] and (end is None or max(start, period[0]) < end)


def _rooms(lines: "Sequence[Line]", left: Sequence[int], own: Sequence[int], eligible: Sequence[int]) -> list[int]:
    """How much each eligible line can lose; the lines of a price with a negative one no more than it costs."""
    costs: dict[object, int] = defaultdict(int)
    groups: dict[object, list[int]] = defaultdict(list)
    for n in own:
        costs[_priced(lines[n])] += left[n]
    for n in eligible:
        groups[_priced(lines[n])].append(n)
    rooms = dict.fromkeys(eligible, 0)
    for price, members in groups.items():
        positive = [max(left[n], 0) for n in members]
        most = min(sum(positive), costs[price])
        if most > 0:
            rooms |= dict(zip(members, spread(most, positive), strict=True))
    return [rooms[n] for n in eligible]


def _priced(line: "Line") -> object:
    return line.subscription, line.phase, line.price


def spread(total: int, weights: Sequence[int]) -> list[int]:
    """In proportion: each its exact share cut off, then a unit each to the largest rests, the first on a tie."""
    shares = [divmod(total * weight, sum(weights)) for weight in weights]
    lacking = total - sum(whole for whole, _ in shares)
    by_rest = sorted(range(len(weights)), key=lambda n: (-shares[n][1], n))[:lacking]
    return [whole + (n in by_rest) for n, (whole, _) in enumerate(shares)]
