"""PDF: A4 pages with the table's head on each, numbered, and byte-identical when made again."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from io import BytesIO
from textwrap import wrap
from typing import Any

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    LongTable,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

from billing_pipeline.invoicing.render.document import PaperDocument
from billing_pipeline.invoicing.render.formats import FALLBACK, Formats
from billing_pipeline.invoicing.render.ink import BOLD, PLAIN, Ink
from billing_pipeline.invoicing.render.sheet import Group, Row, Sheet, sheet

INK, SOFT, LINE, WARN, WASH = (HexColor(color) for color in ("#1a1d21", "#5b6470", "#dfe3e8", "#9a3412", "#fff7ed"))
MARK = Color(0.6, 0.2, 0.07, alpha=0.07)
_MARGIN, _FOOT = 18 * mm, 22 * mm
_WIDTH = A4[0] - 2 * _MARGIN


def _style(name: str, size: float, *, font: str = PLAIN, color: Color = INK, right: bool = False) -> ParagraphStyle:
    return ParagraphStyle(
        name, fontName=font, fontSize=size, leading=size * 1.38, textColor=color, alignment=TA_RIGHT if right else 0,
        splitLongWords=True,
    )  # fmt: skip


_HEADING = _style("heading", 19, font=BOLD, right=True)
_SELLER = _style("seller", 10, font=BOLD)
_BUYER = _style("buyer", 10.5, font=BOLD)
_TEXT, _FIGURE = _style("text", 8), _style("figure", 8, right=True)
_STRONG, _STRONG_FIGURE = _style("strong", 8, font=BOLD), _style("strong figure", 8, font=BOLD, right=True)
_SMALL, _SMALL_FIGURE = _style("small", 7, color=SOFT), _style("small figure", 7, color=SOFT, right=True)
_HEAD, _HEAD_FIGURE = (_style("head", 7, font=BOLD, color=SOFT), _style("head f", 7, font=BOLD, color=SOFT, right=True))
_FACT = ParagraphStyle("fact", parent=_HEAD, fontSize=7.5, leading=_TEXT.leading)
_DUE, _DUE_FIGURE = _style("due", 10.5, font=BOLD), _style("due figure", 10.5, font=BOLD, right=True)
_MARKED = _style("marked", 8, color=WARN)
_MOST_IN_FOOT = 60
_MOST, _MOST_IN_HEAD, _LINES_OF_ADDRESS = 500, 150, 15  # characters at once; lines
_MORE = Row("", "", "", "", "", "", "", detail=True)
_TIGHT = [("LEFTPADDING", (0, 0), (0, -1), 0), ("RIGHTPADDING", (-1, 0), (-1, -1), 0)]
_TOP = ("VALIGN", (0, 0), (-1, -1), "TOP")


def invoice_pdf(document: PaperDocument) -> bytes:
    """The document as a PDF file."""
    written = sheet(_readable(document))
    target = BytesIO()
    template = BaseDocTemplate(
        target, pagesize=A4, title=written.title, author=written.seller, subject=written.buyer,
        lang=written.words.language, invariant=1,
    )  # fmt: skip
    frame = Frame(_MARGIN, _FOOT, _WIDTH, A4[1] - _MARGIN - _FOOT, 0, 0, 0, 0)
    template.addPageTemplates(PageTemplate(frames=[frame]))
    template.build(_Setting(written).flowables(), canvasmaker=partial(_NumberedPages, sheet=written))
    return target.getvalue()


def _readable(document: PaperDocument) -> PaperDocument:
    """The document; where its customer's months cannot be printed, in English formats: a day must be legible."""
    ink, locale = Ink(""), Formats.of(document.buyer.locale).locale
    for month in locale.months["format"]["abbreviated"].values():
        ink.markup(month)
    return replace(document, buyer=replace(document.buyer, locale=FALLBACK)) if ink.missing else document


