"""What a history must come to, worked out in plain Python with no code of ours: instant by instant, event by event."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from billing_pipeline_tests.histories.world import METERS, PERIODS, PLANS, Price, World, amount

MOMENT = timedelta(microseconds=1)
Covered = tuple[datetime, str]  # phase start and price: what a document bills
Line = tuple[str, str | None, Fraction, int]  # price, region, quantity, cents


@dataclass(frozen=True)
class Event:
    customer: str
    meter: str
    timestamp: datetime
    value: str
    region: str | None = None
    retract: bool = False


@dataclass(frozen=True)
class Expected:
    """A document. ``cutoff`` None: it can still change."""

    customer: str
    kind: str
    issue_date: datetime
    cutoff: datetime | None
    lines: tuple[Line, ...]


@dataclass
class History:
    """What happened, in the order in which it happened."""

    changes: list[tuple[datetime, World]]
    batches: list[tuple[datetime, Sequence[Event]]] = field(default_factory=list)
    holds: list[tuple[str, datetime, datetime, datetime | None]] = field(
        default_factory=list
    )  # customer, period, from, to

    def world(self, before: datetime) -> World:
        """The catalog as recorded before an instant."""
        return [world for at, world in self.changes if at < before][-1]

    def held(self, customer: str, period: datetime, at: datetime) -> bool:
        return any(
            (who, which) == (customer, period) and begin <= at and (end is None or at < end)
            for who, which, begin, end in self.holds
        )


@dataclass(frozen=True)
class _Plan:
    kind: str
    issue_date: datetime
    lock_at: datetime
    covers: frozenset[Covered]


def documents(history: History, customer: str, period: datetime, now: datetime) -> list[Expected]:
    """All documents of a customer and period, as they stand when everything that is known at ``now`` is worked in."""
    found, taken = [], set[tuple[str, datetime]]()
    billed: frozenset[Covered] = frozenset()
    for at in sorted(_instants(history, customer, period, now)):
        world = history.world(max(at, PERIODS[period]))
        for plan in _plans(world, customer, period, billed, taken):
            if plan.lock_at <= at and not history.held(customer, period, at):
                found.append(_document(history, customer, period, plan, world, at))
                billed |= plan.covers
                taken.add((plan.kind, plan.issue_date))
    world = history.changes[-1][1]
    left = _plans(world, customer, period, billed, taken)
    found += [_document(history, customer, period, plan, world, None) for plan in left]
    return sorted(found, key=lambda one: (one.issue_date, one.kind))


def _instants(history: History, customer: str, period: datetime, now: datetime) -> set[datetime]:
    """When a document may become free to lock: its time comes, a hold ends, the catalog has changed."""
    ends = [end for who, _, _, end in history.holds if who == customer and end is not None]
    locks = [
        plan.lock_at for _, world in history.changes for plan in _plans(world, customer, period, frozenset(), set())
    ]
    changes = [at + MOMENT for at, _ in history.changes]
    delays = [lock + timedelta(days=days) for lock in locks for days in (1, 2)]  # where a document is taken already
    return {at for at in (*ends, *locks, *changes, *delays) if PERIODS[period] <= at <= now}


def _plans(
    world: World, customer: str, period: datetime, billed: frozenset[Covered], taken: set[tuple[str, datetime]]
) -> list[_Plan]:
    by_slot = defaultdict(list)
    end = PERIODS[period]
    for phase_start, _, _, price in _in_force(world, customer, period):
        if (phase_start, price.id) in billed:
            continue
        delay = world.delays[price.product] if price.product else 0
        slot = ("delayed" if delay else "closing", end + timedelta(days=delay))
        while slot in taken:
            slot = ("delayed", slot[1] + timedelta(days=1))
        by_slot[slot].append((phase_start, price))
    return [
        _Plan(
            kind,
            issued,
            max(issued, *(end + timedelta(days=_grace(world, customer, price)) for _, price in members)),
            frozenset((start, price.id) for start, price in members),
        )
        for (kind, issued), members in by_slot.items()
    ]


def _grace(world: World, customer: str, price: Price) -> int:
    of_product = world.product_grace[price.product] if price.product else None
    return next(one for one in (world.customer_grace[customer], of_product, world.grace) if one is not None)


def _in_force(world: World, customer: str, period: datetime) -> Iterator[tuple[datetime, datetime, datetime, Price]]:
    """Phase start, from, to and price."""
    phases = world.phases[customer]
    for number, (start, plan) in enumerate(phases):
        end = phases[number + 1][0] if number + 1 < len(phases) else PERIODS[period]
        begin, until = max(start, period), min(end, PERIODS[period])
        if begin < until:
            yield from ((start, begin, until, price) for price in PLANS[plan])


def _document(
    history: History, customer: str, period: datetime, plan: _Plan, world: World, cutoff: datetime | None
) -> Expected:
    events = accepted(history, cutoff)
    lines: list[Line] = []
    for start, begin, until, price in _in_force(world, customer, period):
        if (start, price.id) not in plan.covers:
            continue
        mine = [
            (arrival, one)
            for arrival, one in events
            if (one.customer, one.meter) == (customer, price.meter) and begin <= one.timestamp < until
        ]
        end = PERIODS[period]  # the day of a change belongs to what comes after it
        lines += _lines(price, mine, Fraction((until.date() - begin.date()).days, (end - period).days))
    return Expected(customer, plan.kind, plan.issue_date, cutoff, tuple(sorted(lines, key=str)))


def accepted(history: History, before: datetime | None) -> list[tuple[int, Event]]:
    """The events that count of all that was received before an instant, with their place in the order of receipt."""
    received = [one for at, batch in history.batches if before is None or at < before for one in batch]
    standing: dict[tuple[object, ...], tuple[int, Event]] = {}
    for arrival, one in enumerate(received):
        key = (one.customer, one.meter, one.timestamp, one.region)
        if one.retract:
            standing.pop(key, None)
        elif METERS[one.meter][1] == "latest" or key not in standing:
            standing[key] = (arrival, one)
    return list(standing.values())


def _lines(price: Price, events: Sequence[tuple[int, Event]], part: Fraction) -> Iterator[Line]:
    groups: Mapping[str | None, list[tuple[int, Event]]] = defaultdict(list)
    for arrival, one in events:
        groups[one.region if one.region in price.rates else None].append((arrival, one))
    for region, members in groups.items():
        measured = quantity(METERS[price.meter][0], members)
        yield price.id, region, measured, cents(amount(price, price.rates[region], measured, part))


def quantity(aggregation: str, events: Sequence[tuple[int, Event]]) -> Fraction:
    """What a meter makes of events, each with its place in the order of receipt."""
    values = [Fraction(one.value) for _, one in events]
    if aggregation == "sum":
        return sum(values, Fraction(0))
    if aggregation == "count":
        return Fraction(len(values))
    if aggregation == "max":
        return max(values)
    if aggregation == "latest":
        return Fraction(max(events, key=lambda one: (one[1].timestamp, one[0]))[1].value)
    return Fraction(len({one.region for _, one in events} - {None}))


def cents(exact: Fraction) -> int:
    """Half away from zero."""
    whole = int(abs(exact) * 100 + Fraction(1, 2))
    return whole if exact >= 0 else -whole
