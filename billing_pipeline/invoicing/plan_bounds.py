"""The lines for a plan's minimum and maximum spend: a true-up a phase, on the document of the period that locks last.

It looks at all usage and arrears of the phase that are known at that document's cutoff, whichever documents they stand
on.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from billing_pipeline.catalog.plan import Plan
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.invoicing.document import DocumentPlan, Key
from billing_pipeline.metering.segments import Segment, SegmentKey
from billing_pipeline.rating.line import RatedLine
from billing_pipeline.rating.pricing import Pricing

PhaseKey = tuple[str, datetime]  # subscription, phase start


def has_bounds(plan: Plan) -> bool:
    """Whether the plan as a whole has a minimum or maximum spend."""
    return plan.minimum is not None or plan.maximum is not None


def plan_true_ups(
    terms: Terms,
    calendar: BillingCalendar,
    in_force: Iterable[Segment],
    plans: Sequence[DocumentPlan],
    lines: Sequence[RatedLine],
) -> Iterator[tuple[DocumentPlan, RatedLine]]:
    """The true-up line of each phase whose lines do not reach its plan's minimum, or exceed its maximum, and its place.

    Args:
        terms: the customer's.
        calendar: gives local days.
        in_force: the customer's segments of the period.
        plans: all documents that these call for, final or not.
        lines: all lines of the period.
    """
    for key, segment in _phases(in_force).items():
        if not has_bounds(segment.plan):
            continue
        covering = [plan for plan in plans if any(_phase(covered) == key for covered in plan.covers)]
        last = max(covering, key=lambda plan: plan.order)
        amounts = [line.amount for line in lines if _phase_of(line) == key]
        pricing = Pricing.of(terms, segment, calendar)
        true_up = pricing.true_up(segment.plan, amounts)
        if true_up is not None:
            yield last, true_up


def _phases(in_force: Iterable[Segment]) -> dict[PhaseKey, Segment]:
    """One segment of each phase: they share plan, start and end."""
    phases: dict[PhaseKey, Segment] = {}
    for segment in in_force:
        phases.setdefault((segment.subscription, segment.phase_start), segment)
    return phases


def _phase(key: Key) -> PhaseKey | None:
    """The phase whose usage a key names; fees count where they are, not where they could be."""
    return (key.subscription, key.phase_start) if isinstance(key, SegmentKey) else None


def _phase_of(line: RatedLine) -> PhaseKey | None:
    if line.subscription is None or line.phase_start is None:
        return None
    return line.subscription, line.phase_start
