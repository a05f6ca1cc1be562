"""What a final document would say now, less what was billed for it: the lines that correct it on a later document."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from billing_pipeline.core.money import EXACT, Money
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.document import DocumentPlan
from billing_pipeline.rating.line import LineKind, RatedLine

_NOT_COMPARED = frozenset(
    {LineKind.TAX, LineKind.CREDIT, LineKind.ADJUSTMENT}
)  # they follow from the document that carries the difference
_PREFIX = "Adjustment of "
_Same = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class FinalDocument:
    """A finalized document, and what was billed for it.

    Attributes:
        lines: its own.
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


@dataclass(slots=True)
class _Sum:
    """Lines that say the same, added up."""

    line: RatedLine
    minor: int = 0
    quantity: Decimal | None = None
    days: set[date] = field(default_factory=set)

    def add(self, line: RatedLine, sign: int) -> None:
        self.minor += sign * line.amount.minor
        if line.quantity is not None:
            self.quantity = EXACT.add(self.quantity or Decimal(0), line.quantity * sign)
        self.days |= {day for day in (line.service_start, line.service_end) if day is not None}


def billed_lines(final: FinalDocument, period: BillingPeriod) -> list[RatedLine]:
    """What was billed for a document so far: its lines with all corrections, those that say the same added up."""
    sums: dict[_Same, _Sum] = {}
    _add_billed(sums, final, period, sign=1)
    return [_as(one, one.line.kind) for one in sums.values()]


def adjustments(now: Iterable[RatedLine], final: FinalDocument, period: BillingPeriod) -> list[RatedLine]:
    """The difference, line by line, of rounded amounts; nothing where nothing differs.

    Args:
        now: what would stand on the document, had everything known now been known at its cutoff.
        final: the document.
        period: the document's.
    """
    sums: dict[_Same, _Sum] = {}
    for line in now:
        if line.kind not in _NOT_COMPARED:
            sums.setdefault(_same(line), _Sum(line)).add(line, 1)
    _add_billed(sums, final, period, sign=-1)
    return [_adjustment(one, final, period) for one in sums.values() if one.minor]


def _adjustment(one: _Sum, final: FinalDocument, period: BillingPeriod) -> RatedLine:
    line = _as(one, LineKind.ADJUSTMENT)
    # A fee in advance pays for another period than its document's; people want to read which.
    named = f"{_PREFIX}{line.service_start}: " if one.line.kind == LineKind.FEE else _prefix(period)
    return line._replace(
        description=f"{named}{one.line.description}", adjusts=one.line.kind, adjusts_document=final.plan.identity.id,
        start=None,
    )  # fmt: skip


def _add_billed(sums: dict[_Same, _Sum], final: FinalDocument, period: BillingPeriod, *, sign: int) -> None:
    prefix = _prefix(period)
    own = (line for line in final.lines if line.kind not in _NOT_COMPARED)
    corrections = (
        line._replace(kind=line.adjusts, description=line.description.removeprefix(prefix))
        for line in final.corrections
        if line.adjusts is not None
    )
    for line in (*own, *corrections):
        sums.setdefault(_same(line), _Sum(line)).add(line, sign)


def _prefix(period: BillingPeriod) -> str:
    return f"{_PREFIX}{period.key}: "


def _same(line: RatedLine) -> _Same:
    """What makes two lines statements about the same thing."""
    whose = (line.kind, line.subscription, line.price)
    if line.kind == LineKind.FEE:
        return (*whose, line.plan)  # one line a fee, whatever parts its service period is split into
    if line.kind == LineKind.DISCOUNT:
        return line.kind, line.description  # its days follow the lines that it lowers
    dimensions = tuple(sorted(line.dimensions.items()))
    return (*whose, _at(line.phase_start), dimensions, line.service_start, line.service_end)


def _at(instant: datetime | None) -> str:
    return instant.isoformat() if instant else ""


def _as(one: _Sum, kind: LineKind) -> RatedLine:
    amount = Money(one.minor, one.line.amount.currency)
    first, last = (min(one.days), max(one.days)) if one.days else (None, None)
    return one.line._replace(kind=kind, amount=amount, quantity=one.quantity, service_start=first, service_end=last)
