"""An invoice as paper: PDF or HTML, by the seller's and the customer's data in force when it was cut off."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from billing_pipeline.catalog.catalog import Catalog
from billing_pipeline.catalog.customer import Exempt
from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.period import A_DAY, BillingCalendar
from billing_pipeline.core.plain_text import maybe_plain
from billing_pipeline.invoicing.render.document import Buyer, PaperDetail, PaperDocument, PaperLine, Seller
from billing_pipeline.ledger.reading import documents
from billing_pipeline.ledger.reading.aftermath import Aftermath, aftermath, change_at_cutoff
from billing_pipeline.ledger.reading.documents import KnownDocument
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.reading.explain import explain_invoice
from billing_pipeline.operations.reading.invoices import known_document
from billing_pipeline.rating.line import RatedLine

Form = Literal["pdf", "html"]
_ADJUSTMENT = re.compile(r"Adjustment of (\d{4}-\d\d-\d\d): ")


@dataclass(frozen=True, slots=True)
class RenderedInvoice:
    """One document as a file.

    Attributes:
        name: number or id.
        content: equal for equal documents, byte by byte.
    """

    name: str
    form: Form
    content: bytes

    @property
    def file_name(self) -> str:
        """What the file may be called: a number's own signs, without those that part folders."""
        safe = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in self.name)
        return f"{safe}.{self.form}"


def render_invoice(
    billing: Billing, name: str, *, form: Form = "pdf", details: bool = False, version: int | None = None
) -> RenderedInvoice:
    """Set one document on paper.

    Args:
        billing: the ledger.
        name: number or id.
        form: pdf or html.
        details: with the reasoning of each line.
        version: None for the newest.

    Raises:
        Refused: there is no such document, or it has no such version.
    """
    document = paper_document(billing, name, details=details, version=version)
    if form == "pdf":
        from billing_pipeline.invoicing.render.pdf import invoice_pdf

        return RenderedInvoice(document.name, form, invoice_pdf(document))
    from billing_pipeline.invoicing.render.html import invoice_html

    return RenderedInvoice(document.name, form, invoice_html(document).encode())


def paper_document(billing: Billing, name: str, *, details: bool = False, version: int | None = None) -> PaperDocument:
    """What stands on the document's paper."""
    with documents.snapshot(billing.ledger) as connection:
        document = known_document(connection, name, version)
        became = aftermath(connection, document.id)
        change = change_at_cutoff(connection, document.id)
        view = billing.view(
            connection, document.as_of_change if change is None else change, customers=[document.customer]
        )
    explained = explain_invoice(billing, name, version=version) if details else ()
    return _Paper(document, became, view, billing.calendar).document(explained, detailed=details)


@dataclass(frozen=True)
class _Paper:
    known: KnownDocument
    became: Aftermath
    view: CatalogView
    calendar: BillingCalendar

    def document(self, explained: Sequence[Mapping[str, Any]], *, detailed: bool) -> PaperDocument:
        document, catalog = self.known, self._catalog
        note, void = self.became.credits, self.became.void
        reasons = [tuple(_details(line["details"])) for line in explained] or [()] * len(document.lines)
        period = self.calendar.period(document.period.isoformat())
        return PaperDocument(
            name=document.number or str(document.id),
            number=document.number,
            status=document.status,
            kind=document.kind,
            version=document.version,
            seller=_seller(catalog),
            buyer=_buyer(catalog, document.customer),
            issue_date=document.issue_date,
            period=(period.first_day, period.next_day - A_DAY),
            currency=document.currency,
            lines=tuple(self._line(line, its) for line, its in zip(document.lines, reasons, strict=True)),
            subtotal=document.subtotal,
            credits_applied=document.credits_applied,
            total=document.total,
            customer_credit_applied=document.customer_credit_applied,
            amount_due=document.amount_due,
            corrects=note.credits if note else None,
            reason=note.reason if note else None,
            replaced_by=void.replaced_by if void else None,
            detailed=detailed,
        )

    @property
    def _catalog(self) -> Catalog:
        assert self.view.catalog is not None, "a document is computed from a catalog"  # noqa: S101
        return self.view.catalog

    def _line(self, line: RatedLine, details: tuple[PaperDetail, ...]) -> PaperLine:
        adjusts = self._adjusts(line) if line.kind == "adjustment" else None
        meter, unit = self._unit(line)
        return PaperLine(
            kind=line.kind,
            description=_own_words(line.description, adjusts, meter),
            product=self._catalog.products[line.product].name if line.product else None,
            price=line.price,
            service=(line.service_start, line.service_end) if line.service_start and line.service_end else None,
            dimensions=line.dimensions,
            quantity=line.quantity,
            unit=unit,
            amount=line.amount,
            adjusts=adjusts,
            details=details,
        )

    def _adjusts(self, line: RatedLine) -> tuple[date, date] | None:
        """The billing period that the description names: a fee's service period may be the one after it."""
        named = _ADJUSTMENT.match(line.description)
        day = date.fromisoformat(named[1]) if named else line.service_start
        period = self.calendar.period_of(self.calendar.midnight(day)) if day else None
        return (period.first_day, period.next_day - A_DAY) if period else None

    def _unit(self, line: RatedLine) -> tuple[str, str]:
        """The meter's unit, and what the quantity counts after conversion: ``× 1000 GB-s``."""
        if "usage" not in {line.kind, line.adjusts} or line.plan is None or line.plan_version is None:
            return "", ""
        price = self.view.plan_versions[line.plan, line.plan_version].price(line.price or "")
        meter = self._catalog.meters[price.meter]
        divisors = [
            conversion.divide_by
            for conversion in (meter.convert, price.convert)
            if conversion and conversion.divide_by != 1
        ]
        return meter.unit, " ".join([*(f"× {maybe_plain(divisor)}" for divisor in divisors), meter.unit]).strip()


def _own_words(description: str, adjusts: tuple[date, date] | None, unit: str) -> str:
    """The description without what stands beside it on paper: the period adjusted, and the unit."""
    if adjusts:
        description = _ADJUSTMENT.sub("", description)
    return description.replace(f" ({unit})", "", 1) if unit else description


def _seller(catalog: Catalog) -> Seller:
    account = catalog.account
    return Seller(account.name, tuple(filter(None, map(str.strip, account.address.splitlines()))), account.tax_id)


def _buyer(catalog: Catalog, customer: str) -> Buyer:
    buyer = catalog.customers[customer]
    return Buyer(buyer.id, buyer.name, buyer.locale, buyer.tax.exempt if isinstance(buyer.tax, Exempt) else None)


def _details(explained: Sequence[Mapping[str, Any]]) -> Iterator[PaperDetail]:
    for detail in explained:
        unit_amount = None if detail["unit_amount"] is None else Decimal(detail["unit_amount"])
        yield PaperDetail(detail["description"], Decimal(detail["quantity"]), unit_amount, Decimal(detail["amount"]))
