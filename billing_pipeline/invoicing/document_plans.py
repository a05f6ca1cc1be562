"""Which documents a period gives a customer: when each is issued and locks, and what it bills.

Prices and fees in force decide, not the events received: a document waits for its time also where nothing was used.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from billing_pipeline.catalog.plan import Plan
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
from billing_pipeline.rating.fees.fees import FeesDue, fees_due
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
    for segment in in_force:
        if segment.key not in billed.keys:
            home = _usage_home(segment, terms, period, billed)
            keys[home].append(segment.key)
            locks[home].append(calendar.after(period.end, terms.grace(segment.plan, segment.price)))
    # A fee has no other document than its own: where that one is final without it, it is due as an adjustment.
    for fees in fees_in(terms, period, calendar):
        home = fee_home(fees, terms, period)
        if fees.key not in billed.keys and home not in billed.documents:
            keys[home].append(fees.key)
            locks[home] += _fee_locks(terms, period, calendar, fees)
    # What an ended subscription did not use is credited on the closing document, also where nothing else stands there.
    closing = DocumentIdentity(terms.customer.id, DocumentKind.CLOSING, period.first_day, period.next_day)
    if _ends(terms, period) and closing not in billed.documents:
        keys[closing] += ()
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


def _usage_home(segment: Segment, terms: Terms, period: BillingPeriod, billed: Billed) -> DocumentIdentity:
    """The document of a segment's usage, by the product's delay; one a day later where that one is final already.

    It can be where the delay was shortened, or the price had no document yet.
    """
    delay = terms.delay(segment.price)
    kind = DocumentKind.DELAYED if delay.days else DocumentKind.CLOSING
    home = DocumentIdentity(terms.customer.id, kind, period.first_day, period.next_day + delay.days * A_DAY)
    while home in billed.documents:
        home = replace(home, kind=DocumentKind.DELAYED, issue_date=home.issue_date + A_DAY)
    return home


def fee_home(fees: FeesDue, terms: Terms, period: BillingPeriod) -> DocumentIdentity:
    """The document of fees: in advance of the day on which what they pay for starts, else of the period's close."""
    kind, issue_date = DocumentKind.CLOSING, period.next_day
    if fees.in_advance and fees.due < period.next_day:
        kind, issue_date = DocumentKind.OPENING, fees.due
    return DocumentIdentity(terms.customer.id, kind, period.first_day, issue_date)


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


def _ends(terms: Terms, period: BillingPeriod) -> bool:
    """Whether a subscription with fees in advance ends in the period: what it did not use is credited as it closes."""
    return any(
        subscription.end is not None
        and period.start <= subscription.end < period.end
        and any(fee.timing == IN_ADVANCE for phase in subscription.phases for fee in terms.plan(phase).fees)
        for subscription in terms.subscriptions
    )
