"""The lines for a plan's minimum and maximum spend: a true-up a phase, on the document of the period that locks last.

It looks at all usage and arrears of the phase that are known at that document's cutoff, whichever documents they stand
on.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.invoicing.document import DocumentPlan
from billing_pipeline.metering.segments import Segment, SegmentKey
from billing_pipeline.rating.line import RatedLine
from billing_pipeline.rating.pricing import Pricing

Phase = tuple[str, datetime]  # of a subscription, that starts at this instant


def plan_true_ups(
    terms: Terms,
    calendar: BillingCalendar,
    in_force: Iterable[Segment],
    plans: Sequence[DocumentPlan],
    lines: Sequence[RatedLine],
) -> Iterator[tuple[int, RatedLine]]:
    """The true-up line of each phase whose lines do not reach its plan's minimum, or exceed its maximum, and its place.

    Args:
        terms: the customer's.
        calendar: gives local days.
        in_force: the customer's segments of the period.
        plans: all documents that these call for, final or not; a place is one of them.
        lines: all lines of the period.
    """
    # All segments of a phase have one plan, one start and one end, so any of them can stand for the phase.
    bounded: dict[Phase, Segment] = {
        (segment.subscription, segment.phase_start): segment
        for segment in in_force
        if segment.plan.minimum is not None or segment.plan.maximum is not None
    }
    for phase, segment in bounded.items():
        covering = [place for place, plan in enumerate(plans) if _has_usage_of(plan, phase)]
        last = max(covering, key=lambda place: plans[place].order)
        amounts = [line.amount for line in lines if (line.subscription, line.phase_start) == phase]
        true_up = Pricing.of(terms, segment, calendar).true_up(segment.plan, amounts)
        if true_up is not None:
            yield last, true_up


def _has_usage_of(plan: DocumentPlan, phase: Phase) -> bool:
    """Whether a document bills usage of a phase; fees count where they are, not where they could be."""
    return any((key.subscription, key.phase_start) == phase for key in plan.covers if isinstance(key, SegmentKey))
