"""The reasoning of an invoice's lines: tiers, packages, free units. Computed when asked, from what is recorded.

A document names the catalog change it was computed from, and each line its plan version, quantity and dimensions: the
same rules over the same terms give the same amount, with its reasons. Single events are no part of a line: they are
measured again, as of the batch that the document names.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger import known_documents
from billing_pipeline.ledger.known_documents import KnownDocument
from billing_pipeline.ledger.known_lines import KnownLine
from billing_pipeline.metering.segments import Segment, segments
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.invoice_json import Json
from billing_pipeline.operations.invoices import known_document
from billing_pipeline.operations.metering import meter_customers
from billing_pipeline.operations.work import Work
from billing_pipeline.operations.written import day, plain
from billing_pipeline.rating.detail import LineDetail
from billing_pipeline.rating.line import MeteredQuantity
from billing_pipeline.rating.pricing import Pricing, end_day


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
    with known_documents.snapshot(billing.ledger) as connection:
        one = known_document(connection, name, version)
        view = billing.view(connection, one.as_of_change, customers=[one.customer])
        terms = view.terms(one.customer)
        period = billing.calendar.period(one.period.isoformat())
        pricings = [Pricing.of(terms, segment, billing.calendar) for segment in segments(terms, period)]
        events = _Events({})
        if any(pricing.price.needs != "quantity" for pricing in pricings):
            work = Work(billing, connection, period, (one.code % billing.facts.buckets,))
            metering = meter_customers(work, view, {one.customer: one.code}, one.as_of_batch, one.recorded_at)
            events = _Events.of(metering.quantities.get(one.customer, ()))
    return [_explained(one, line, pricings, events) for line in one.lines]


@dataclass(frozen=True, slots=True)
class _Events:
    """What is known of single events, by segment, its start and its end, and dimension values."""

    measures: Mapping[tuple[object, ...], tuple[Decimal, ...] | None]

    @classmethod
    def of(cls, quantities: Iterable[MeteredQuantity]) -> "_Events":
        """From what was measured."""
        return cls(
            {(one.segment, one.start, one.cut, frozenset(one.dimensions.items())): one.measures for one in quantities}
        )

    def behind(self, line: KnownLine, segment: Segment) -> tuple[Decimal, ...] | None:
        """The measures that a line prices."""
        return self.measures.get((segment.key, segment.start, segment.end, frozenset(line.dimensions.items())))


def _explained(document: KnownDocument, line: KnownLine, pricings: list[Pricing], events: _Events) -> Json:
    details = list(_details(line, _pricing_of(line, pricings), events)) if line.kind == "usage" else []
    return {
        "kind": line.kind,
        "description": line.description,
        "service_period": {"start": day(line.service_start), "end": day(line.service_end)},
        "dimensions": dict(line.dimensions),
        "quantity": plain(line.quantity),
        "amount": str(line.amount),
        "currency": document.currency,
        "details": details,
    }


def _pricing_of(line: KnownLine, pricings: list[Pricing]) -> Pricing:
    """The segment that a line prices: subscription, plan, price and days name it."""
    for pricing in pricings:
        segment, calendar = pricing.segment, pricing.calendar
        same = (
            segment.subscription == line.subscription
            and (segment.plan.id, segment.plan.version, segment.price.id) == (line.plan, line.plan_version, line.price)
            and calendar.local_day(segment.start) == line.service_start
            and end_day(segment.end, calendar) == line.service_end
        )
        if same:
            return pricing
    raise LedgerError(
        f"The terms of price {line.price!r} as recorded then are not found.",
        hint="This is a fault of the program; the invoice itself stands.",
    )


def _details(line: KnownLine, pricing: Pricing, events: _Events) -> Iterator[Mapping[str, object]]:
    assert line.quantity is not None, "a usage line has a quantity"  # noqa: S101
    charge = pricing.charge(line.quantity, line.dimensions, events.behind(line, pricing.segment))
    if pricing.round(charge.amount) != line.amount:
        raise LedgerError(
            f"The line {line.description!r} was billed at {line.amount}; this version of the program makes it "
            f"{pricing.round(charge.amount)}.",
            hint="Install the version that the invoice names to see its reasons.",
        )
    for detail in charge.details:
        yield _written(detail)


def _written(detail: LineDetail) -> Mapping[str, object]:
    return {
        "description": detail.description,
        "quantity": plain(detail.quantity),
        "unit_amount": plain(detail.unit_amount),
        "amount": plain(detail.amount),
    }
