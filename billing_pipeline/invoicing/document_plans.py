"""Which documents a period gives a customer: when each is issued and locks, and what it bills.

Prices and fees in force decide, not the events received: a document waits for its time also where nothing was used.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from billing_pipeline.catalog.plan import Plan
from billing_pipeline.catalog.subscription import Subscription
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import A_DAY, BillingCalendar, BillingPeriod, Duration
from billing_pipeline.invoicing.document import (
    Billed,
    DocumentIdentity,
    DocumentKind,
    DocumentPlan,
    Key,
)
from billing_pipeline.metering.segments import Segment
from billing_pipeline.rating.fees.fees import FeesDue, days_due, fees_due
from billing_pipeline.rating.fees.schedule import IN_ADVANCE

_NOTHING = Billed()


def fees_in(terms: Terms, period: BillingPeriod, calendar: BillingCalendar) -> Iterator[FeesDue]:
    """The fees that a period's documents bill: those due in it, and those in advance for what starts as it ends.

    What falls due on the period's first day stands on the closing document of the period before, unless the
    subscription starts then, or no earlier period is billed here.
    """
    if not any(plan.fees for plan in terms.plans.values()):
        return
    first = calendar.previous(period) is None
    for fees in fees_due(terms, calendar, period.first_day, period.next_day):
        if not fees.in_advance:
            inside = fees.due > period.first_day
        elif fees.due == period.next_day:
            inside = not fees.starts
        else:
            inside = fees.due > period.first_day or fees.starts or first
        if inside:
            yield fees


def periods_billing(terms: Terms, service: BillingPeriod, calendar: BillingCalendar) -> Iterator[BillingPeriod]:
    """The periods whose documents may bill what counts in a service period: itself, and those of its fees.

    A quarter's fee in arrears that starts in January is billed by March, or where its subscription ends; one a year in
    advance, with a seat more from 10 March on, by the first period of the year.
    """
    midnights = [calendar.midnight(service.first_day)]
    for due in days_due(terms, calendar, service.first_day, service.next_day):
        midnights += (calendar.midnight(due - A_DAY), calendar.midnight(due))
    found = {period for midnight in midnights if (period := calendar.period_of(midnight)) is not None}
    yield from sorted(found, key=lambda period: period.start)


def sharing_periods(terms: Terms, period: BillingPeriod, calendar: BillingCalendar) -> Iterator[BillingPeriod]:
    """The periods whose documents may use the same allowances as a period's do."""
    services = {period}
    for fees in fees_in(terms, period, calendar):
        for line in fees.lines:
            assert line.start is not None, "a fee line says from when it counts"  # noqa: S101
            services.add(calendar.service_of(line.start))
    found = {billing for service in services for billing in periods_billing(terms, service, calendar)}
    yield from sorted(found, key=lambda period: period.start)


def document_plans(
    terms: Terms,
    period: BillingPeriod,
    calendar: BillingCalendar,
    in_force: Iterable[Segment],
    billed: Billed = _NOTHING,
) -> list[DocumentPlan]:
    """The documents that the prices and fees in force call for, in the order in which they compete.

    Args:
        terms: the customer's.
        period: P, whose usage is billed.
        calendar: gives local days.
        in_force: the customer's segments in P.
        billed: what is final; it is never billed twice, and nothing is added to it.
    """
    keys: dict[DocumentIdentity, list[Key]] = defaultdict(list)
    locks: dict[DocumentIdentity, list[datetime]] = defaultdict(list)
    homes = _Homes(terms, period, calendar, billed)
    for segment in in_force:
        if segment.key not in billed.keys:
            home = homes.of_usage(segment)
            keys[home].append(segment.key)
            locks[home].append(calendar.after(period.end, terms.grace(segment.plan, segment.price)))
    # A fee has no other document than its own: where that one is final without it, it is due as an adjustment.
    for fees in fees_in(terms, period, calendar):
        home = fee_home(fees, terms, period, calendar)
        if fees.key not in billed.keys and home not in billed.documents:
            keys[home].append(fees.key)
            locks[home] += _fee_locks(terms, period, calendar, fees)
    # Each period with a subscription in force has a closing document: late usage of others, and what became due or is
    # given back by a later change, stands on it also where nothing else does.
    if homes.closing not in billed.documents and _closes(terms, period):
        keys[homes.closing] += ()
    plans = [
        DocumentPlan(
            identity=identity,
            currency=terms.customer.currency,
            lock_at=max([calendar.midnight(identity.issue_date), *locks[identity]]),
            covers=frozenset(covered),
        )
        for identity, covered in keys.items()
    ]
    return sorted(plans, key=lambda plan: plan.order)


