"""The chain for some customers of a period, as of a batch and a catalog change, from segments to documents.

The stages store what lies between; the lock, and whatever asks for an earlier state, run the chain in one go.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingCalendar, BillingPeriod
from billing_pipeline.invoicing.assemble import documents, fees_in
from billing_pipeline.invoicing.complete import NOTHING, Beside, complete
from billing_pipeline.invoicing.document import Billed, Document
from billing_pipeline.metering.segments import Segment
from billing_pipeline.operations.closing.measure_customers import meter_customers
from billing_pipeline.operations.closing.unsettled import besides
from billing_pipeline.operations.unit import AsOf, Work
from billing_pipeline.rating.line import MeteredQuantity, Rated, RatedLine
from billing_pipeline.rating.rate import rate


@dataclass(frozen=True, slots=True)
class Computed:
    """One customer's documents, and why some of their lines are missing."""

    documents: tuple[Document, ...]
    problems: tuple[str, ...]


def compute(
    work: Work,
    codes: Mapping[str, int],
    as_of: AsOf,
    billed: Mapping[int, Billed],
    now: datetime | None = None,
    at: datetime | None = None,
    *,
    cut: bool = False,
) -> dict[str, Computed]:
    """The documents of these customers as they would be, had nothing after ``as_of`` happened. Stores nothing.

    Args:
        work: names the period and the customers' buckets.
        codes: the customers, id → code.
        as_of: the last batch and catalog change to include.
        billed: what of the period is final already, by customer code.
        now: as of :func:`meter_customers`.
        at: other periods as they stood before this instant; None: as they stand.
        cut: as of :func:`besides`.
    """
    view = work.billing.view(work.connection, as_of.change, customers=list(codes))
    metering = meter_customers(work, view, codes, as_of.batch, now)
    beside = besides(work, view, codes, as_of, at, cut=cut)
    known = work.known_customers(view)
    result = {}
    for customer, code in codes.items():
        if customer not in known:
            result[customer] = Computed((), ())
            continue
        terms = view.terms(customer)
        rated = rated_lines(
            terms,
            work.period,
            work.billing.calendar,
            metering.segments[customer],
            metering.quantities.get(customer, ()),
        )
        one = beside.get(customer, NOTHING)
        result[customer] = on_documents(work, terms, rated, billed[code], one)
    return result


def rated_lines(
    terms: Terms,
    period: BillingPeriod,
    calendar: BillingCalendar,
    in_force: Iterable[Segment],
    quantities: Iterable[MeteredQuantity],
) -> Rated:
    """One customer's lines of a period: its usage, and the fees that its documents bill."""
    rated = rate(terms, in_force, quantities, calendar)
    fees = [line for one in fees_in(terms, period, calendar) for line in one.lines]
    return Rated((*rated.lines, *fees), rated.problems)


def on_documents(work: Work, terms: Terms, rated: Rated, billed: Billed, beside: Beside) -> Computed:
    """Rated lines on the documents that are not final, with all else that stands on these."""
    lines: Sequence[RatedLine] = rated.lines
    made = documents(terms, work.period, work.billing.calendar, lines, billed)
    whole = complete(made, terms, work.period, beside, work.billing.taxes)
    return Computed(tuple(whole), (*rated.problems, *beside.problems))
