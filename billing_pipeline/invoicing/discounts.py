"""Discounts: each, in the order added, takes from what those before it left, and never more than that.

A percentage lowers what counts while it holds: a fee at the start of what it pays for, usage from the start of its
part, a true-up at its end. A fixed amount is one allowance for a service period; documents use it one after the other.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from billing_pipeline.catalog.discount import Discount
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.money import EXACT, Money, allocate, from_major, percent_of
from billing_pipeline.core.period import BillingCalendar, BillingPeriod
from billing_pipeline.rating.line import LineKind, RatedLine

_NAMED = "Discount "
Place = TypeVar("Place", bound=Hashable)  # a document, whatever stands for it
Value = TypeVar("Value")
NOTHING_USED: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Taken(Generic[Place]):
    """The part of a document's lines that a discount takes.

    Attributes:
        amount: rounded once; greater than zero.
        shares: the lines that it applies to, with minor units of each, which add up to the amount.
    """

    discount: Discount
    place: Place
    amount: Money
    shares: tuple[tuple[RatedLine, int], ...]


Offered = Callable[[Place, RatedLine], Sequence[Discount]]
"""The discounts that a line of a document may take: of a final document those that were known at its cutoff."""


def discount_lines(
    terms: Terms,
    calendar: BillingCalendar,
    period: BillingPeriod,
    bases: Sequence[tuple[Place, RatedLine]],
    offered: Offered[Place] | None = None,
    used: Mapping[str, int] = NOTHING_USED,
) -> list[tuple[Place, RatedLine]]:
    """The discount lines of one service period, and where each stands.

    Args:
        terms: the customer's.
        calendar: says where the periods of a discount end.
        period: the service period.
        bases: its fee, usage and true-up lines, in the order in which their documents use allowances.
        offered: which discounts a line may take; all of the customer's, unless it says otherwise.
        used: minor units that other documents took of the allowances, by discount.
    """
    return [
        (taken.place, _discount_line(taken.discount, taken.amount, [line for line, _ in taken.shares], period))
        for taken in discounts_taken(terms, calendar, period, bases, offered, used)
    ]


def discounts_taken(
    terms: Terms,
    calendar: BillingCalendar,
    period: BillingPeriod,
    bases: Sequence[tuple[Place, RatedLine]],
    offered: Offered[Place] | None = None,
    used: Mapping[str, int] = NOTHING_USED,
) -> Iterator[Taken[Place]]:
    """The parts that discounts take, document by document; arguments as of ``discount_lines``."""
    by_place: dict[Place, list[_Base]] = defaultdict(list)
    versions: dict[str, list[Discount]] = defaultdict(list)  # a discount that was changed is two, of one allowance
    for place, line in bases:
        discounts = terms.discounts if offered is None else offered(place, line)
        by_place[place].append(_Base(line, line.amount.minor, discounts))
        for discount in discounts:
            if discount not in versions[discount.id]:
                versions[discount.id].append(discount)
    for same in sorted(versions.values(), key=lambda same: same[0].order):
        taken = used.get(same[0].id, 0)
        # Versions that take the same are one discount, rounded once on all that either lowers: what was changed in it,
        # how long it holds or which prices it is for, moves no cent of lines that have it before and after.
        alike: dict[tuple[object, ...], list[_Offer]] = defaultdict(list)
        for discount in same:
            alike[discount.percent, discount.amount].append(_Offer(discount, terms, calendar, period))
        for place, on_document in by_place.items():
            for offers in alike.values():
                offer = offers[0]
                offer.used = taken
                eligible = [
                    base
                    for base in on_document
                    if any(version.discount in base.offered and version.applies(base.line) for version in offers)
                ]
                rooms = _rooms(on_document, eligible, offer.currency)
                amount = Money(min(offer.takes(sum(base.left for base in eligible)), sum(rooms)), offer.currency)
                if amount.minor > 0:
                    yield Taken(offer.discount, place, amount, _take(amount, eligible, rooms))
                    taken += amount.minor


@dataclass(slots=True)
class _Base:
    """A line, how many minor units of it discounts have left, and which discounts it may take."""

    line: RatedLine
    left: int
    offered: Sequence[Discount]


class _Offer:
    """A discount in one service period.

    Attributes:
        used: minor units of it that documents have taken.
    """

    def __init__(self, discount: Discount, terms: Terms, calendar: BillingCalendar, period: BillingPeriod) -> None:
        self.discount = discount
        self.currency = terms.customer.currency
        self.used = 0
        self._rounding = terms.account.rounding
        self._ends = discount.ends(calendar)
        self._holds = discount.start < period.end and (
            self._ends is None or max(period.start, discount.start) < self._ends
        )

    def applies(self, line: RatedLine) -> bool:
        """Whether the discount lowers a line: a percentage by when that counts, a fixed amount all of its period."""
        if not self.discount.lowers(line.price):
            return False
        if self.discount.percent is None:
            return self._holds
        assert line.start is not None, "a line says from when it counts"  # noqa: S101
        return self.discount.start <= line.start and (self._ends is None or line.start < self._ends)

    def takes(self, there_is: int) -> int:
        """The minor units that the discount would take from what there is to take from."""
        if there_is <= 0:
            return 0
        if self.discount.percent is not None:
            return percent_of(Money(there_is, self.currency), self.discount.percent, self._rounding).minor
        assert self.discount.amount is not None, "a discount is a percentage or an amount"  # noqa: S101
        return min(from_major(self.discount.amount, self.currency).minor - self.used, there_is)


def _rooms(on_document: Sequence[_Base], eligible: Sequence[_Base], currency: str) -> list[int]:
    """Minor units that each eligible line can lose so that no price costs less than zero.

    That is what is left of it, but for a price with a negative line, as the credit of its maximum: all its lines
    together lose no more than it costs.
    """
    costs: dict[object, int] = defaultdict(int)
    for base in on_document:
        costs[_priced(base.line)] += base.left
    by_price: dict[object, list[int]] = defaultdict(list)
    for position, base in enumerate(eligible):
        by_price[_priced(base.line)].append(position)
    rooms = [0] * len(eligible)
    for price, positions in by_price.items():
        lefts = [max(eligible[position].left, 0) for position in positions]
        most = min(sum(lefts), costs[price])
        if most > 0:
            for position, room in zip(positions, allocate(Money(most, currency), lefts), strict=True):
                rooms[position] = room.minor
    return rooms


def _priced(line: RatedLine) -> object:
    return line.subscription, line.phase_start, line.price


def _take(amount: Money, eligible: Sequence[_Base], rooms: Sequence[int]) -> tuple[tuple[RatedLine, int], ...]:
    """Spread an amount in proportion to what the lines can lose."""
    shares = [share.minor for share in allocate(amount, rooms)]
    for base, share in zip(eligible, shares, strict=True):
        base.left -= share
    return tuple((base.line, share) for base, share in zip(eligible, shares, strict=True))


def _discount_line(discount: Discount, amount: Money, lines: Sequence[RatedLine], period: BillingPeriod) -> RatedLine:
    """The line that states on a document what a discount takes: it has what the lines that it lowers have in common."""
    plan, plan_version = _common((line.plan, line.plan_version) for line in lines) or (None, None)
    return RatedLine(
        kind=LineKind.DISCOUNT,
        subscription=_common(line.subscription for line in lines),
        plan=plan,
        plan_version=plan_version,
        price=discount.prices[0] if len(discount.prices) == 1 else None,
        product=None,
        # The id stands in it: versions of a document, and what adjusts it, tell discounts apart by their descriptions.
        description=f"{_NAMED}{discount.id} ({_words(discount, amount.currency)})",
        service_start=min(line.service_start for line in lines if line.service_start),
        service_end=max(line.service_end for line in lines if line.service_end),
        dimensions={},
        quantity=None,
        amount=-amount,
        start=max(discount.start, period.start),
    )


def discount_of(line: RatedLine) -> str | None:
    """The id of the discount that a line states, or adjusts; None where it is of something else."""
    return discount_named(line.description) if LineKind.DISCOUNT in (line.kind, line.adjusts) else None


def discount_named(description: str) -> str:
    """The id of the discount that the description of its line, or of an adjustment of that, names."""
    _, _, named = description.partition(_NAMED)
    return named.rpartition(" (")[0]


def _common(values: Iterable[Value]) -> Value | None:
    """The value that all have."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


def _words(discount: Discount, currency: str) -> str:
    if discount.percent is not None:
        return f"{EXACT.normalize(discount.percent):f}%"
    assert discount.amount is not None, "a discount is a percentage or an amount"  # noqa: S101
    return f"{from_major(discount.amount, currency)} {currency}"