class _Homes:
    """The documents on which a customer's usage of a period stands.

    No document appears under a date before its cause. On 4 February a plan is assigned from January on. Where January's
    closing document of 1 February was out, or there was none as the subscription began later, its usage of January is
    on a delayed document of the 4th.
    """

    def __init__(self, terms: Terms, period: BillingPeriod, calendar: BillingCalendar, billed: Billed) -> None:
        self._terms, self._period, self._calendar, self._billed = terms, period, calendar, billed
        self.closing = _closing(terms, period, calendar)

    def of_usage(self, segment: Segment) -> DocumentIdentity:
        """The document of a segment's usage, by the product's delay; a later one where that is final already.

        It can be where the delay was shortened, or the price had no document yet.
        """
        delay, home = self._terms.delay(segment.price), self.closing
        if delay.days:
            issued = max(self._period.next_day + delay.days * A_DAY, home.issue_date)
            home = replace(home, kind=DocumentKind.DELAYED, issue_date=issued)
        if home in self._billed.documents and segment.recorded_at is not None:
            recorded = self._calendar.local_day(segment.recorded_at)
            home = replace(home, kind=DocumentKind.DELAYED, issue_date=max(home.issue_date + A_DAY, recorded))
        while home in self._billed.documents:
            home = replace(home, kind=DocumentKind.DELAYED, issue_date=home.issue_date + A_DAY)
        return home


def _closing(terms: Terms, period: BillingPeriod, calendar: BillingCalendar) -> DocumentIdentity:
    """The document that closes the period: of the day after its last, where a subscription was known to be in force.

    Where all were extended into it afterwards, it is a delayed one of the day on which that was recorded.
    """
    closing = DocumentIdentity(terms.customer.id, DocumentKind.CLOSING, period.first_day, period.next_day)
    recorded = [_known(subscription, period) for subscription in terms.subscriptions if _in_force(subscription, period)]
    later = [calendar.local_day(at) for at in recorded if at is not None and at >= calendar.midnight(period.next_day)]
    if not recorded or len(later) < len(recorded):
        return closing
    return replace(closing, kind=DocumentKind.DELAYED, issue_date=min(later))


def _known(subscription: Subscription, period: BillingPeriod) -> datetime | None:
    """When it was recorded that a subscription is in force in a period; None: since there is the subscription."""
    extended = subscription.extended_from is not None and period.end <= subscription.extended_from
    return subscription.phases[0].recorded_at if extended else None


def _in_force(subscription: Subscription, period: BillingPeriod) -> bool:
    return subscription.start < period.end and (
        subscription.end is None or subscription.end > max(subscription.start, period.start)
    )


def fee_home(fees: FeesDue, terms: Terms, period: BillingPeriod, calendar: BillingCalendar) -> DocumentIdentity:
    """The document of fees: in advance of the day on which what they pay for starts, else of the period's close.

    On that day it must have been known: what a later change makes due from a day that is gone, the close bills.
    """
    if fees.in_advance and fees.known and fees.due < period.next_day:
        return DocumentIdentity(terms.customer.id, DocumentKind.OPENING, period.first_day, fees.due)
    return _closing(terms, period, calendar)


def _fee_locks(terms: Terms, period: BillingPeriod, calendar: BillingCalendar, fees: FeesDue) -> Iterator[datetime]:
    """Until when fees keep their document open: arrears have grace, an opening waits until it is recorded."""
    if not fees.in_advance:
        for plan, version in {(line.plan or "", line.plan_version or 0) for line in fees.lines}:
            yield calendar.after(period.end, _fee_grace(terms, terms.plans[plan, version]))
    for subscription in terms.subscriptions:
        if subscription.id == fees.key.subscription and subscription.recorded_at is not None:
            yield subscription.recorded_at


def _fee_grace(terms: Terms, plan: Plan) -> Duration:
    """The grace of a fee, which has no product: as the customer says, else the plan, else the account."""
    return next((grace for grace in (terms.customer.grace, plan.grace) if grace is not None), terms.account.grace)


def _closes(terms: Terms, period: BillingPeriod) -> bool:
    """Whether a subscription is in force in the period at any instant, or ends in it with fees to give back."""
    return any(
        _in_force(subscription, period)
        or (
            subscription.end is not None
            and period.start <= subscription.end < period.end
            and _pays_in_advance(terms, subscription)
        )
        for subscription in terms.subscriptions
    )


def _pays_in_advance(terms: Terms, subscription: Subscription) -> bool:
    return any(fee.timing == IN_ADVANCE for phase in subscription.phases for fee in terms.plan(phase).fees)
