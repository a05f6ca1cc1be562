"""The reasoning of an invoice's lines: tiers, packages, free units. Computed when asked, from what is recorded.

A document names the catalog change it was computed from, and each line its plan version, quantity and dimensions: the
same rules over the same terms give the same amount, with its reasons.
"""

from collections.abc import Iterator, Mapping

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger import known_documents
from billing_pipeline.ledger.known_documents import KnownDocument
from billing_pipeline.ledger.known_lines import KnownLine
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.invoice_json import Json
from billing_pipeline.operations.invoices import known_document
from billing_pipeline.operations.written import day, plain
from billing_pipeline.rating.detail import LineDetail
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
    return [_explained(one, line, pricings) for line in one.lines]


def _explained(document: KnownDocument, line: KnownLine, pricings: list[Pricing]) -> Json:
    details = list(_details(line, _pricing_of(line, pricings))) if line.kind == "usage" else []
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


def _details(line: KnownLine, pricing: Pricing) -> Iterator[Mapping[str, object]]:
    assert line.quantity is not None, "a usage line has a quantity"  # noqa: S101
    charge = pricing.charge(line.quantity, line.dimensions)
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
