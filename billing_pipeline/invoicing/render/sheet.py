"""An invoice, written: every figure, day and word as it stands on paper, for whatever sets it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from billing_pipeline.core.money import Money
from billing_pipeline.invoicing.document import DocumentStatus
from billing_pipeline.invoicing.render.document import PaperDetail, PaperDocument, PaperLine
from billing_pipeline.invoicing.render.formats import Formats
from billing_pipeline.invoicing.render.labels import Labels, labels


@dataclass(frozen=True, slots=True)
class Row:
    """One line, or one reason inside a line. ``small`` stands below its description."""

    description: str
    small: str
    service: str
    quantity: str
    unit: str
    unit_price: str
    amount: str
    detail: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Lines that belong together. ``total``: their sum, where there are several."""

    title: str
    rows: tuple[Row, ...]
    total: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A document as it is read.

    Attributes:
        language: of the words, for screen readers.
        title: the document's kind and number.
        mark: DRAFT or VOID in the document's language, or nothing.
        mark_note: what the mark means.
        facts: (label, value) of the head.
        columns: heads of the columns; the unit price only where lines have details.
        totals: (label, amount) below the lines.
        due: the label and amount that matter most.
    """

    words: Labels
    locale: str
    title: str
    heading: str
    mark: str
    mark_note: str
    seller: str
    seller_lines: tuple[str, ...]
    buyer: str
    facts: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    totals: tuple[tuple[str, str], ...]
    due: tuple[str, str]
    notes: tuple[str, ...]


def sheet(document: PaperDocument) -> Sheet:
    """The document in its customer's language and formats."""
    formats = Formats.of(document.buyer.locale)
    words = labels(formats.locale.language)
    return _Writer(document, formats, words).sheet()


@dataclass(frozen=True)
class _Writer:
    document: PaperDocument
    formats: Formats
    words: Labels

    def sheet(self) -> Sheet:
        document, words = self.document, self.words
        heading = words.credit_note if document.kind == "credit_note" else words.invoice
        marks: dict[str, str] = {DocumentStatus.DRAFT: words.draft, DocumentStatus.VOID: words.void}
        tax_id = (words.tax_id.format(document.seller.tax_id),) if document.seller.tax_id else ()
        return Sheet(
            words=words,
            locale=self.formats.language,
            title=f"{heading} {document.name}",
            heading=heading,
            mark=marks.get(document.status, ""),
            mark_note=self._mark_note(),
            seller=document.seller.name,
            seller_lines=(*document.seller.address, *tax_id),
            buyer=document.buyer.name,
            facts=tuple(self._facts()),
            columns=tuple(self._columns()),
            groups=tuple(self._groups()),
            totals=tuple(self._totals()),
            due=(words.due, self.formats.money(document.amount_due)),
            notes=tuple(self._notes()),
        )

    def _mark_note(self) -> str:
        document, words = self.document, self.words
        if document.status == DocumentStatus.VOID:
            return words.replaced_note.format(document.replaced_by) if document.replaced_by else words.void_note
        return words.draft_note if document.status == DocumentStatus.DRAFT else ""

    def _facts(self) -> Iterator[tuple[str, str]]:
        document, words = self.document, self.words
        if document.number:
            yield words.number, document.number
        yield words.issue_date, self.formats.day(document.issue_date)
        yield words.period, self.formats.period(*document.period)
        yield words.kind, words.kinds[document.kind]
        if document.corrects:
            yield words.corrects, document.corrects
        if document.reason:
            yield words.reason, document.reason
        yield words.customer, document.buyer.id
        if document.status == DocumentStatus.DRAFT:
            yield words.version, str(document.version)

    def _columns(self) -> Iterator[str]:
        words = self.words
        yield from (words.description, words.service, words.quantity)
        if self.document.detailed:
            yield words.unit_price
        yield words.amount.format(self.document.currency)

    def _groups(self) -> Iterator[Group]:
        """Lines by what they are for, in the document's order; taxes stand with the totals."""
        lines = [line for line in self.document.lines if line.kind != "tax"]
        for (_, title), together in groupby(sorted(lines, key=self._place), key=self._place):
            yield self._group(title, list(together))

    def _place(self, line: PaperLine) -> tuple[tuple[int, str], str]:
        words = self.words
        if line.kind == "usage":
            return (1, line.product or ""), line.product or words.usage
        if line.kind == "adjustment" and line.adjusts:
            return (4, line.adjusts[0].isoformat()), words.adjustments.format(self.formats.period(*line.adjusts))
        place, title = {
            "fee": (0, words.fees),
            "true_up": (2, words.true_ups),
            "discount": (3, words.discounts),
            "credit": (5, words.credits),
        }.get(line.kind, (6, words.others))
        return (place, ""), title

    def _group(self, title: str, lines: Sequence[PaperLine]) -> Group:
        several = len({line.price for line in lines if line.kind == "usage"}) > 1
        rows = [row for line in lines for row in self._rows(line, named=several)]
        total = self._sum(line.amount for line in lines) if len(lines) > 1 else ""
        return Group(title, tuple(rows), total)

    def _sum(self, amounts: Iterable[Money]) -> str:
        return self.formats.figure(Money(sum(amount.minor for amount in amounts), self.document.currency))

    def _rows(self, line: PaperLine, *, named: bool) -> Iterator[Row]:
        formats = self.formats
        small = [line.price] if named and line.price else []
        small += [f"{name}:\u00a0{value}" for name, value in sorted(line.dimensions.items())]
        yield Row(
            description=line.description,
            small=" · ".join(small),
            service=formats.span(*line.service) if line.service else "",
            quantity="" if line.quantity is None else formats.quantity(line.quantity),
            unit="" if line.quantity is None else line.unit,
            unit_price="",
            amount=formats.figure(line.amount),
        )
        for detail in line.details:
            yield self._detail(detail)

    def _detail(self, detail: PaperDetail) -> Row:
        formats, currency = self.formats, self.document.currency
        return Row(
            description=detail.description,
            small="",
            service="",
            quantity=formats.quantity(detail.quantity),
            unit="",
            unit_price="" if detail.unit_amount is None else formats.exact(detail.unit_amount, currency),
            amount=formats.exact(detail.amount, currency),
            detail=True,
        )

    def _totals(self) -> Iterator[tuple[str, str]]:
        document, words, formats = self.document, self.words, self.formats
        yield words.subtotal, formats.money(document.subtotal)
        if document.credits_applied.minor:
            yield words.credits_applied, formats.money(-document.credits_applied)
        taxes = [line for line in document.lines if line.kind == "tax"]
        for line in taxes:
            yield line.description, formats.money(line.amount)
        if not taxes and document.buyer.exempt:
            yield words.exempt.format(document.buyer.exempt), formats.money(Money(0, document.currency))
        yield words.total, formats.money(document.total)
        if document.customer_credit_applied.minor:
            yield words.customer_credit, formats.money(-document.customer_credit_applied)

    def _notes(self) -> Iterator[str]:
        if not self.document.lines:
            yield self.words.no_lines
        if self.document.total.minor < 0:
            yield self.words.negative_note
        if self.document.detailed:
            yield self.words.details_note
