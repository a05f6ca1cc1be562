"""The lines that correct a final document on a later one: what it would say now, less what was billed for it.

An example: on 1 February acme's January is billed with ``api`` 1,000 calls × 0.10 = 100.00, discount d1 (10%) −10.00
and VAT of 20% on the 90.00 that are left. The document is final from 4 February.

- On 10 February, 50 more calls of 20 January arrive. The document would say now: 105.00, and −10.50. Two lines adjust
  it, on a document that is not final yet: "Adjustment of 2026-01-01: api" 50 calls, 5.00, and "Adjustment of
  2026-01-01: Discount d1 (10%)" −0.50. There is no line for the VAT: the document that carries the 4.50 taxes them with
  its own.
- That document is final, too, when on 10 March 20 calls are taken back: January would say 103.00 and −10.30. Billed for
  it are its own lines and their corrections, 105.00 and −10.50. So the next adjustments are −2.00 and 0.20.
- A fee that its document bills for several weeks is adjusted week by week, each named by its first day.
- Usage that changes no amount, as 20 calls less of one day and 20 more of another, gives no line.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from uuid import UUID

from billing_pipeline.core.money import EXACT, Money
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.document import DocumentPlan
from billing_pipeline.rating.line import LineKind, RatedLine

# Tax and credits follow from the document that carries the difference; adjustments count for the document they correct.
_NOT_COMPARED = frozenset({LineKind.TAX, LineKind.CREDIT, LineKind.ADJUSTMENT})
_PREFIX = "Adjustment of "
_Subject = tuple[object, ...]
ServiceStarts = Callable[[RatedLine], date | None]
"""The first day of the service period that a fee line pays for: of several on one document each is adjusted alone."""


@dataclass(frozen=True, slots=True)
class FinalDocument:
    """A finalized document, and what was billed for it.

    Attributes:
        lines: the document's own.
        corrections: adjustments of it on other finalized documents, and credit notes that correct it.
        batch: the last one received before its cutoff.
        change: the last catalog change recorded before its cutoff.
        terms: fingerprint of the customer's terms as known then.
        late: whether usage of its period was received after its cutoff.
        replaced: it is void and was issued again: its own lines count no more, and its corrections are to be undone.
    """

    plan: DocumentPlan
    lines: tuple[RatedLine, ...]
    corrections: tuple[RatedLine, ...]
    batch: int
    change: int
    terms: str
    late: bool
    replaced: bool = False


def correction_of(line: RatedLine, document: UUID, period: BillingPeriod, amount: Money) -> RatedLine:
    """A line that corrects another by an amount; of an adjustment, what that one adjusts.

    Args:
        line: on a final document.
        document: that document.
        period: the document's.
        amount: what is added to the line.
    """
    if line.kind == LineKind.ADJUSTMENT:
        return line._replace(amount=amount, quantity=None)
    description = f"{_prefix(period)}{line.description}"
    return line._replace(
        kind=LineKind.ADJUSTMENT, description=description, amount=amount, quantity=None, start=None, adjusts=line.kind,
        adjusts_document=document,
    )  # fmt: skip


def billed_lines(final: FinalDocument, period: BillingPeriod) -> list[RatedLine]:
    """The lines that say what was billed for a document so far: its own with all corrections, one for each subject."""
    sums: dict[_Subject, _Sum] = {}
    _add_billed(sums, final, period, sign=1)
    return [billed.as_line(billed.line.kind) for billed in sums.values()]


def adjustments(
    now: Iterable[RatedLine], final: FinalDocument, period: BillingPeriod, starts: ServiceStarts | None = None
) -> list[RatedLine]:
    """The lines that adjust a document: by subject, the difference of rounded amounts; none where nothing differs.

    Args:
        now: what would stand on the document, had everything known now been known at its cutoff.
        final: the document.
        period: the document's.
        starts: where it bills several service periods of one fee.
    """
    # What would stand there is added, what was billed is taken away: what is left is due, or is given back. A subject
    # that only one side knows stands with its whole amount. Rounded amounts are compared, so that all that the customer
    # ever saw adds up to what the document would say now, to the minor unit.
    sums: dict[_Subject, _Sum] = {}
    for line in now:
        if line.kind not in _NOT_COMPARED:
            sums.setdefault(_subject(line, starts), _Sum(line)).add(line, 1)
    _add_billed(sums, final, period, sign=-1, starts=starts)
    return [_adjustment(difference, final, period) for difference in sums.values() if difference.minor]


@dataclass(slots=True)
class _Sum:
    """Lines about the same subject, added up. The first of them gives all but amount, quantity and days."""

    line: RatedLine
    minor: int = 0
    quantity: Decimal | None = None
    days: set[date] = field(default_factory=set)

    def add(self, line: RatedLine, sign: int) -> None:
        self.minor += sign * line.amount.minor
        if line.quantity is not None:
            self.quantity = EXACT.add(self.quantity or Decimal(0), line.quantity * sign)
        self.days |= {day for day in (line.service_start, line.service_end) if day is not None}

    def as_line(self, kind: LineKind) -> RatedLine:
        amount = Money(self.minor, self.line.amount.currency)
        first, last = (min(self.days), max(self.days)) if self.days else (None, None)
        return self.line._replace(
            kind=kind, amount=amount, quantity=self.quantity, service_start=first, service_end=last
        )


def _adjustment(difference: _Sum, final: FinalDocument, period: BillingPeriod) -> RatedLine:
    line, kind = difference.as_line(LineKind.ADJUSTMENT), difference.line.kind
    # A fee in advance pays for another period than its document's; people want to read which.
    prefix = f"{_PREFIX}{line.service_start}: " if kind == LineKind.FEE else _prefix(period)
    description = f"{prefix}{line.description}"
    return line._replace(description=description, adjusts=kind, adjusts_document=final.plan.identity.id, start=None)


def _add_billed(
    sums: dict[_Subject, _Sum],
    final: FinalDocument,
    period: BillingPeriod,
    *,
    sign: int,
    starts: ServiceStarts | None = None,
) -> None:
    prefix = _prefix(period)
    own = (line for line in final.lines if line.kind not in _NOT_COMPARED)
    # A correction counts as a line of the kind that it corrects, and says what that line says without the prefix: so it
    # falls on the same subject, and what was adjusted once is not adjusted again.
    corrections = (
        line._replace(kind=line.adjusts, description=line.description.removeprefix(prefix))
        for line in final.corrections
        if line.adjusts is not None
    )
    for line in (*own, *corrections):
        sums.setdefault(_subject(line, starts), _Sum(line)).add(line, sign)


def _prefix(period: BillingPeriod) -> str:
    return f"{_PREFIX}{period.key}: "


def _subject(line: RatedLine, starts: ServiceStarts | None) -> _Subject:
    """What a line is a statement about: lines of one subject are compared with each other."""
    whose = (line.kind, line.subscription, line.price)
    if line.kind == LineKind.FEE:
        # One line a fee and service period, whatever parts that is split into.
        return (*whose, line.plan, starts(line) if starts else None)
    if line.kind == LineKind.DISCOUNT:
        return line.kind, line.description  # its days follow the lines that it lowers
    # The phase as well: a plan that was left and taken again has the same price twice in a period.
    dimensions = tuple(sorted(line.dimensions.items()))
    phase = line.phase_start.isoformat() if line.phase_start else ""
    return (*whose, phase, dimensions, line.service_start, line.service_end)
