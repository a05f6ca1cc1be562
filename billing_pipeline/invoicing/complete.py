"""What documents get once their own lines stand: adjustments of final ones, tax, and customer credit.

A customer's documents compete for these in one order, whatever period they are of: the first that is not final carries
the adjustments, and uses the customer's credit before the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.document import (
    CARRIERS,
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
    """

    order: Order
    credit: int


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What a customer's documents of one period depend on besides the period.

    Attributes:
        adjustments: what final documents would say now, less what was billed for them.
        ended: the part of them that credits advance fees of a subscription that ends in a period, by its first day:
            it goes on that period's closing document, which is not final.
        others: documents of other periods that are not final.
        credit: minor units of customer credit that final documents have left.
        receipt: whether late usage that nothing carries gets a document of its own in this period.
        problems: late usage that has no rate: it holds the document that would carry it.
    """

    adjustments: tuple[RatedLine, ...] = ()
    ended: tuple[tuple[date, RatedLine], ...] = ()
    others: tuple[OtherDocument, ...] = ()
    credit: int = 0
    receipt: bool = False
    problems: tuple[str, ...] = ()


SETTLED = Unsettled()


def adjustment_plan(customer: str, currency: str, period: BillingPeriod) -> DocumentPlan:
    """The document of its own for late usage that nothing carries: issued at the end of the period of receipt."""
    identity = DocumentIdentity(customer, DocumentKind.ADJUSTMENT, period.first_day, period.next_day)
    return DocumentPlan(identity, currency, period.end, frozenset())


def complete(
    made: Sequence[Document], terms: Terms, period: BillingPeriod, unsettled: Unsettled, taxes: TaxService
) -> list[Document]:
    """The documents of a period that are not final, with all that stands on them.

    Args:
        made: with their own lines.
        terms: the customer's.
        period: theirs.
        unsettled: what they depend on besides.
        taxes: who says which taxes are due.
    """
    with_all = _with_adjustments(made, terms, period, unsettled)
    taxed = [replace(one, lines=(*one.lines, *_tax(one, terms, taxes))) for one in with_all]
    return _with_credit(taxed, unsettled)


def _with_adjustments(
    made: Sequence[Document], terms: Terms, period: BillingPeriod, unsettled: Unsettled
) -> list[Document]:
    found = list(made)
    for day, line in unsettled.ended:
        for place, one in enumerate(found):
            if one.plan.identity.kind is DocumentKind.CLOSING and one.plan.identity.period == day:
                found[place] = with_adjustments(one, [line])
    if not unsettled.adjustments:
        return found
    carriers = [place for place, one in enumerate(found) if one.plan.identity.kind in CARRIERS]
    elsewhere = min((one.order for one in unsettled.others), default=None)
    if carriers:
        first = min(carriers, key=lambda place: found[place].plan.order)
        if elsewhere is None or found[first].plan.order < elsewhere:
            found[first] = with_adjustments(found[first], unsettled.adjustments)
    elif elsewhere is None and unsettled.receipt:
        plan = adjustment_plan(terms.customer.id, terms.customer.currency, period)
        found.append(with_adjustments(Document(plan, ()), unsettled.adjustments))
    return found


def with_adjustments(document: Document, adjustments: Iterable[RatedLine]) -> Document:
    """A document with adjustments of others."""
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


def _with_credit(made: Sequence[Document], unsettled: Unsettled) -> list[Document]:
    """Each document uses what those before it leave, up to its total."""
    if unsettled.credit <= 0:
        return list(made)
    left = unsettled.credit
    found = list(made)
    takers: list[tuple[Order, int | None, int]] = [(one.order, None, one.credit) for one in unsettled.others]
    takers += [(one.plan.order, place, max(one.total.minor, 0)) for place, one in enumerate(made)]
    for _, place, wanted in sorted(takers, key=lambda taker: taker[0]):
        used = min(left, wanted)
        left -= used
        if place is not None and used:
            found[place] = replace(found[place], customer_credit=used)
    return found
