"""No two subscriptions of a customer bill the same product, or the same meter without one, at the same time."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from billing_pipeline.catalog.checks.check_context import CheckContext
from billing_pipeline.catalog.plan import Plan
from billing_pipeline.core.errors import CatalogError

_FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class _BilledSpan:
    """A span of time in which one phase of a subscription bills one subject: a product, or a meter without one."""

    start: datetime
    end: datetime
    subscription: str
    phase: int


def check_overlaps(context: CheckContext) -> Iterator[tuple[str, CatalogError]]:
    """Subscription id and error of each overlap; the later of the two, or the one that the files give."""
    for (customer, subject), spans in _by_subject(context).items():
        open_span: _BilledSpan | None = None
        for span in sorted(spans):
            if open_span and span.start < open_span.end and span.subscription != open_span.subscription:
                yield _overlap(span, open_span, customer, subject, context)
            if open_span is None or span.end > open_span.end:
                open_span = span


def _by_subject(context: CheckContext) -> dict[tuple[str, str], list[_BilledSpan]]:
    subjects = {plan.id: _subjects(plan) for plan in context.catalog.plans.values()}
    spans: dict[tuple[str, str], list[_BilledSpan]] = defaultdict(list)
    for subscription in context.catalog.subscriptions.values():
        for i, phase in enumerate(subscription.phases):
            span = _BilledSpan(phase.start, phase.end or _FOREVER, subscription.id, i)
            for subject in subjects.get(phase.plan, ()) if span.start < span.end else ():
                spans[subscription.customer, subject].append(span)
    return spans


def _subjects(plan: Plan) -> frozenset[str]:
    return frozenset(
        f"product {price.product!r}" if price.product else f"meter {price.meter!r}" for price in plan.prices
    )


def _overlap(
    later: _BilledSpan, earlier: _BilledSpan, customer: str, subject: str, context: CheckContext
) -> tuple[str, CatalogError]:
    if ("subscription", later.subscription) not in context.files:
        later, earlier = earlier, later
    until = " on" if earlier.end == _FOREVER else f" to {context.when(earlier.end)}"
    error = CatalogError(
        f"Customer {customer!r} already has {subject} by subscription {earlier.subscription!r}, "
        f"from {context.when(earlier.start)}{until}.",
        hint="End one where the other starts, or make them phases of one subscription.",
        path=("phases", later.phase, "plan"),
    )
    return later.subscription, error
