"""No two subscriptions of a customer bill the same product, or the same meter without one, at the same time."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from billing_pipeline.catalog.checks.known import Known
from billing_pipeline.catalog.plan import Plan
from billing_pipeline.core.errors import CatalogError

_FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class _Span:
    """One phase that bills one subject."""

    start: datetime
    end: datetime
    subscription: str
    phase: int


def check_overlaps(known: Known) -> Iterator[tuple[str, CatalogError]]:
    """Subscription id and error of each overlap; the later of the two, or the one that the files give."""
    for (customer, subject), spans in _by_subject(known).items():
        open_span: _Span | None = None
        for span in sorted(spans):
            if open_span and span.start < open_span.end and span.subscription != open_span.subscription:
                yield _overlap(span, open_span, customer, subject, known)
            if open_span is None or span.end > open_span.end:
                open_span = span


def _by_subject(known: Known) -> dict[tuple[str, str], list[_Span]]:
    subjects = {plan.id: _subjects(plan) for plan in known.catalog.plans.values()}
    spans: dict[tuple[str, str], list[_Span]] = defaultdict(list)
    for one in known.catalog.subscriptions.values():
        for i, phase in enumerate(one.phases):
            span = _Span(phase.start, phase.end or _FOREVER, one.id, i)
            for subject in subjects.get(phase.plan, ()) if span.start < span.end else ():
                spans[one.customer, subject].append(span)
    return spans


def _subjects(plan: Plan) -> frozenset[str]:
    return frozenset(f"product {one.product!r}" if one.product else f"meter {one.meter!r}" for one in plan.prices)


def _overlap(later: _Span, earlier: _Span, customer: str, subject: str, known: Known) -> tuple[str, CatalogError]:
    if ("subscription", later.subscription) not in known.files:
        later, earlier = earlier, later
    until = " on" if earlier.end == _FOREVER else f" to {known.when(earlier.end)}"
    error = CatalogError(
        f"Customer {customer!r} already has {subject} by subscription {earlier.subscription!r}, "
        f"from {known.when(earlier.start)}{until}.",
        hint="End one where the other starts, or make them phases of one subscription.",
        path=("phases", later.phase, "plan"),
    )
    return later.subscription, error
