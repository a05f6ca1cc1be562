"""The reasoning of an invoice's lines: tiers, packages, free units, bounds, days. Computed when asked, as recorded.

A document names the catalog change it was computed from, and each line its plan version, quantity and dimensions: the
same rules over the same terms give the same amount, with its reasons. Single events are no part of a line: they are
measured again, as of the batch that the document names.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce
from itertools import pairwise

from billing_pipeline.catalog.terms import CatalogView, Terms
from billing_pipeline.core.errors import LedgerError
from billing_pipeline.core.money import EXACT, Money, round_amount
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.core.plain_json import Json, fields_json
from billing_pipeline.core.plain_text import day, plain
from billing_pipeline.invoicing.assemble import segment_key
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import on_demand
from billing_pipeline.ledger.reading import documents
from billing_pipeline.ledger.reading.documents import KnownDocument
from billing_pipeline.metering.segments import Segment, segments
from billing_pipeline.operations.closing.measure_customers import meter_customers
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.reading.invoices import known_document
from billing_pipeline.operations.unit import Work
from billing_pipeline.rating.cost import Cost, cost_between
from billing_pipeline.rating.fees.fees import fee_detail
from billing_pipeline.rating.line import LineDetail, MeteredQuantity, RatedLine
from billing_pipeline.rating.on_demand import invoiced_detail, on_demand_price
from billing_pipeline.rating.pricing import Pricing
from billing_pipeline.rating.tiers import ZERO


def explain_invoice(billing: Billing, name: str, *, version: int | None = None) -> list[Json]:
    """Each line of a document with its details, in the document's order.

    Args:
        billing: the ledger.
        name: number or id.
        version: None for the newest.

    Raises:
        Refused: there is no such document or version.
        LedgerError: the details do not come to what was billed: another version of the program computed it.
    """
    with documents.snapshot(billing.ledger) as connection:
        document = known_document(connection, name, version)
        view = billing.view(connection, document.as_of_change, customers=[document.customer])
        terms = view.terms(document.customer)
        period = billing.calendar.period(document.period.isoformat())
        if document.kind == "on_demand":
            return _window(connection, document, view, terms)
        pricings = [Pricing.of(terms, segment, billing.calendar) for segment in segments(terms, period)]
        events = _Events({})
        if any(pricing.price.needs != "quantity" for pricing in pricings):
            work = Work(billing, connection, period, (billing.facts.bucket_of(document.code),))
            metering = meter_customers(
                work, view, {document.customer: document.code}, document.as_of_batch, document.recorded_at
            )
            events = _Events.of(metering.quantities.get(document.customer, ()))
    reasons: dict[int, Sequence[LineDetail]] = {}
    for place, line in enumerate(document.lines):
        if line.kind == "fee":
            reasons[place] = _fee(line, view, terms, billing.calendar)
        elif line.kind == "true_up":
            reasons[place] = bound_details(line, document.lines, pricings)
    return [
        _explained(document, place, pricings, events, reasons.get(place, ())) for place in range(len(document.lines))
    ]


def _window(connection: Connection, document: KnownDocument, view: CatalogView, terms: Terms) -> list[Json]:
    """The lines of a window: what all of the phase costs by now, and what windows before invoiced of it."""
    came = {(*one.kept.key, one.kept.dimensions): one for one in on_demand.of_document(connection, document.id)}
    explained = []
    for place, line in enumerate(document.lines):
        details: Sequence[LineDetail] = ()
        if line.kind == "usage":
            key = segment_key(line)
            one = came[(*key, tuple(sorted(line.dimensions.items())))]
            plan = view.plan_versions[line.plan or "", line.plan_version or 0]
            price = on_demand_price(terms, plan.price(key.price))
            before = Money(one.invoiced_before, document.currency).amount
            details = (*price.reasons(one.kept.quantity, one.kept.due, line.dimensions), invoiced_detail(before))
        explained.append(_explained(document, place, [], _Events({}), details, priced=False))
    return explained


def _fee(line: RatedLine, view: CatalogView, terms: Terms, calendar: BillingCalendar) -> Sequence[LineDetail]:
    """A fee's quantity and days. Raises LedgerError where they do not come to what was billed."""
    assert line.subscription, "a fee names its subscription"  # noqa: S101
    assert line.service_start, "a fee says from when it pays"  # noqa: S101
    assert line.service_end, "a fee says until when it pays"  # noqa: S101
    plan = view.plan_versions[line.plan or "", line.plan_version or 0]
    fee = next(fee for fee in plan.fees if fee.id == line.price)
    service = line.service_start, line.service_end
    detail = fee_detail(terms, calendar, line.subscription, fee, service, line.quantity or ZERO)
    computed = round_amount(detail.amount, plan.currency, terms.account.rounding)
    if computed != line.amount:
        raise _billed_otherwise("fee", line, str(computed))
    return (detail,)


