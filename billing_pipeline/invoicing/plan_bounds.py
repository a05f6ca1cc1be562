"""The lines for a plan's minimum and maximum spend: a true-up a phase, on the document of the period that locks last.

It looks at all usage and arrears of the phase that are known at that document's cutoff, whichever documents they stand
on. A plan of 10.00 in arrears without a usage price has a minimum of 50.00: its closing document has a line of 40.00.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingCalendar, BillingPeriod
from billing_pipeline.invoicing.document import DocumentKind, DocumentPlan
from billing_pipeline.metering.segments import PhasePart, SegmentKey, phase_parts
from billing_pipeline.rating.fees.schedule import IN_ARREARS
from billing_pipeline.rating.line import RatedLine
from billing_pipeline.rating.pricing import bound_line

Phase = tuple[str, datetime]  # of a subscription, that starts at this instant
Bounding = tuple[DocumentPlan, Terms]  # a document of the period, and the terms that it goes by


def plan_true_ups(
    calendar: BillingCalendar,
    period: BillingPeriod,
    documents: Sequence[Bounding],
    counted: Mapping[Phase, Sequence[RatedLine]],
) -> Iterator[tuple[int, RatedLine]]:
    """The true-up line of each phase whose lines do not reach its plan's minimum, or exceed its maximum, and its place.

    Args:
        calendar: gives local days.
        period: the documents'.
        documents: all of the period, final or not; a place is one of them.
        counted: the lines of usage and arrears of each phase.
    """
    for phase, (part, terms, last) in _bounded(period, documents).items():
        amounts = [line.amount for line in counted.get(phase, ())]
        true_up = bound_line(terms, part, calendar, part.plan, part.plan.id, amounts)
        if true_up is not None:
            yield last, true_up


def _bounded(period: BillingPeriod, documents: Sequence[Bounding]) -> dict[Phase, tuple[PhasePart, Terms, int]]:
    """The phases with bounds, each with the place of the last document that bills it, and by whose terms."""
    last: dict[Phase, tuple[tuple[object, ...], PhasePart, Terms, int]] = {}
    for place, (plan, terms) in enumerate(documents):
        for part in phase_parts(terms, period):
            if part.plan.minimum is not None or part.plan.maximum is not None:
                phase = part.subscription, part.phase_start
                # Its usage says where it stands; without a price its arrears do, and without those the close.
                rank = _rank(plan, phase)
                if rank and (phase not in last or last[phase][0] < (rank, plan.order)):
                    last[phase] = (rank, plan.order), part, terms, place
    return {phase: (part, terms, place) for phase, (_, part, terms, place) in last.items()}


def _rank(plan: DocumentPlan, phase: Phase) -> int:
    """How much a document is one of a phase: 3 bills its usage, 2 its subscription's arrears, 1 closes the period."""
    keys = plan.covers
    if any(isinstance(key, SegmentKey) and (key.subscription, key.phase_start) == phase for key in keys):
        return 3
    if any(
        not isinstance(key, SegmentKey) and (key.subscription, key.timing) == (phase[0], IN_ARREARS) for key in keys
    ):
        return 2
    return int(plan.identity.kind == DocumentKind.CLOSING)
