"""The line that states on a document what a discount takes: it has what the lines that it lowers have in common."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from billing_pipeline.catalog.discount import Discount
from billing_pipeline.core.money import EXACT, Money, from_major
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.rating.line import LineKind, RatedLine

T = TypeVar("T")


def discount_line(discount: Discount, amount: Money, lines: Sequence[RatedLine], period: BillingPeriod) -> RatedLine:
    """The line of one discount on one document.

    Args:
        discount: its id stands in the description, by which versions of a document are compared.
        amount: what it takes, greater than zero.
        lines: those that it applies to.
        period: the service period.
    """
    plan, plan_version = _common((line.plan, line.plan_version) for line in lines) or (None, None)
    return RatedLine(
        kind=LineKind.DISCOUNT,
        subscription=_common(line.subscription for line in lines),
        plan=plan,
        plan_version=plan_version,
        price=discount.prices[0] if len(discount.prices) == 1 else None,
        product=None,
        description=f"Discount {discount.id} ({_words(discount, amount.currency)})",
        service_start=min(line.service_start for line in lines if line.service_start),
        service_end=max(line.service_end for line in lines if line.service_end),
        dimensions={},
        quantity=None,
        amount=-amount,
        start=max(discount.start, period.start),
    )


def _common(values: Iterable[T]) -> T | None:
    """The one value that all have."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


def _words(discount: Discount, currency: str) -> str:
    if discount.percent is not None:
        return f"{EXACT.normalize(discount.percent):f}%"
    assert discount.amount is not None, "a discount is a percentage or an amount"  # noqa: S101
    return f"{from_major(discount.amount, currency)} {currency}"
