"""Segments of a period: the parts of it in which a price is in force, and where they are cut.

A plan change splits a period: usage is priced by the plan in force at the event's timestamp, and tiers restart. Inside
a segment, cut points are the instants at which something else changes (a discount starts or ends); the quantity is
measured cumulatively at each, the segment's end being the last.

Customer acme is on plan basic (price api) from 1 June 2025 and on plan mixed (prices api and gb) from 15 January 2026,
12:00; 10% off the price api, on whatever plan, start on 20 January. January 2026 has three segments:

=====  =====  ==============================  ================================
plan   price  in force                        measured from its start
=====  =====  ==============================  ================================
basic  api    1 January to 15 January 12:00   to 15 January 12:00
mixed  api    15 January 12:00 to 1 February  to 20 January, and to 1 February
mixed  gb     15 January 12:00 to 1 February  to 1 February
=====  =====  ==============================  ================================

So 80 units of mixed/api until the 20th and 120 until the end of January are two lines, what 80 cost and what 120 cost
less what 80 did, and the discount lowers the second only. An event of 15 January at 12:00 counts in mixed: starts are
inclusive, ends are not. A subscription that ended on 10 January has segments only until then. What is on demand has
none: windows of receipt bill it (:func:`on_demand`).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from billing_pipeline.catalog.plan import Plan, PlanPrice
from billing_pipeline.catalog.subscription import Phase, Subscription
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingPeriod

LENGTHS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}  # of windows on demand


class SegmentKey(NamedTuple):
    """A price in one phase of a subscription: the same in any computation, whatever period it is of."""

    subscription: str
    phase_start: datetime
    price: str


@dataclass(frozen=True, slots=True)
class PhasePart:
    """The part of a period in which a phase of a subscription is in force, whether or not its plan has prices."""

    subscription: str
    phase_start: datetime
    plan: Plan
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of a period in which a price is in force, within one phase of a subscription.

    Attributes:
        phase_start: start of the phase; with subscription and price it names what is priced.
        start: first instant whose usage counts.
        end: first instant whose usage does not.
        cuts: increasing instants at which the cumulative quantity is measured; the last is ``end``.
        recorded_at: when the phase was recorded, where that was after the subscription itself.
    """

    subscription: str
    phase_start: datetime
    plan: Plan
    price: PlanPrice
    start: datetime
    end: datetime
    cuts: tuple[datetime, ...]
    recorded_at: datetime | None = None

    @property
    def key(self) -> SegmentKey:
        """What names it: equal for the same price in the same phase, in any computation."""
        return SegmentKey(self.subscription, self.phase_start, self.price.id)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A price on demand in one phase of a subscription: its usage is cumulative over all of it.

    Attributes:
        phase_start: start of the phase; with subscription and price it names what is priced.
        start: first instant whose usage counts.
        end: first instant whose usage does not; None where there is none.
    """

    subscription: str
    phase_start: datetime
    plan: Plan
    price: PlanPrice
    start: datetime
    end: datetime | None

    @property
    def key(self) -> SegmentKey:
        """What names it."""
        return SegmentKey(self.subscription, self.phase_start, self.price.id)

    def within(self, period: BillingPeriod) -> tuple[datetime, datetime]:
        """What it has in common with a period; empty where the start is not before the end."""
        return max(self.start, period.start), min(self.end or period.end, period.end)


def phase_parts(terms: Terms, period: BillingPeriod) -> Iterator[PhasePart]:
    """The phases of one customer in one period, in the order of subscription and phase."""
    for subscription in terms.subscriptions:
        for phase in subscription.phases:
            start, end = _overlap(subscription, phase, period)
            if start < end:
                yield PhasePart(subscription.id, phase.start, terms.plan(phase), start, end)


def segments(terms: Terms, period: BillingPeriod) -> Iterator[Segment]:
    """The segments of one customer in one period, in the order of subscription, phase and price."""
    for subscription in terms.subscriptions:
        for phase in subscription.phases:
            start, end = _overlap(subscription, phase, period)
            if start >= end:  # the phase has nothing of this period, or was replaced before it began
                continue
            plan = terms.plan(phase)
            for price in plan.prices if not plan.on_demand else ():
                cuts = (*_cuts(terms, price, start, end), end) if terms.discounts else (end,)
                recorded_at = subscription.recorded_later(phase)
                yield Segment(subscription.id, phase.start, plan, price, start, end, cuts, recorded_at)


def on_demand(terms: Terms, ended: Collection[str]) -> Iterator[Stretch]:
    """What a customer has on demand, ever, in windows of some lengths (``hour``, ``day``)."""
    for subscription in terms.subscriptions:
        for phase in subscription.phases:
            plan = terms.plan(phase)
            if plan.on_demand and plan.window in ended:
                start = max(phase.start, subscription.start)
                end = min((instant for instant in (phase.end, subscription.end) if instant is not None), default=None)
                for price in plan.prices:
                    yield Stretch(subscription.id, phase.start, plan, price, start, end)


def _cuts(terms: Terms, price: PlanPrice, start: datetime, end: datetime) -> list[datetime]:
    """The instants inside a segment at which a percentage off its price starts or ends.

    An amount off needs no cut: it comes off the whole service period. A percentage for so many periods ends where a
    period does, and one that was taken back before it began (its end is its start) never lowers anything.
    """
    instants = {
        instant
        for discount in terms.discounts
        if discount.percent is not None and discount.end != discount.start and discount.lowers(price.id)
        for instant in (discount.start, discount.end)
        if instant is not None and start < instant < end
    }
    return sorted(instants)


def _overlap(subscription: Subscription, phase: Phase, period: BillingPeriod) -> tuple[datetime, datetime]:
    """What a phase, its subscription and the period have in common; empty where the start is not before the end."""
    ends = [instant for instant in (phase.end, subscription.end, period.end) if instant is not None]
    return max(phase.start, subscription.start, period.start), min(ends)