@dataclass(frozen=True, slots=True)
class _Events:
    """What is known of single events, by segment, its start and its end, and dimension values."""

    measures: Mapping[tuple[object, ...], tuple[Decimal, ...] | None]

    @classmethod
    def of(cls, quantities: Iterable[MeteredQuantity]) -> "_Events":
        """The measures of these quantities."""
        return cls(
            {
                (
                    quantity.segment,
                    quantity.start,
                    quantity.cut,
                    frozenset(quantity.dimensions.items()),
                ): quantity.measures
                for quantity in quantities
            }
        )

    def until(self, cut: datetime, segment: Segment, dimensions: Mapping[str, str]) -> tuple[Decimal, ...] | None:
        """All measures of a segment until one of its cuts; none where nothing was measured by then."""
        values = frozenset(dimensions.items())
        for at in reversed([point for point in segment.cuts if point <= cut]):
            if (segment.key, segment.start, at, values) in self.measures:
                return self.measures[segment.key, segment.start, at, values]
        return ()


def _explained(
    document: KnownDocument,
    place: int,
    pricings: list[Pricing],
    events: _Events,
    reasons: Sequence[LineDetail],
    *,
    priced: bool = True,
) -> Json:
    line, earlier = document.lines[place], document.lines[:place]
    cost = _cost(line, earlier, pricings, events) if priced and line.kind == "usage" else None
    return {
        **fields_json(line, "kind", "description"),
        "service_period": {"start": day(line.service_start), "end": day(line.service_end)},
        **fields_json(line, "dimensions", "quantity", "amount"),
        "currency": document.currency,
        "details": [
            fields_json(detail, "description", "quantity", "unit_amount", "amount")
            for detail in (cost.details if cost else reasons)
        ],
    }


def _cost(line: RatedLine, earlier: Sequence[RatedLine], pricings: list[Pricing], events: _Events) -> Cost:
    """What a line's part of its segment costs, more than what came before: subscription, plan, price and days name it.

    Raises:
        LedgerError: that is not what was billed.
    """
    priced = [
        (pricing, _cost_between(line, earlier, pricing, start, cut, events))
        for pricing in pricings
        if _named(line) == (pricing.segment.subscription, *_identity(pricing))
        for start, cut in pairwise((pricing.segment.start, *pricing.segment.cuts))
        if pricing.service(start, cut) == (line.service_start, line.service_end)
    ]
    if not priced:
        raise LedgerError(
            f"The terms of price {line.price!r} as recorded then are not found.",
            hint="This is a fault of the program; the invoice itself stands.",
        )
    for pricing, cost in priced:  # two parts may lie in the same days
        if pricing.round(cost.amount) == line.amount:
            return cost
    pricing, cost = priced[0]
    raise _billed_otherwise("line", line, str(pricing.round(cost.amount)))


def _named(line: RatedLine) -> tuple[object, ...]:
    return line.subscription, line.plan, line.plan_version, line.price