class _Setting:
    """Sets one sheet."""

    def __init__(self, written: Sheet) -> None:
        self._sheet, self._ink = written, Ink(written.locale.replace("-", "_"))
        detailed = len(written.columns) > 4  # noqa: PLR2004 - with a unit price
        shares = (0.31, 0.185, 0.195, 0.155, 0.155) if detailed else (0.40, 0.20, 0.24, 0.16)
        self._widths = [share * _WIDTH for share in shares]

    def flowables(self) -> list[Flowable]:
        """The sheet's parts from the head to the notes; what could not be printed is known only then."""
        written = [*self._head(), Spacer(0, 9 * mm)]
        if self._sheet.groups:
            written += [self._lines(), Spacer(0, 5 * mm)]
        written.append(KeepTogether([self._totals(), Spacer(0, 8 * mm)]))
        notes = [*self._sheet.notes, *([self._sheet.words.missing_note] if self._ink.missing else ())]
        return [*written, *(self._write(note, _SMALL) for note in notes)]

    def _write(self, text: str, style: ParagraphStyle) -> Paragraph:
        return Paragraph(self._ink.markup(text), style)

    def _head(self) -> Iterator[Flowable]:
        sheet = self._sheet
        address = [self._write(_short(line), _SMALL) for line in sheet.seller_lines[:_LINES_OF_ADDRESS]]
        seller = [self._write(_short(sheet.seller), _SELLER), *address]
        buyer = [self._write(sheet.words.bill_to, _HEAD), Spacer(0, 1 * mm), self._write(_short(sheet.buyer), _BUYER)]
        facts = Table(
            [[self._write(label, _FACT), self._write(_short(value), _TEXT)] for label, value in sheet.facts],
            colWidths=[0.205 * _WIDTH, 0.315 * _WIDTH],
            style=[_TOP, *_TIGHT, ("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 1)],
        )
        yield Table(
            [[seller, self._write(sheet.heading, _HEADING)], [buyer, facts]],
            colWidths=[0.48 * _WIDTH, 0.52 * _WIDTH],
            style=[_TOP, *_TIGHT, ("RIGHTPADDING", (1, 0), (1, -1), 0), ("TOPPADDING", (0, 1), (-1, 1), 8 * mm)],
        )
        if sheet.mark:
            yield Spacer(0, 6 * mm)
            marked = f"<b>{self._ink.markup(sheet.mark.upper())}</b>\u2003{self._ink.markup(sheet.mark_note)}"
            bar: list[Any] = [("BACKGROUND", (0, 0), (-1, -1), WASH), ("LINEBEFORE", (0, 0), (0, -1), 3, WARN)]
            yield Table(
                [[Paragraph(marked, _MARKED)]], colWidths=[_WIDTH], style=[*bar, ("LEFTPADDING", (0, 0), (0, 0), 9)]
            )

    def _lines(self) -> LongTable:
        columns = self._sheet.columns
        head = [self._write(name, _HEAD if at < 2 else _HEAD_FIGURE) for at, name in enumerate(columns)]  # noqa: PLR2004
        cells: list[list[Any]] = [head]
        style: list[Any] = [
            _TOP,
            *_TIGHT,
            ("LINEBELOW", (0, 0), (-1, 0), 0.9, INK),
            ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
        ]
        style += [("TOPPADDING", (0, 1), (-1, -1), 2.5), ("BOTTOMPADDING", (0, 1), (-1, -1), 3)]
        for group in self._sheet.groups:
            self._group(group, cells, style)
        return LongTable(cells, colWidths=self._widths, repeatRows=1, style=style)

    def _group(self, group: Group, cells: list[list[Any]], style: list[Any]) -> None:
        first, empty = len(cells), [""] * (len(self._widths) - 1)
        style += [("SPAN", (0, first), (-1, first)), ("TOPPADDING", (0, first), (-1, first), 10)]
        style.append(("NOSPLIT", (0, first), (0, first + 1)))  # a title never ends a page
        cells.append([self._write(_short(group.title), _STRONG), *empty])
        rows = [part for row in group.rows for part in _parts(row)]
        for at, row in enumerate(rows):
            line = len(cells)
            cells.append(self._row(row))
            last = at + 1 == len(rows) or not rows[at + 1].detail
            if last:
                style.append(("LINEBELOW", (0, line), (-1, line), 0.4, LINE))
            if row.detail:
                style += [("TOPPADDING", (0, line), (-1, line), 0), ("LEFTPADDING", (0, line), (0, line), 9)]
            if not last:
                style.append(("BOTTOMPADDING", (0, line), (-1, line), 1.5))
            if not last and not row.detail:
                style.append(("NOSPLIT", (0, line), (0, line + 1)))  # the first reason stays with its line
        if group.total:
            line = len(cells)
            name = self._write(self._sheet.words.sum_of.format(_short(group.title)), _STRONG)
            cells.append([name, *empty[:-1], self._write(group.total, _STRONG_FIGURE)])
            style += [("SPAN", (0, line), (-2, line)), ("NOSPLIT", (0, line - 1), (0, line))]

    def _row(self, row: Row) -> list[Any]:
        text, figure = (_SMALL, _SMALL_FIGURE) if row.detail else (_TEXT, _FIGURE)
        described: list[Flowable] = [self._write(row.description, text)]
        if row.small:
            described.append(self._write(row.small, _SMALL))
        unit = f' <font size="7" color="#5b6470">{self._ink.markup(row.unit)}</font>' if row.unit else ""
        quantity = Paragraph(self._ink.markup(row.quantity) + unit, figure) if row.quantity else ""
        price = [self._write(row.unit_price, figure)] if len(self._widths) > 4 else []  # noqa: PLR2004
        return [described, self._write(row.service, text), quantity, *price, self._write(row.amount, figure)]

    def _totals(self) -> Table:
        rows = [
            [self._write(_short(label), _TEXT), self._write(amount, _FIGURE)] for label, amount in self._sheet.totals
        ]
        label, amount = self._sheet.due
        rows.append([self._write(label, _DUE), self._write(amount, _DUE_FIGURE)])
        return Table(
            rows,
            colWidths=[0.3 * _WIDTH, 0.24 * _WIDTH],
            hAlign="RIGHT",
            style=[
                _TOP, *_TIGHT, ("LINEABOVE", (0, -1), (-1, -1), 0.9, INK), ("TOPPADDING", (0, -1), (-1, -1), 6),
                ("TOPPADDING", (0, 0), (-1, -2), 2.5), ("BOTTOMPADDING", (0, 0), (-1, -2), 2.5),
            ],
        )  # fmt: skip


def _parts(row: Row) -> Iterator[Row]:
    """A row, or where its words would fill a page, several: a table breaks only between rows."""
    texts = wrap(row.description, _MOST) or [""]
    smalls = wrap(row.small, _MOST) if row.small else []
    yield replace(row, description=texts[0], small=smalls[0] if smalls and len(texts) == 1 else "")
    rest = [replace(_MORE, description=text) for text in texts[1:]]
    yield from [*rest, *(replace(_MORE, description=text) for text in smalls[len(texts) == 1 :])]


def _short(text: str) -> str:
    """What stands where a page is not turned."""
    return text if len(text) <= _MOST_IN_HEAD else f"{text[:_MOST_IN_HEAD]}…"


class _NumberedPages(Canvas):
    """Pages are kept until all are there: each says how many there are."""

    def __init__(self, *args: Any, sheet: Sheet, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sheet, self._kept = sheet, list[dict[str, Any]]()

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        self._kept.append(dict(self.__dict__))
        self._startPage()  # type: ignore[attr-defined]

    def save(self) -> None:
        for number, page in enumerate(self._kept, start=1):
            self.__dict__.update(page)
            self._finish(number, len(self._kept))
            super().showPage()
        super().save()

    def _finish(self, number: int, pages: int) -> None:
        ink = Ink(self._sheet.locale.replace("-", "_"))
        foot = f"{self._sheet.seller[:_MOST_IN_FOOT]} · {self._sheet.title}"
        _draw(self, ink.markup(foot), _SMALL, _MARGIN, 0.75 * _WIDTH)
        page = self._sheet.words.page.format(number, pages)
        _draw(self, ink.markup(page), _SMALL_FIGURE, _MARGIN + 0.75 * _WIDTH, 0.25 * _WIDTH)
        if self._sheet.mark:
            self.saveState()
            self.translate(A4[0] / 2, A4[1] / 2)
            self.rotate(52)
            self.setFont(BOLD, 92)
            self.setFillColor(MARK)
            self.drawCentredString(0, -30, self._sheet.mark.upper())
            self.restoreState()


def _draw(canvas: Canvas, markup: str, style: ParagraphStyle, left: float, width: float) -> None:
    """One line in the foot; what is longer is cut by its first line."""
    written = Paragraph(markup, style)
    _, height = written.wrap(width, _FOOT)
    written.drawOn(canvas, left, 12 * mm + style.leading - height)
