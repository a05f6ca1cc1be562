"""What a whole life costs, all usage rated at once: event by event and day by day, in fractions, by no code of ours.

Each amount is said of its home: the document that would state it if nothing ever came late.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from itertools import groupby, pairwise

from billing_pipeline_tests.histories import oracle
from billing_pipeline_tests.histories.oracle import Event, History
from billing_pipeline_tests.histories.reductions import reductions
from billing_pipeline_tests.histories.sold import DELAYS, PLANS, Discount, Fee, Plan, Rules, Subscription
from billing_pipeline_tests.histories.world import METERS, Price, amount

MOMENT, DAY = timedelta(microseconds=1), timedelta(days=1)
MONTHS = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 13)]
YEARS = [date(2026, 1, 1), date(2027, 1, 1)]
_LAST = YEARS[-1]
_RANK = {"opening": 0, "closing": 1, "delayed": 2}


@dataclass(frozen=True, order=True)
class Home:
    """A document."""

    customer: str
    period: date
    issued: date
    kind: str

    def settled(self, before: date) -> bool:
        """Whether all of it is due before a day; fees have no document here, see :func:`fees_of`."""
        return self.kind == "fees" or self.period < before


# Home, kind of line, subscription, price or fee or discount, region
Statement = tuple[Home, str, str | None, str | None, str | None]


@dataclass
class Line:
    """One line, rounded; ``counts`` is the instant that decides which discounts it has.

    ``later``: it was not due at its home's cutoff, and has all discounts that are known.
    """

    home: Home
    kind: str
    subscription: str
    price: str | None
    region: str | None
    minor: int
    counts: datetime
    days: tuple[date, date]
    phase: datetime
    later: bool = False

    @property
    def statement(self) -> Statement:
        home = fees_of(self.home.customer) if self.kind == "fee" else self.home
        return home, self.kind, self.subscription, self.price, self.region

    @property
    def place(self) -> tuple[object, ...]:
        """Where it stands on its document."""
        rank = {"fee": 0, "usage": 1, "true_up": 1 if self.price else 2}[self.kind]
        product = next((one.product or "" for one in _prices() if one.id == self.price and self.kind != "fee"), "")
        kind = "" if self.kind == "usage" else self.kind
        until = self.days[1]
        return (
            rank,
            self.days[0],
            self.subscription,
            product,
            self.price or "",
            kind,
            self.region or "",
            until,
            self.phase,
        )


@dataclass
class Life:
    """All that happened: what was recorded and what was received. ``cutoffs``: of the documents that are final."""

    rules: Rules
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    discounts: list[Discount] = field(default_factory=list)
    usage: History = field(default_factory=lambda: History([]))

    def billed(
        self, customer: str, before: date, cutoffs: Mapping[Home, datetime], now: datetime
    ) -> dict[Statement, int]:
        """What all documents of the periods before a day come to, and of fees all that is due now; without zeros."""
        return _Bill(self, customer, before, cutoffs, now).sums()


class _Bill:
    def __init__(
        self, life: Life, customer: str, before: date, cutoffs: Mapping[Home, datetime], now: datetime
    ) -> None:
        self._life, self._customer, self._before, self._cutoffs, self._now = life, customer, before, cutoffs, now
        self._periods = [pair for pair in pairwise(MONTHS) if pair[0].date() < before]
        self._subscriptions = [one for one in life.subscriptions.values() if one.customer == customer]
        self._locks: dict[Home, datetime] = {}
        self._received = cache(lambda at: oracle.accepted(life.usage, at))

    def sums(self) -> dict[Statement, int]:
        for subscription in self._subscriptions:  # when documents lock, before who comes last
            for period in pairwise(MONTHS):
                for _, plan, _, _ in _phases(subscription, period):
                    for price in plan.prices:
                        self._home_of_price(price, period)
        lines = [line for subscription in self._subscriptions for line in self._fees(subscription)]
        for subscription in self._subscriptions:
            for period in self._periods:
                lines += self._usage(subscription, period, lines)
        wanted = {start.date() for start, _ in self._periods}
        everything = lines
        lines = [line for line in lines if line.home.period in wanted or line.home.period == MONTHS[len(wanted)].date()]
        sums: dict[Statement, int] = defaultdict(int)
        for line in everything:
            if line.kind != "fee" or self._locks[line.home] <= self._now:
                sums[line.statement] += line.minor
        for home, discount, minor in self._reductions(lines):
            sums[home, "discount", None, discount, None] -= minor
        return {one: minor for one, minor in sums.items() if minor and one[0].settled(self._before)}

    # Fees

    def _fees(self, subscription: Subscription) -> Iterator[Line]:
        days = _charged(subscription)
        if not days:
            return
        for fee in {fee for _, plan in subscription.phases for fee in PLANS[plan].fees}:
            for first, following in _service_periods(fee.every):
                mine = [first + n * DAY for n in range((following - first).days)]
                mine = [day for day in mine if day in days and fee in PLANS[days[day][1]].fees]
                if mine:
                    yield from self._of_service_period(subscription, fee, (first, following), mine)

    def _of_service_period(
        self, subscription: Subscription, fee: Fee, service: tuple[date, date], mine: Sequence[date]
    ) -> Iterator[Line]:
        days = _charged(subscription)
        whole = (service[1] - service[0]).days

        def part(day: date) -> tuple[datetime, int]:
            return days[day][0], _quantity(subscription, fee, day) if fee.prorate else 0

        for (phase, _), run in groupby(mine, part):
            same = list(run)
            home = self._home_of_fee(subscription, fee, service, phase)
            lock = _midnight(home.issued)
            if not fee.in_advance:
                lock = max(lock, _next_month(_midnight(home.period)) + self._life.rules.of(self._customer, None) * DAY)
            self._lock(home, max(lock, subscription.recorded_at))
            share = Fraction(len(same), whole) if fee.prorate else Fraction(1)
            whole_minor = _cents(Fraction(fee.amount) * _quantity(subscription, fee, same[0]) * share)
            counts = max(_midnight(same[0]), phase)
            was = _cents(Fraction(whole_minor, 100) * self._due_then(subscription, fee, home, same))
            span = same[0], same[-1] + DAY
            for later, minor in ((False, was), (True, whole_minor - was)):
                if minor or not later:
                    yield Line(home, "fee", subscription.id, fee.id, None, minor, counts, span, phase, later)

    def _due_then(self, subscription: Subscription, fee: Fee, home: Home, same: Sequence[date]) -> Fraction:
        """How much of a fee's days and units was due at its home's cutoff (§7): the rest has today's discounts."""
        cutoff = self._cutoffs.get(home)
        if cutoff is None or not fee.in_advance:
            return Fraction(1)
        known = subscription.before(cutoff)
        days, quantity = _charged(known), _quantity(subscription, fee, same[0])
        if not quantity:
            return Fraction(1)
        plan = _charged(subscription)[same[0]][1]
        units = [_quantity(known, fee, day) if day in days and days[day][1] == plan else 0 for day in same]
        if not fee.prorate:
            return min(Fraction(max(units), quantity), Fraction(1))
        return Fraction(sum(min(number, quantity) for number in units), quantity * len(same))

    def _home_of_fee(self, subscription: Subscription, fee: Fee, service: tuple[date, date], phase: datetime) -> Home:
        due = _due(subscription, fee, service, phase)
        if fee.in_advance and due == max(service[0], subscription.start.date()):
            # A service period is one, whenever it began: what was final first is what the rest is added to (§5).
            for _, known in subscription.known:
                began = max(service[0], known.start.date())
                opening = Home(self._customer, began.replace(day=1), began, "opening")
                cutoff = self._cutoffs.get(opening)
                if began < service[1] and cutoff and _was_due(subscription.before(cutoff), fee, began):
                    return opening
        if fee.in_advance and (due.day > 1 or due == subscription.start.date()):
            opening = Home(self._customer, due.replace(day=1), due, "opening")
            cutoff = self._cutoffs.get(opening, max(_midnight(due), subscription.recorded_at))
            if _was_due(subscription.before(cutoff), fee, due):
                return opening
            due += DAY  # nothing is dated before it was known: it is due with the closing of that month
        return self._closing(_midnight((due - DAY).replace(day=1)))

    # Usage

    def _usage(
        self, subscription: Subscription, period: tuple[datetime, datetime], fees: Sequence[Line]
    ) -> Iterator[Line]:
        for phase, plan, begin, until in _phases(subscription, period):
            found: list[Line] = []
            homes = [self._home_of_price(price, period) for price in plan.prices]
            last = until.date() if until != subscription.end else _day_after(until)
            part = Fraction((last - begin.date()).days, (period[1] - period[0]).days)
            for price, home in zip(plan.prices, homes, strict=True):
                mine = list(self._of_price(price, home, begin, until, part))
                for region, counts, ends, minor in [*mine, *_true_up(price, mine, until, part)]:
                    kind = "true_up" if counts == until - MOMENT else "usage"
                    days = (begin if kind == "true_up" else counts).date(), _day_after(ends)
                    found.append(Line(home, kind, subscription.id, price.id, region, minor, counts, days, phase))
            yield from found
            if plan.minimum or plan.maximum:
                closing = self._closing(period[0])
                owed = [
                    one
                    for one in fees
                    if (one.kind, one.subscription, one.phase) == ("fee", subscription.id, phase)
                    and one.home.period == period[0].date()
                    and any(fee.id == one.price and not fee.in_advance for fee in plan.fees)
                ]
                total = sum(one.minor for one in [*owed, *found])
                bounded = _bounded(plan, total, part)
                if bounded != total:
                    homes += [one.home for one in owed] or ([] if homes else [closing])
                    self._lock(closing, _midnight(closing.issued))
                    home = max(homes, key=self._order)
                    days = begin.date(), _day_after(until)
                    yield Line(
                        home, "true_up", subscription.id, None, None, bounded - total, until - MOMENT, days, phase
                    )

    def _home_of_price(self, price: Price, period: tuple[datetime, datetime]) -> Home:
        delay, home = DELAYS[price.product] if price.product else 0, self._closing(period[0])
        if delay:
            home = Home(self._customer, home.period, max((period[1] + delay * DAY).date(), home.issued), "delayed")
        issued = home.issued
        grace = self._life.rules.of(self._customer, price.product)
        self._lock(home, max(_midnight(issued), period[1] + grace * DAY))
        return home

    def _of_price(
        self, price: Price, home: Home, begin: datetime, until: datetime, part: Fraction
    ) -> Iterator[tuple[str | None, datetime, datetime, int]]:
        """(region, from, to, amount) between each two cuts."""
        received = self._received(self._cutoffs.get(home) if price.model == "volume" else None)
        groups: dict[str | None, list[tuple[int, Event]]] = defaultdict(list)
        for arrival, one in received:
            if (one.customer, one.meter) == (self._customer, price.meter) and begin <= one.timestamp < until:
                groups[one.region if one.region in price.rates else None].append((arrival, one))
        cuts = [begin, *self._cuts(price, home, begin, until), until]
        for region, events in groups.items():
            before = Fraction(0)
            for start, cut in pairwise(cuts):
                known = [one for one in events if one[1].timestamp < cut]
                whole = _charge(price, price.rates[region], known, part) if known else Fraction(0)
                if whole != before:
                    yield region, start, cut, _cents(whole - before)
                before = whole

    def _cuts(self, price: Price, home: Home, begin: datetime, until: datetime) -> list[datetime]:
        found = set[datetime]()
        for discount in self._life.discounts:
            known = discount.known(self._cutoffs.get(home))
            if (
                discount.customer == self._customer
                and discount.percent
                and known
                and discount.lowers(price.id)
                and known[0] != known[1]
            ):
                found |= {at for at in known if at is not None and begin < at < until}
        return sorted(found)

    # Documents

    def _closing(self, start: datetime) -> Home:
        """Where a period had no subscription by its end, what was extended into it is dated when that was recorded."""
        end = _next_month(start)
        since = [
            min(at for at, known in one.known if any(True for _ in _phases(known, (start, end))))
            for one in self._subscriptions
            if one.start < one.recorded_at or one.recorded_at < one.known[-1][0]
            if any(True for _ in _phases(one, (start, end)))
        ]
        extended = since and min(since) >= end and all(one.recorded_at < min(since) for one in self._subscriptions)
        kind, issued = ("delayed", min(since).date()) if extended else ("closing", end.date())
        return Home(self._customer, start.date(), issued, kind)

    def _lock(self, home: Home, at: datetime) -> None:
        self._locks[home] = max(at, self._locks.get(home, at))

    def _order(self, home: Home) -> tuple[object, ...]:
        return self._locks[home], home.issued, _RANK[home.kind], home.period

    def _reductions(self, lines: Sequence[Line]) -> Iterator[tuple[Home, str, int]]:
        by_service: dict[date, list[Line]] = defaultdict(list)
        for line in sorted(lines, key=lambda one: (self._order(one.home), one.place)):
            by_service[line.counts.date().replace(day=1)].append(line)
        mine = [one for one in self._life.discounts if one.customer == self._customer]
        for day, some in by_service.items():
            period = _midnight(day), _next_month(_midnight(day))
            yield from reductions(some, mine, period, self._cutoffs)


