"""The reasoning of a true-up line: its bound, and what the lines that it looks at come to."""

from collections.abc import Sequence
from decimal import Decimal

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.core.money import Money
from billing_pipeline.ledger.reading.lines import KnownLine
from billing_pipeline.rating.detail import LineDetail, plain
from billing_pipeline.rating.pricing import Pricing

ONE = Decimal(1)


def bound_details(line: KnownLine, beside: Sequence[KnownLine], pricings: Sequence[Pricing]) -> tuple[LineDetail, ...]:
    """Why a true-up line comes to its amount.

    Args:
        line: a price's true-up, or a plan's, which looks at other documents, too.
        beside: all lines of its document; a price's true-up stands beside what it looks at.
        pricings: of the customer's segments of the period, on the terms that the document names.

    Raises:
        LedgerError: the bound as recorded does not make it what was billed.
    """
    found = [one for one in pricings if _is_of(line, one)]
    name = "minimum" if line.amount.minor > 0 else "maximum"
    for pricing in found:
        whole: Decimal | None = getattr(pricing.segment.price if line.price else pricing.segment.plan, name)
        if whole is None:
            continue
        bound = pricing.round(pricing.part_of(whole))
        counted = bound - line.amount
        if line.price is None or len(found) > 1 or counted == _sum(line, beside):
            is_part = bound.amount != whole
            described = f"{name} spend, its days' part of {plain(whole)}" if is_part else f"{name} spend"
            return (
                LineDetail(described, ONE, None, bound.amount),
                LineDetail("usage" if line.price else "usage and arrears", ONE, None, -counted.amount),
            )
    raise LedgerError(
        f"The line {line.description!r} was billed at {line.amount}; this version of the program makes it another.",
        hint="Install the version that the invoice names to see its reasons.",
    )


def _is_of(line: KnownLine, pricing: Pricing) -> bool:
    segment = pricing.segment
    return (
        (line.subscription, line.plan, line.plan_version)
        == (segment.subscription, segment.plan.id, segment.plan.version)
        and line.price in {None, segment.price.id}
        and pricing.service(segment.start, segment.end) == (line.service_start, line.service_end)
    )


def _sum(line: KnownLine, beside: Sequence[KnownLine]) -> Money:
    """What the usage lines of a true-up's price and days come to."""
    total = Money(0, line.amount.currency)
    for one in beside:
        named = one.kind, one.subscription, one.plan, one.plan_version, one.price
        if named == ("usage", line.subscription, line.plan, line.plan_version, line.price) and _lies_in(one, line):
            total += one.amount
    return total


def _lies_in(one: KnownLine, line: KnownLine) -> bool:
    assert one.service_start, "usage has days"  # noqa: S101
    assert one.service_end, "usage has days"  # noqa: S101
    assert line.service_start, "a true-up has days"  # noqa: S101
    assert line.service_end, "a true-up has days"  # noqa: S101
    return line.service_start <= one.service_start and one.service_end <= line.service_end
