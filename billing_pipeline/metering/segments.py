"""Which usage a price counts in a period: the parts of the period in which it is in force, and where they are cut.

A plan change splits a period: usage is priced by the plan in force at the event's timestamp, and tiers restart. Inside
a segment, cut points are the instants at which something else changes (a discount, a credit grant); the quantity is
measured cumulatively at each, the segment's end being the last.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from billing_pipeline.catalog.plan import Plan, PlanPrice
from billing_pipeline.catalog.subscription import Phase, Subscription
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingPeriod


class SegmentKey(NamedTuple):
    """A price in one phase of a subscription: the same in any computation, whatever period it is of."""

    subscription: str
    phase_start: datetime
    price: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A price in force from ``start`` to ``end``, within one period and one phase.

    Attributes:
        phase_start: start of the phase; with subscription and price it names what is priced.
        start: first instant whose usage counts.
        end: first instant whose usage does not.
        cuts: increasing instants at which the cumulative quantity is measured; the last is ``end``.
    """

    subscription: str
    phase_start: datetime
    plan: Plan
    price: PlanPrice
    start: datetime
    end: datetime
    cuts: tuple[datetime, ...]

    @property
    def key(self) -> SegmentKey:
        """What names it: equal for the same price in the same phase, in any computation."""
        return SegmentKey(self.subscription, self.phase_start, self.price.id)


def segments(terms: Terms, period: BillingPeriod) -> Iterator[Segment]:
    """The segments of one customer in one period, in the order of subscription, phase and price."""
    for subscription in terms.subscriptions:
        for phase in subscription.phases:
            start, end = _overlap(subscription, phase, period)
            if start >= end:
                continue
            plan = terms.plan(phase)
            for price in plan.prices:
                cuts = (*_cuts(terms, price, start, end), end) if terms.discounts else (end,)
                yield Segment(subscription.id, phase.start, plan, price, start, end, cuts)


def _cuts(terms: Terms, price: PlanPrice, start: datetime, end: datetime) -> list[datetime]:
    """Where a percentage off the price starts or ends inside; one that ends by its periods ends where a period does."""
    instants = {
        instant
        for discount in terms.discounts
        if discount.percent is not None and discount.end != discount.start and discount.lowers(price.id)
        for instant in (discount.start, discount.end)
        if instant is not None and start < instant < end
    }
    return sorted(instants)


def _overlap(subscription: Subscription, phase: Phase, period: BillingPeriod) -> tuple[datetime, datetime]:
    ends = [instant for instant in (phase.end, subscription.end, period.end) if instant is not None]
    return max(phase.start, subscription.start, period.start), min(ends)