def fees_of(customer: str) -> Home:
    """In the place of a document: a fee stands on one, its rest on another, and all is corrected on others again."""
    return Home(customer, MONTHS[0].date(), MONTHS[0].date(), "fees")


def _due(subscription: Subscription, fee: Fee, service: tuple[date, date], phase: datetime) -> date:
    """The day on which a phase's fee of a service period falls due."""
    if not fee.in_advance:
        return min(service[1], max(_charged(subscription)) + DAY)
    due = max(service[0], subscription.start.date())
    scheduled = subscription.noted[phase] < _midnight(phase.date())
    return max(due, phase.date()) if scheduled else due


def _was_due(known: Subscription, fee: Fee, due: date) -> bool:
    """Whether fees that recur like one fell due on a day, as the subscription was known."""
    days = _charged(known)
    services = [one for one in _service_periods(fee.every) if one[0] <= due < one[1]]
    return any(
        (one.every, one.timing) == (fee.every, fee.timing) and _due(known, one, services[0], phase) == due
        for day, (phase, plan) in days.items()
        if services[0][0] <= day < services[0][1]
        for one in PLANS[plan].fees
    )


def _phases(
    subscription: Subscription, period: tuple[datetime, datetime]
) -> Iterator[tuple[datetime, Plan, datetime, datetime]]:
    """Start of the phase, plan, from and to."""
    ends = [start for start, _ in subscription.phases[1:]]
    for (start, plan), end in zip(subscription.phases, [*ends, MONTHS[-1]], strict=True):
        begin, until = max(start, period[0]), min(end, subscription.end or end, period[1])
        if begin < until:
            yield start, PLANS[plan], begin, until


