"""The chain for some customers of a period, as of a batch and a catalog change, from segments to documents.

The stages store what lies between; the lock, and whatever asks for an earlier state, run the chain in one go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from billing_pipeline.invoicing.assemble import documents
from billing_pipeline.invoicing.document import Billed, Document
from billing_pipeline.operations.metering import meter_customers
from billing_pipeline.operations.work import AsOf, Work
from billing_pipeline.rating.rate import rate


@dataclass(frozen=True, slots=True)
class Computed:
    """One customer's documents, and why some of their lines are missing."""

    documents: tuple[Document, ...]
    problems: tuple[str, ...]


def compute(
    work: Work, codes: Mapping[str, int], as_of: AsOf, billed: Mapping[int, Billed], now: datetime | None = None
) -> dict[str, Computed]:
    """The documents of these customers as they would be, had nothing after ``as_of`` happened. Stores nothing.

    Args:
        work: names the period and the customers' buckets.
        codes: the customers, id → code.
        as_of: the last batch and catalog change to include.
        billed: what is final already, by customer code.
        now: as of :func:`meter_customers`.
    """
    view = work.billing.view(work.connection, as_of.change, customers=list(codes))
    metering = meter_customers(work, view, codes, as_of.batch, now)
    known = work.known_customers(view)
    result = {}
    for customer, code in codes.items():
        if customer not in known:
            result[customer] = Computed((), ())
            continue
        terms = view.terms(customer)
        quantities = metering.quantities.get(customer, ())
        rated = rate(terms, metering.segments[customer], quantities, work.billing.calendar)
        result[customer] = Computed(
            tuple(documents(terms, work.period, work.billing.calendar, rated.lines, billed[code])), rated.problems
        )
    return result