def _identity(pricing: Pricing) -> tuple[object, ...]:
    return pricing.segment.plan.id, pricing.segment.plan.version, pricing.segment.price.id


def _cost_between(
    line: RatedLine, earlier: Sequence[RatedLine], pricing: Pricing, start: datetime, cut: datetime, events: _Events
) -> Cost:
    """What the quantity until the cut costs, less what that until the start did; a document has all lines of both."""
    assert line.quantity is not None, "a usage line has a quantity"  # noqa: S101
    segment, dimensions = pricing.segment, line.dimensions
    first_day = pricing.calendar.local_day(segment.start)
    same = [
        former.quantity or ZERO
        for former in earlier
        if (former.kind, *_named(former), former.dimensions) == (line.kind, *_named(line), dimensions)
        and former.service_start is not None
        and former.service_start >= first_day
    ]
    before = reduce(EXACT.add, same, ZERO)
    whole = pricing.cost(EXACT.add(before, line.quantity), dimensions, events.until(cut, segment, dimensions))
    if start == segment.start:
        return whole
    return cost_between(pricing.cost(before, dimensions, events.until(start, segment, dimensions)), whole)


def bound_details(line: RatedLine, beside: Sequence[RatedLine], pricings: Sequence[Pricing]) -> tuple[LineDetail, ...]:
    """Why a true-up line comes to its amount.

    Args:
        line: a price's true-up, or a plan's, which looks at other documents, too.
        beside: all lines of its document; a price's true-up stands beside what it looks at.
        pricings: of the customer's segments of the period, on the terms that the document names.

    Raises:
        LedgerError: the bound as recorded does not make it what was billed.
    """
    matching = [pricing for pricing in pricings if _is_of(line, pricing)]
    name = "minimum" if line.amount.minor > 0 else "maximum"
    for pricing in matching:
        whole: Decimal | None = getattr(pricing.segment.price if line.price else pricing.segment.plan, name)
        if whole is None:
            continue
        bound = pricing.round(pricing.part_of(whole))
        counted = bound - line.amount
        if line.price is None or len(matching) > 1 or counted == _sum(line, beside):
            is_part = bound.amount != whole
            described = f"{name} spend, its days' part of {plain(whole)}" if is_part else f"{name} spend"
            return (
                LineDetail(described, Decimal(1), None, bound.amount),
                LineDetail("usage" if line.price else "usage and arrears", Decimal(1), None, -counted.amount),
            )
    raise _billed_otherwise("line", line, "another")


def _billed_otherwise(what: str, line: RatedLine, computed: str) -> LedgerError:
    return LedgerError(
        f"The {what} {line.description!r} was billed at {line.amount}; "
        f"this version of the program makes it {computed}.",
        hint="Install the version that the invoice names to see its reasons.",
    )


def _is_of(line: RatedLine, pricing: Pricing) -> bool:
    segment = pricing.segment
    return (
        (line.subscription, line.plan, line.plan_version)
        == (segment.subscription, segment.plan.id, segment.plan.version)
        and line.price in {None, segment.price.id}
        and pricing.service(segment.start, segment.end) == (line.service_start, line.service_end)
    )


def _sum(line: RatedLine, beside: Sequence[RatedLine]) -> Money:
    """What the usage lines of a true-up's price and days come to."""
    total = Money(0, line.amount.currency)
    for other in beside:
        named = other.kind, other.subscription, other.plan, other.plan_version, other.price
        if named == ("usage", line.subscription, line.plan, line.plan_version, line.price) and _lies_in(other, line):
            total += other.amount
    return total


def _lies_in(other: RatedLine, line: RatedLine) -> bool:
    assert other.service_start, "usage has days"  # noqa: S101
    assert other.service_end, "usage has days"  # noqa: S101
    assert line.service_start, "a true-up has days"  # noqa: S101
    assert line.service_end, "a true-up has days"  # noqa: S101
    return line.service_start <= other.service_start and other.service_end <= line.service_end
