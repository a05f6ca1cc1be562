"""Documents of some customers of a period, computed as of a batch and a catalog change, from segments to documents.

The stages store what lies between; the lock, and whatever asks for an earlier state, run the chain in one go.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.errors import RatingError
from billing_pipeline.invoicing.assemble import documents
from billing_pipeline.invoicing.complete import SETTLED, Unsettled, complete
from billing_pipeline.invoicing.document import Billed, Document
from billing_pipeline.invoicing.document_plans import fees_in
from billing_pipeline.metering.segments import Segment
from billing_pipeline.operations.closing.measure_customers import meter_customers
from billing_pipeline.operations.closing.unsettled import WRITTEN, Unwritten, find_unsettled
from billing_pipeline.operations.unit import AsOf, Work, terms_of
from billing_pipeline.rating.line import MeteredQuantity, Rated
from billing_pipeline.rating.rate import rate


@dataclass(frozen=True, slots=True)
class CustomerDocuments:
    """The documents of one customer, and why some of their lines are missing."""

    documents: tuple[Document, ...] = ()
    problems: tuple[str, ...] = ()


def recompute(
    work: Work,
    codes: Mapping[str, int],
    as_of: AsOf,
    billed: Mapping[int, Billed],
    now: datetime | None = None,
    at: datetime | None = None,
    *,
    cut: bool = False,
    unwritten: Unwritten = WRITTEN,
) -> dict[str, CustomerDocuments]:
    """The documents of these customers as they would be, had nothing after ``as_of`` happened. Stores nothing.

    Args:
        work: names the period and the customers' buckets.
        codes: the customers, id → code.
        as_of: the last batch and catalog change to include.
        billed: what of the period is final already, by customer code.
        now: as of :func:`meter_customers`.
        at: other periods as they stood before this instant; None: as they stand.
        cut: as of :func:`find_unsettled`.
        unwritten: likewise.
    """
    view = work.billing.view(work.connection, as_of.change, customers=list(codes))
    metering = meter_customers(work, view, codes, as_of.batch, now)
    terms = terms_of(view, codes)
    rated = {
        customer: rated_lines(work, customer_terms, metering.segments[customer], metering.quantities.get(customer, ()))
        for customer, customer_terms in terms.items()
    }
    return put_on_documents(
        work,
        codes,
        terms,
        rated,
        billed=billed,
        unsettled=find_unsettled(work, view, codes, as_of, at, cut=cut, unwritten=unwritten),
    )


def rated_lines(work: Work, terms: Terms, in_force: Iterable[Segment], quantities: Iterable[MeteredQuantity]) -> Rated:
    """One customer's lines of a period: its usage, and the fees that its documents bill."""
    rated = rate(terms, in_force, quantities, work.billing.calendar)
    fees = [line for due in fees_in(terms, work.period, work.billing.calendar) for line in due.lines]
    return Rated((*rated.lines, *fees), rated.problems)


def put_on_documents(
    work: Work,
    codes: Mapping[str, int],
    terms: Mapping[str, Terms],
    rated: Mapping[str, Rated],
    *,
    billed: Mapping[int, Billed],
    unsettled: Mapping[str, Unsettled],
) -> dict[str, CustomerDocuments]:
    """The documents that are not final, with these customers' rated lines and all else that stands on them.

    Args:
        work: names the period.
        codes: the customers, id → code; who is not in the catalog any more has no documents.
        terms: of those whom the catalog knows.
        rated: their lines.
        billed: what of the period is final already, by customer code.
        unsettled: what other periods bring, by customer.
    """
    result = dict.fromkeys(codes, CustomerDocuments())
    for customer, customer_terms in terms.items():
        beside, lines = unsettled.get(customer, SETTLED), rated[customer]
        problems, already = (*lines.problems, *beside.problems), billed[codes[customer]]
        calendar = work.billing.calendar
        try:
            own = documents(customer_terms, work.period, calendar, lines.lines, already, beside.final)
            whole = complete(own, customer_terms, work.period, beside, work.billing.taxes)
        except RatingError as error:  # holds this customer alone: there is nothing to show until it is mended
            whole = documents(customer_terms, work.period, calendar, (), already)
            problems += (str(error),)
        result[customer] = CustomerDocuments(tuple(whole), problems)
    return result
