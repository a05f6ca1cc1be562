"""Fees: what a plan costs whether or not it is used, prorated by local days and rounded once on each line.

Fees of one subscription that recur alike and are due alike fall due together, for one service period at a time. That
period is named by a :class:`FeeKey`, so that what it cost once can be compared with what it costs now.

A plan, in months of the calendar, has a fee of 31.00 for each seat, due in advance, one of 15.50 for support, due in
arrears, and one of 50.00 due once. A customer starts on it on 10 January 2026 with two seats, and has three from 20
January on. What falls due, and when:

===========  ==========================  ========================================  ======
due          fee, of its service period  for the days                              amount
===========  ==========================  ========================================  ======
10 January   seats, of January           [10 January, 20 January), 10 of 31, × 2   20.00
10 January   seats, of January           [20 January, 1 February), 12 of 31, × 3   36.00
10 January   once                        [10 January, 11 January)                  50.00
1 February   seats, of February          [1 February, 1 March), × 3                93.00
1 February   support, of January         [10 January, 1 February), 22 of 31        11.00
1 March      support, of February        [1 February, 1 March)                     15.50
===========  ==========================  ========================================  ======

Cancelled on 10 February to end on the 15th, the key of the seats of February finds what they cost now: 46.50 for 14 of
28 days, so that 46.50 of what was billed on 1 February is given back. Support of February falls due on 15 February,
with 7.75: its key names another day than before.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from billing_pipeline.catalog.plan import Fee, FeeCadence, Plan, PlanVersion
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.core.plain_text import plain
from billing_pipeline.rating.fees.periods import ONE_DAY
from billing_pipeline.rating.fees.schedule import IN_ADVANCE, FeeKey, Part, Schedule, fee_amount
from billing_pipeline.rating.line import LineDetail, LineKind, RatedLine

__all__ = ["FeeKey", "FeesDue", "days_due", "fee_detail", "fee_key", "fees_due", "fees_of", "service_starts"]


@dataclass(frozen=True, slots=True)
class FeesDue:
    """The fees of one subscription, cadence and timing for one service period.

    Attributes:
        key: names the service period.
        due: in advance, its first day, but not before the subscription's, or the first day of a phase in it that was
            scheduled; in arrears, the day after its last day, or after the subscription's, whichever comes first.
        in_advance: whether it is due before what it pays for.
        starts: whether ``due`` is the subscription's own first day.
        known: whether anything of it was known to fall due on that day, and is not of a phase recorded later.
        lines: rounded, by phase, fee and day; what comes to zero is left out.
    """

    key: FeeKey
    due: date
    in_advance: bool
    starts: bool
    known: bool
    lines: tuple[RatedLine, ...]


def fees_due(terms: Terms, calendar: BillingCalendar, first: date, last: date) -> Iterator[FeesDue]:
    """The fees that fall due on the local days ``[first, last]``, both inclusive, as phases are scheduled.

    A service period in which a phase has a fee is among them also where all its lines come to zero.
    """
    for subscription in terms.subscriptions:
        schedule = Schedule.of(subscription, terms, calendar)
        for every, timing in schedule.kinds():
            for period in schedule.periods(every, timing, first, last):
                # The schedule gives a few periods too many at both ends, and periods without any fee: a phase on
                # another plan, or a fee that is due once and was.
                by_day: dict[date, list[Part]] = defaultdict(list)
                for part in schedule.parts(every, timing, period):
                    by_day[schedule.due(timing, period, part.stay)].append(part)
                for due, parts in by_day.items():
                    if first <= due <= last:
                        lines = tuple(schedule.lines(parts, period))
                        key = schedule.key(every, timing, period, parts[0].stay)
                        starts, known = due == schedule.first_day, schedule.known_on(due, parts)
                        yield FeesDue(key, due, timing == IN_ADVANCE, starts, known, lines)


def days_due(terms: Terms, calendar: BillingCalendar, first: date, following: date) -> Iterator[date]:
    """The days on which those fees fall due of which a part starts on the local days ``[first, following)``."""
    for subscription in terms.subscriptions:
        schedule = Schedule.of(subscription, terms, calendar)
        for every, timing in schedule.kinds():
            for period in schedule.periods(every, IN_ADVANCE, first, following - ONE_DAY):  # that touch these days
                for part in schedule.parts(every, timing, period):
                    if first <= part.first_day < following:
                        yield schedule.due(timing, period, part.stay)


def fees_of(terms: Terms, calendar: BillingCalendar, key: FeeKey) -> tuple[RatedLine, ...]:
    """The fee lines of a service period as they are due now: nothing where the subscription ended before.

    Raises:
        KeyError: the customer has no such subscription.
    """
    schedule = _schedule(terms, calendar, key.subscription)
    period = schedule.named(key)
    parts = schedule.parts(key.every, key.timing, period)
    of_key = (
        part
        for part in parts
        if key.timing != IN_ADVANCE or schedule.key(key.every, IN_ADVANCE, period, part.stay) == key
    )
    return tuple(schedule.lines(of_key, period))


def fee_key(terms: Terms, calendar: BillingCalendar, line: RatedLine, plan: Plan | None = None) -> FeeKey:
    """The service period that a fee line pays for, also where nothing of it is due any more.

    Args:
        terms: of the line's customer.
        calendar: gives local days.
        line: of kind fee.
        plan: the version that the line names, where the terms may have lost it: no phase is on it any more.

    Raises:
        KeyError: there is no such subscription, or neither the terms nor ``plan`` are that version.
    """
    assert line.kind == LineKind.FEE, f"a {line.kind} line is no fee"  # noqa: S101
    assert line.service_start is not None, "a fee line says what it pays for"  # noqa: S101
    schedule = _schedule(terms, calendar, line.subscription)
    plan = plan or terms.plans[line.plan or "", line.plan_version or 0]
    fee = next(fee for fee in plan.fees if fee.id == line.price)
    period = schedule.rhythm(fee.every).holding(line.service_start)
    return schedule.key(fee.every, fee.timing, period, schedule.stay_of(line))


def service_starts(
    terms: Terms, calendar: BillingCalendar, line: RatedLine, plans: Mapping[PlanVersion, Plan]
) -> date | None:
    """The first day of the service period that a fee line pays for; None where it is due once, or no plan knows it.

    Args:
        terms: of the line's customer.
        calendar: gives local days.
        line: of kind fee.
        plans: those known; another version tells how often a fee recurs where the line's own is not among them.
    """
    assert line.service_start is not None, "a fee line says what it pays for"  # noqa: S101
    own, known = (line.plan or "", line.plan_version or 0), [version for version in plans if version[0] == line.plan]
    for version in sorted(known, key=lambda version: (version != own, version)):
        for fee in plans[version].fees:
            if fee.id == line.price and fee.every is FeeCadence.ONCE:
                return None  # whenever its plan starts, it is the same
            if fee.id == line.price:
                schedule = _schedule(terms, calendar, line.subscription)
                return schedule.rhythm(fee.every).holding(line.service_start).first_day
    return None


def _schedule(terms: Terms, calendar: BillingCalendar, subscription_id: str | None) -> Schedule:
    for subscription in terms.subscriptions:
        if subscription.id == subscription_id:
            return Schedule.of(subscription, terms, calendar)
    raise KeyError(subscription_id)


def fee_detail(
    terms: Terms, calendar: BillingCalendar, subscription: str, fee: Fee, service: tuple[date, date], quantity: Decimal
) -> LineDetail:
    """The reason why a fee line comes to its amount: so many, for so many days of its service period; unrounded.

    Args:
        terms: of the line's customer.
        calendar: gives local days.
        subscription: id.
        fee: as the plan version says that the line names.
        service: local days ``[start, end)`` that the line pays for.
        quantity: how many.
    """
    schedule = _schedule(terms, calendar, subscription)
    whole, days = schedule.rhythm(fee.every).holding(service[0]), (service[1] - service[0]).days
    amount = fee_amount(fee, quantity, days, whole)
    if not fee.prorate or days == whole.days:
        return LineDetail(f"{fee.name}, {_EACH[fee.every]}", quantity, fee.amount, amount)
    described = f"{fee.name}, {days} of {whole.days} days at {plain(fee.amount)} {_EACH[fee.every]}"
    return LineDetail(described, quantity, None, amount)


_EACH = {every: "once" if every is FeeCadence.ONCE else f"each {every}" for every in FeeCadence}
