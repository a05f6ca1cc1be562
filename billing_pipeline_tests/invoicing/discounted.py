"""What discount tests share: acme's discounts as catalog text, and lines to lower, written short."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.money import Money, from_major
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.discounts import discount_lines
from billing_pipeline.rating.line import LineKind, RatedLine
from billing_pipeline_tests.terms import BASE, JANUARY, UTC_MONTHS, terms_of

Based = tuple[str, RatedLine]  # document and line


def january(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


def discounts(*written: str, currency: str = "USD", rounding: str = "half_up") -> Terms:
    """Terms with discounts d1, d2, …; each holds from 1 January unless it says so: ``percent: 10, prices: [api]``."""
    base = BASE.replace("{id: acme}", f"{{id: acme, currency: {currency}}}")
    listed = [
        f"  - {{id: d{number}, customer: acme, {'' if 'start:' in one else 'start: 2026-01-01, '}{one}}}"
        for number, one in enumerate(written, start=1)
    ]
    return terms_of("\n".join(["discounts:", *listed]), base=base, account=f", rounding: {rounding}")


def base(amount: str, place: str = "closing", *, currency: str = "USD", **given: Any) -> Based:
    """A usage line of January, priced by ``api`` in acme's only phase unless it says so."""
    return place, _USAGE._replace(amount=from_major(Decimal(amount), currency), **given)


_USAGE = RatedLine(
    kind=LineKind.USAGE,
    subscription="s",
    plan="basic",
    plan_version=1,
    price="api",
    product=None,
    description="api",
    service_start=date(2026, 1, 1),
    service_end=date(2026, 2, 1),
    dimensions={},
    quantity=None,
    amount=Money(0, "USD"),
    phase_start=january(1),
    start=january(1),
)


def taken(terms: Terms, *bases: Based, period: BillingPeriod = JANUARY) -> list[tuple[str, str, str]]:
    """Document, discount and amount of each discount line."""
    return [
        (place, line.description.split()[1], str(line.amount))
        for place, line in discount_lines(terms, UTC_MONTHS, period, bases)
    ]
