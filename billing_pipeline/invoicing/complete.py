"""What documents get once their own lines stand: adjustments of final ones, tax, and customer credit.

A customer's documents compete for these in one order, whatever period they are of: the first that is not final carries
the adjustments, and uses the customer's credit before the others.

An example: late usage of January makes adjustments of 4.50 for acme, who pays VAT of 20% and has 8.00 of customer
credit. February has a closing document, with usage of 40.00; its grace is 3 days, so it locks on 4 March.

- No other document is open: the closing one carries the 4.50. 44.50 and VAT 8.90 are 53.40; 8.00 of credit are used,
  and 45.40 are due.
- Another subscription starts on 1 March. Its opening document, of March, locks on that day, before 4 March: it carries
  the adjustments, which is found where March is computed, and takes credit first, here 5.00. On February's closing
  document 40.00 and VAT 8.00 are 48.00; 3.00 of credit are left for it, and 45.00 are due.
- February has no document, as the subscription ended in January, nor is any other open: for the late usage, received in
  February, an adjustment document is issued on 1 March. 4.50 and VAT 0.90 are 5.40; credit pays all of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.assemble import Final
from billing_pipeline.invoicing.document import (
    MAY_ADJUST,
    Document,
    DocumentIdentity,
    DocumentKind,
    DocumentPlan,
    Order,
)
from billing_pipeline.invoicing.tax import TaxService
from billing_pipeline.rating.line import RatedLine


@dataclass(frozen=True, slots=True)
class OtherDocument:
    """A document of another period that is not final.

    Attributes:
        credit: minor units of customer credit that it uses as it stands.
        own: it is a document of its own for late usage, which no other would carry.
        cut_off: its cutoff has passed, and what it carries is settled: what came up since, others carry.
    """

    order: Order
    credit: int
    own: bool = False
    cut_off: bool = False


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What a customer's documents of one period depend on besides the period.

    Attributes:
        adjustments: what final documents would say now, less what was billed for them.
        ended: the part of them that credits advance fees of a subscription that ends in a period, by its first day:
            it goes on that period's closing document, which is not final.
        others: documents of other periods that are not final.
        credit: minor units of customer credit that final documents have left.
        receipt: whether adjustments that nothing carries get a document of their own in this period.
        problems: late usage that has no rate: it holds the document that would carry it.
        final: its final documents of this period and those around it, as they would stand now.
    """

    adjustments: tuple[RatedLine, ...] = ()
    ended: tuple[tuple[date, RatedLine], ...] = ()
    others: tuple[OtherDocument, ...] = ()
    credit: int = 0
    receipt: bool = False
    problems: tuple[str, ...] = ()
    final: Final = field(default_factory=dict)


SETTLED = Unsettled()


def adjustment_plan(customer: str, currency: str, period: BillingPeriod) -> DocumentPlan:
    """The document of its own for what nothing carries: issued at the end of the period of receipt, or recording."""
    identity = DocumentIdentity(customer, DocumentKind.ADJUSTMENT, period.first_day, period.next_day)
    return DocumentPlan(identity, currency, period.end, frozenset())


def complete(
    documents: Sequence[Document], terms: Terms, period: BillingPeriod, unsettled: Unsettled, taxes: TaxService
) -> list[Document]:
    """The documents of a period that are not final, with all that stands on them.

    Args:
        documents: with their own lines.
        terms: the customer's.
        period: the documents'.
        unsettled: what they depend on besides.
        taxes: who says which taxes are due.
    """
    # In this order: adjustments are part of what is taxed, and only a total, with its tax, is paid for with credit.
    adjusted = _adjusted(documents, terms, period, unsettled)
    taxed = [replace(document, lines=(*document.lines, *_tax(document, terms, taxes))) for document in adjusted]
    return _with_credit(taxed, unsettled)


def _adjusted(
    documents: Sequence[Document], terms: Terms, period: BillingPeriod, unsettled: Unsettled
) -> list[Document]:
    """The documents, the one that carries the customer's adjustments with these."""
    adjusted = list(documents)
    # What credits an advance fee goes where the subscription's end closes, though another document may come first.
    for first_day, line in unsettled.ended:
        for place, document in enumerate(adjusted):
            identity = document.plan.identity
            if identity.kind == DocumentKind.CLOSING and identity.period == first_day:
                adjusted[place] = with_adjustments(document, [line])
    if not unsettled.adjustments:
        return adjusted
    # All other adjustments stand on one document: the first in the order in which documents compete. Where that one is
    # of another period, it carries them when its own period is computed; carried here, too, they would be billed twice.
    places = [place for place, document in enumerate(adjusted) if document.plan.identity.kind in MAY_ADJUST]
    others = [other for other in unsettled.others if not other.cut_off]
    elsewhere = min((other.order for other in others), default=None)
    if places:
        first = min(places, key=lambda place: adjusted[place].plan.order)
        if elsewhere is None or adjusted[first].plan.order < elsewhere:
            adjusted[first] = with_adjustments(adjusted[first], unsettled.adjustments)
    elif unsettled.receipt:
        # Where nothing else will carry them, late usage received in April, or fees changed then, stand on April's own
        # document, whether or not May has one already.
        plan = adjustment_plan(terms.customer.id, terms.customer.currency, period)
        if all(other.own and plan.order < other.order for other in others):
            adjusted.append(with_adjustments(Document(plan, ()), unsettled.adjustments))
    return adjusted


def with_adjustments(document: Document, adjustments: Iterable[RatedLine]) -> Document:
    """A document with adjustments of others, in their order, after its own lines."""
    return replace(document, lines=(*document.lines, *sorted(adjustments, key=_order)))


def _order(line: RatedLine) -> tuple[str, ...]:
    return (
        str(line.service_start),
        str(line.adjusts_document),
        line.subscription or "",
        line.price or "",
        line.adjusts or "",
        *(f"{name}={value}" for name, value in sorted(line.dimensions.items())),
        str(line.service_end),
        str(line.phase_start),
        line.description,
    )


def _tax(document: Document, terms: Terms, taxes: TaxService) -> list[RatedLine]:
    if not document.lines:
        return []
    taxable = document.subtotal - document.credits_applied
    return taxes.lines(terms.customer, taxable, document.plan.identity.issue_date, terms.account.rounding)


def _with_credit(documents: Sequence[Document], unsettled: Unsettled) -> list[Document]:
    """The documents, each with what those before it leave of the customer's credit, up to its total."""
    paid = list(documents)
    if unsettled.credit <= 0:
        return paid
    # Documents of other periods stand as they were computed last, with the credit that they use; place None: not here.
    takers: list[tuple[Order, int | None, int]] = [(other.order, None, other.credit) for other in unsettled.others]
    takers += [(document.plan.order, place, max(document.total.minor, 0)) for place, document in enumerate(documents)]
    left = unsettled.credit
    for _, place, payable in sorted(takers, key=lambda taker: taker[0]):
        used = min(left, payable)
        left -= used
        if place is not None and used:
            paid[place] = replace(paid[place], customer_credit=used)
    return paid