def _true_up(
    price: Price, mine: Sequence[tuple[str | None, datetime, datetime, int]], until: datetime, part: Fraction
) -> Iterator[tuple[None, datetime, datetime, int]]:
    total = sum(one[-1] for one in mine)
    bounded = _bounded(price, total, part)
    if bounded != total:
        yield None, until - MOMENT, until, bounded - total


def _bounded(bounds: Price | Plan, total: int, part: Fraction) -> int:
    if bounds.minimum:
        total = max(total, _cents(Fraction(bounds.minimum) * part))
    if bounds.maximum:
        total = min(total, _cents(Fraction(bounds.maximum) * part))
    return total


def _charge(price: Price, rate: object, events: Sequence[tuple[int, Event]], part: Fraction) -> Fraction:
    """What events cost together, exactly."""
    if price.model != "percentage":
        return amount(price, rate, oracle.quantity(METERS[price.meter][0], events), part)
    assert isinstance(rate, tuple)
    percent, fixed, free = rate
    values = [Fraction(one.value) for _, one in sorted(events, key=lambda pair: (pair[1].timestamp, pair[0]))]
    if sum(values) < 0:
        return Fraction(0)
    return sum((value * Fraction(percent) / 100 + Fraction(fixed) for value in values[free:]), Fraction(0))


