"""Which documents a period gives a customer, and which line stands on which."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingCalendar, BillingPeriod
from billing_pipeline.invoicing.document import (
    Billed,
    Document,
    DocumentIdentity,
    DocumentKind,
    DocumentPlan,
    Key,
)
from billing_pipeline.invoicing.minimum import plan_true_ups
from billing_pipeline.metering.segments import Segment, segments
from billing_pipeline.rating.line import RatedLine

_NOTHING = Billed()


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a segment's usage goes: kind and issue date."""

    kind: DocumentKind
    issue_date: date

    def identity(self, terms: Terms, period: BillingPeriod) -> DocumentIdentity:
        """The customer's document of this kind and date."""
        return DocumentIdentity(terms.customer.id, self.kind, period.first_day, self.issue_date)


def document_plans(
    terms: Terms,
    period: BillingPeriod,
    calendar: BillingCalendar,
    in_force: Iterable[Segment],
    billed: Billed = _NOTHING,
) -> list[DocumentPlan]:
    """The documents that the prices in force call for, in the order of their issue dates.

    Args:
        terms: the customer's.
        period: P, whose usage is billed.
        calendar: gives local days.
        in_force: the customer's segments in P.
        billed: what is final; it is never billed twice, and nothing is added to it.
    """
    by_slot: dict[_Slot, list[Segment]] = defaultdict(list)
    for segment in in_force:
        if segment.key not in billed.keys:
            by_slot[_slot(terms, period, segment, billed)].append(segment)
    plans = [
        DocumentPlan(
            identity=slot.identity(terms, period),
            currency=terms.customer.currency,
            lock_at=_lock_at(terms, period, calendar, slot, members),
            covers=frozenset(segment.key for segment in members),
        )
        for slot, members in by_slot.items()
    ]
    return sorted(plans, key=lambda plan: (plan.identity.issue_date, plan.identity.kind))


def documents(
    terms: Terms,
    period: BillingPeriod,
    calendar: BillingCalendar,
    lines: Sequence[RatedLine],
    billed: Billed = _NOTHING,
) -> list[Document]:
    """The documents that are not final, each with its lines; ``lines`` are all of the customer's, the rest as above."""
    in_force = list(segments(terms, period))
    found = assemble(document_plans(terms, period, calendar, in_force, billed), lines)
    if not any(plan.minimum is not None for plan in terms.plans.values()):
        return found
    whole = document_plans(terms, period, calendar, in_force)
    true_ups = list(plan_true_ups(terms, calendar, in_force, whole, lines))
    return [
        replace(one, lines=(*one.lines, *(line for plan, line in true_ups if plan.identity == one.plan.identity)))
        for one in found
    ]


def assemble(plans: Iterable[DocumentPlan], lines: Iterable[RatedLine]) -> list[Document]:
    """Put each line on the document that covers its segment; lines of finalized documents belong to none."""
    by_segment: dict[Key, list[RatedLine]] = defaultdict(list)
    for line in lines:
        by_segment[segment_key(line)].append(line)
    return [
        Document(plan, tuple(sorted((line for key in plan.covers for line in by_segment[key]), key=_order)))
        for plan in plans
    ]


def segment_key(line: RatedLine) -> Key:
    """The segment that a usage line prices."""
    assert line.subscription is not None, "a usage line names its subscription"  # noqa: S101
    assert line.phase_start is not None, "a usage line names its phase"  # noqa: S101
    assert line.price is not None, "a usage line names its price"  # noqa: S101
    return line.subscription, line.phase_start.isoformat(), line.price


def _slot(terms: Terms, period: BillingPeriod, segment: Segment, billed: Billed) -> _Slot:
    """By the product's delay; where that document is final already, because the delay was shortened, the next day."""
    delay = terms.delay(segment.price)
    kind = DocumentKind.DELAYED if delay.days else DocumentKind.CLOSING
    slot = _Slot(kind, period.next_day + timedelta(days=delay.days))
    while slot.identity(terms, period) in billed.documents:
        slot = _Slot(DocumentKind.DELAYED, slot.issue_date + timedelta(days=1))
    return slot


def _lock_at(
    terms: Terms, period: BillingPeriod, calendar: BillingCalendar, slot: _Slot, members: list[Segment]
) -> datetime:
    """The issue instant, or the period's end plus the longest grace among the lines, whichever is later."""
    graces = [calendar.after(period.end, terms.grace(one.plan, one.price)) for one in members]
    return max(calendar.midnight(slot.issue_date), *graces)


def _order(line: RatedLine) -> tuple[str, ...]:
    return (
        str(line.service_start),
        line.subscription or "",
        line.product or "",
        line.price or "",
        "" if line.kind == "usage" else line.kind,  # a price's true-up comes after its usage
        *(f"{name}={value}" for name, value in sorted(line.dimensions.items())),
        str(line.service_end),
        str(line.phase_start),  # several phases of one day differ in nothing else
    )
