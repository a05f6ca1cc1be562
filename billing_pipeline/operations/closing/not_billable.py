"""Usage that is not billable: volume-priced, and received after the lock of the document with its price's line.

All of a volume price's quantity is priced by the tier it reaches, so that a late event would change the price of what
was billed for good. What was billed stands, and what is known beyond it is shown.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from billing_pipeline.core.money import EXACT
from billing_pipeline.invoicing.adjustment import FinalDocument, billed_lines
from billing_pipeline.invoicing.assemble import segment_key
from billing_pipeline.ledger.documents import final_documents, late_usage, not_billable
from billing_pipeline.ledger.documents.not_billable import NotBillable
from billing_pipeline.metering.segments import SegmentKey
from billing_pipeline.operations.unit import Work
from billing_pipeline.rating.line import LineKind, Rated, RatedLine
from billing_pipeline.rating.pricing import parsed

REASON = "Volume prices cannot be adjusted: the document that holds the price's line is final."

_Dimensions = tuple[tuple[str, str], ...]
_Quantities = Mapping[tuple[SegmentKey, _Dimensions], Decimal]


def note_not_billable(work: Work, codes: Mapping[str, int], rated: Mapping[str, Rated]) -> int:
    """Keep the customers' usage of the period that is known and cannot be billed; returns how many rows.

    Args:
        work: names the period.
        codes: the customers, id → code.
        rated: their lines over all usage known.
    """
    not_billable.forget_not_billable(work.connection, work.first_day, codes.values())
    late = late_usage.late_in(work.connection, work.first_day, codes.values())
    if not late:
        return 0
    through = max(late.values())
    finals = final_documents.finals(work.connection, {(code, work.first_day) for code in late}, through)
    ids = {code: customer for customer, code in codes.items()}
    rows = [
        row
        for (code, _), documents in finals.items()
        for final in documents
        if final.late
        for row in _rows(work, code, ids[code], final, rated[ids[code]])
    ]
    not_billable.keep_not_billable(work.connection, work.first_day, rows)
    return len(rows)


def _rows(work: Work, code: int, customer: str, final: FinalDocument, rated: Rated) -> Iterator[NotBillable]:
    terms = work.billing.view(work.connection, final.change, customers=[customer]).terms(customer)
    volume = {
        key
        for key in final.plan.covers
        for plan in terms.plans.values()
        for price in plan.prices
        if isinstance(key, SegmentKey) and price.id == key.price and parsed(price).model == "volume"
    }
    now, billed = _quantities(rated.lines, volume), _quantities(billed_lines(final, work.period), volume)
    for key, dimensions in sorted(now.keys() | billed.keys()):
        difference = EXACT.subtract(now.get((key, dimensions), Decimal(0)), billed.get((key, dimensions), Decimal(0)))
        if difference:
            identity = final.plan.identity.id
            yield NotBillable(code, identity, key.subscription, key.price, dict(dimensions), difference, REASON)


def _quantities(lines: Iterable[RatedLine], volume: set[SegmentKey]) -> _Quantities:
    """Quantities of the lines of volume prices, by segment and dimensions."""
    quantities: dict[tuple[SegmentKey, _Dimensions], Decimal] = defaultdict(Decimal)
    for line in lines:
        if line.kind == LineKind.USAGE and line.quantity is not None and segment_key(line) in volume:
            key = segment_key(line), tuple(sorted(line.dimensions.items()))
            quantities[key] = EXACT.add(quantities[key], line.quantity)
    return quantities