def _charged(subscription: Subscription) -> dict[date, tuple[datetime, str]]:
    """The phase of each day that is charged; the day of a change belongs to what comes after it."""
    if subscription.end is not None and subscription.end <= subscription.start:
        return {}
    following = _LAST if subscription.end is None else _day_after(subscription.end)
    first = subscription.start.date()
    days = [first + n * DAY for n in range((following - first).days)]
    return {day: [phase for phase in subscription.phases if phase[0].date() <= day][-1] for day in days}


def _quantity(subscription: Subscription, fee: Fee, day: date) -> int:
    found = 1
    for start, name, quantity in sorted(subscription.quantities):
        if name == fee.id and start.date() <= day:
            found = quantity
    return found


def _service_periods(every: str) -> Iterator[tuple[date, date]]:
    if every == "week":
        monday = date(2025, 12, 29)
        return pairwise(monday + n * 7 * DAY for n in range(53))
    months = [*(one.date() for one in MONTHS), _LAST]
    return pairwise({"month": months, "quarter": months[::3], "year": YEARS}[every])


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _next_month(start: datetime) -> datetime:
    return (start + 31 * DAY).replace(day=1)


def _day_after(end: datetime) -> date:
    """The first day that something does not touch which ends at an instant."""
    return (end - MOMENT).date() + DAY


@cache
def _prices() -> tuple[Price, ...]:
    return tuple(price for plan in PLANS.values() for price in plan.prices)


def _cents(exact: Fraction) -> int:
    return oracle.cents(exact)
