"""The report of one period as one HTML file: what it comes to, what changed and why, and what is in its way."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from billing_pipeline.core.money import Money
from billing_pipeline.core.period import A_DAY, BillingPeriod
from billing_pipeline.invoicing.render import plots
from billing_pipeline.invoicing.render.formats import Formats
from billing_pipeline.invoicing.render.html import environment
from billing_pipeline.invoicing.render.revenue import Product, Sold, by_currency

_DRAWN = 7  # products by name in a plot; the rest together
_REST = "Other products"

Cells = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What a report says of a period. Rows name their columns; amounts are money.

    Attributes:
        state: open, in grace or locked.
        as_of: when it was read, with the last batch and catalog change then.
        totals: of all documents that are not void, one a currency.
        sold: the lines of the documents, by product and service period.
        changed: (documents, difference) by currency.
        waiting: what due documents wait for, in a sentence.
        ended: where every row of usage ended.
    """

    seller: str
    period: BillingPeriod
    zone: ZoneInfo
    state: str
    as_of: tuple[datetime, int, int]
    documents: int
    final: int
    totals: Sequence[Money]
    by_status: Cells
    sold: Sequence[Sold]
    changed: Sequence[tuple[int, Money]]
    changes: Cells
    movers: Cells
    held: Cells
    awaited: Cells
    waiting: str
    due: Cells
    next_lock: datetime | None
    ended: Mapping[str, object]
    sources: Cells


@dataclass(frozen=True, slots=True)
class Grid:
    """A table, written. ``figures``: indexes of columns of figures."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figures: frozenset[int]


@dataclass(frozen=True, slots=True)
class Shown:
    """The revenue of one currency."""

    currency: str
    daily: str
    products: str
    table: Grid
    undrawn: str


def period_html(facts: ReportFacts) -> str:
    """The report as one HTML file."""
    return environment().get_template("period.html").render(report=_Report(facts))


@dataclass(frozen=True)
class _Report:
    """What the template asks for."""

    facts: ReportFacts

    @property
    def formats(self) -> Formats:
        return Formats.of(None)

    @property
    def title(self) -> str:
        return self.formats.period(self.facts.period.first_day, self.facts.period.next_day - A_DAY)

    @property
    def as_of(self) -> str:
        at, batch, change = self.facts.as_of
        return f"{self.moment(at)}, through batch {batch} and catalog change {change}"

    @property
    def key_figures(self) -> Iterator[tuple[str, str]]:
        facts = self.facts
        for total in facts.totals:
            yield f"Total {total.currency}", self.formats.money(total)
        yield "Documents", self.cell(facts.documents)
        yield "Final", self.cell(facts.final)
        yield "With several versions", self.cell(sum(count for count, _ in facts.changed))

    @property
    def changed_words(self) -> str:
        return "; ".join(
            f"{self.cell(count)} document{'' if count == 1 else 's'} by {self.formats.money(difference)} in all"
            for count, difference in self.facts.changed
        )

    @property
    def revenue(self) -> Iterator[Shown]:
        revenue = by_currency(self.facts.sold)
        together = {currency: _together(products, currency) for currency, products in revenue.items()}
        colors = plots.colors(product.name for drawn in together.values() for product in drawn)
        for currency, products in revenue.items():
            yield self._shown(currency, products, together[currency], colors)

    def grid(self, rows: Cells) -> Grid:
        """Rows as they are read; columns of figures to the right."""
        columns = tuple(rows[0]) if rows else ()
        figures = {
            at for at, name in enumerate(columns) if all(isinstance(row[name], int | Decimal | Money) for row in rows)
        }
        written = tuple(tuple(map(self.cell, row.values())) for row in rows)
        return Grid(tuple(name.replace("_", " ") for name in columns), written, frozenset(figures))

    def cell(self, value: object) -> str:
        """One value as a person reads it."""
        if isinstance(value, Money):
            return self.formats.money(value)
        if isinstance(value, int | Decimal):
            return self.formats.quantity(Decimal(value))
        if isinstance(value, datetime):
            return self.moment(value)
        return self.formats.day(value) if isinstance(value, date) else str(value or "")

    def moment(self, at: datetime) -> str:
        """In the billing time zone."""
        local = at.astimezone(self.facts.zone)
        return f"{self.formats.day(local.date())}, {local:%H:%M %Z}"

    def _shown(
        self, currency: str, products: Sequence[Product], drawn: Sequence[Product], colors: Mapping[str, str]
    ) -> Shown:
        figure = self.formats.figure
        days, outside = self._days(drawn, currency)
        rows = [{"product": product.name, "lines": product.lines, "amount": product.amount} for product in products]
        note = f"{self.formats.money(outside)} of earlier or later days, mostly adjustments, is not drawn."
        return Shown(
            currency=currency,
            daily=plots.daily(drawn, days, currency, colors, figure)
            if any(product.by_day for product in drawn)
            else "",
            products=plots.by_product(drawn, currency, colors, figure),
            table=self.grid(rows),
            undrawn=note if outside.minor else "",
        )

    def _days(self, products: Sequence[Product], currency: str) -> tuple[tuple[date, date], Money]:
        """The period's days, and after them as many as have fees in advance; and what lies outside them."""
        period = self.facts.period
        latest = period.next_day + (period.next_day - period.first_day) + 2 * A_DAY
        days = [day for product in products for day, minor in product.by_day.items() if minor and day < latest]
        last = max([*days, period.next_day - A_DAY])
        outside = sum(
            minor
            for product in products
            for day, minor in product.by_day.items()
            if not period.first_day <= day <= last
        )
        return (period.first_day, last), Money(outside, currency)


def _together(products: Sequence[Product], currency: str) -> list[Product]:
    """The largest by name, the rest as one."""
    if len(products) <= _DRAWN + 1:
        return list(products)
    rest = Product(_REST, Money(0, currency))
    for product in products[_DRAWN:]:
        rest.amount, rest.lines = rest.amount + product.amount, rest.lines + product.lines
        for day, minor in product.by_day.items():
            rest.by_day[day] += minor
    return [*products[:_DRAWN], rest]
