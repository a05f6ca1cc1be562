"""Documents on demand: what a window of receipt adds to the phases of a customer, on one document.

An example: calls at 1.00 each up to 100, 0.80 above, every hour. 80 calls are received at 13:30: the window that ends
at 14:00 invoices 80.00. 40 more are received at 15:10: at 16:00, 116.00 are due for 120, of which 80.00 are invoiced,
so the document asks for 36.00. At 15:00 nothing was received, and there is no document.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.money import Money
from billing_pipeline.core.period import MOMENT, BillingCalendar, BillingPeriod
from billing_pipeline.invoicing.complete import Unsettled, complete
from billing_pipeline.invoicing.discounts import discount_lines
from billing_pipeline.invoicing.document import Document, DocumentIdentity, DocumentKind, DocumentPlan
from billing_pipeline.invoicing.tax import TaxService
from billing_pipeline.metering.segments import LENGTHS, Stretch
from billing_pipeline.rating.line import LineKind, RatedLine
from billing_pipeline.rating.on_demand import (
    START,
    Arrived,
    Brought,
    Combination,
    Reached,
    next_invoice,
    on_demand_price,
    together,
)
from billing_pipeline.rating.pricing import description_of, end_day

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = Arrived()


def window_end(at: datetime, every: str) -> datetime:
    """The end of the window, an ``hour`` or ``day`` of UTC, in which something received at an instant is."""
    length = LENGTHS[every]
    return at + length - (at - _EPOCH) % length


def ending(end: datetime) -> list[str]:
    """The lengths of the windows that end at an instant."""
    return [every for every, length in LENGTHS.items() if not (end - _EPOCH) % length]


@dataclass(frozen=True, slots=True)
class PhaseState:
    """The state of a price and combination of values at a window's end.

    Attributes:
        reached: how far its phase has come.
        invoiced: the rounded lines so far.
        corrected: by how much credit notes that correct changed what counts as billed.
    """

    reached: Reached
    invoiced: Money
    corrected: Money

    @classmethod
    def nothing(cls, currency: str) -> "PhaseState":
        """Before anything was used."""
        return cls(START, Money(0, currency), Money(0, currency))


@dataclass(frozen=True, slots=True)
class StretchWindow:
    """What a window does to one price on demand.

    Attributes:
        lines: what it adds.
        states: each combination of values whose state it changes.
    """

    lines: tuple[RatedLine, ...]
    states: Mapping[Combination, PhaseState] = field(default_factory=dict)


def bill_window(
    terms: Terms,
    calendar: BillingCalendar,
    stretch: Stretch,
    end: datetime,
    before: Mapping[Combination, PhaseState],
    brought: Brought,
    *,
    anew: bool = False,
) -> StretchWindow:
    """What a window adds to the phase of a price on demand.

    Args:
        terms: the customer's.
        calendar: gives local days.
        stretch: the price in its phase.
        end: of the window.
        before: what earlier windows left.
        brought: what this one brought.
        anew: it brings all that was ever received: what earlier windows counted does not stand.

    Raises:
        RatingError: usage has no rate, or cannot be counted or billed.
    """
    price = on_demand_price(terms, stretch.price)
    meter, currency = terms.meters[stretch.price.meter], stretch.plan.currency
    greatest = meter.aggregation == "max" and meter.window is None
    arrived = together(price.price, brought.arrived)
    service, lines, states = _service(stretch, end, calendar), [], dict[Combination, PhaseState]()
    for combination in sorted({*before, *arrived}):
        old = before.get(combination) or PhaseState.nothing(currency)
        if combination not in arrived and old == PhaseState.nothing(currency):
            continue  # nothing was ever used so
        dimensions = dict(combination)
        come_from = START if anew else old.reached
        of_window = _with_zeros(arrived.get(combination, _NOTHING), come_from, brought.days)
        reached = price.brought(come_from, of_window, dimensions, greatest=greatest)
        amount = next_invoice(reached.due, old.invoiced + old.corrected, terms.account.rounding)
        if reached == old.reached and not amount.minor:
            continue
        states[combination] = PhaseState(reached, old.invoiced + amount, old.corrected)
        if reached.quantity != old.reached.quantity or of_window.steps or amount.minor:
            quantity = price.priced(reached.quantity) - price.priced(old.reached.quantity)
            lines.append(
                RatedLine(
                    LineKind.USAGE, stretch.subscription, stretch.plan.id, stretch.plan.version, stretch.price.id,
                    stretch.price.product, description_of(terms, stretch.price), *service, dimensions, quantity, amount,
                    stretch.phase_start, end - MOMENT,
                )
            )  # fmt: skip
    if not before and not states:
        states[()] = PhaseState.nothing(currency)  # from now on only what is new is looked at
    return StretchWindow(tuple(lines), states)


def _with_zeros(arrived: Arrived, before: Reached, days: AbstractSet[str]) -> Arrived:
    """What a window brought for values; 0 for a period that was measured and has none of them any more."""
    gone = (days & before.memory.get("periods", {}).keys()) - arrived.quantities.keys()
    return replace(arrived, quantities={**arrived.quantities, **dict.fromkeys(gone, START.quantity)})


def _service(stretch: Stretch, end: datetime, calendar: BillingCalendar) -> tuple[date, date]:
    """The local days of a window, or, where its phase had ended before, that phase's last one."""
    start, last = end - LENGTHS[stretch.plan.window], end
    if stretch.end is not None and stretch.end <= start:
        start, last = stretch.end - MOMENT, stretch.end
    elif stretch.end is not None:
        last = min(last, stretch.end)
    return calendar.local_day(start), end_day(last, calendar)


def period_of_window(end: datetime, calendar: BillingCalendar) -> BillingPeriod | None:
    """The period that holds a window's last instant; None before the first period."""
    return calendar.period_of(end - MOMENT)


def window_plan(customer: str, currency: str, end: datetime, period: BillingPeriod, issue_date: date) -> DocumentPlan:
    """The document of a window: issued and locked at its end."""
    identity = DocumentIdentity(customer, DocumentKind.ON_DEMAND, period.first_day, issue_date, window_end=end)
    return DocumentPlan(identity, currency, end, frozenset())


def window_document(
    plan: DocumentPlan,
    lines: Sequence[RatedLine],
    terms: Terms,
    calendar: BillingCalendar,
    period: BillingPeriod,
    taxes: TaxService,
    *,
    used: Mapping[str, int],
    credit: int,
) -> Document:
    """A window's document whole: usage, discounts, tax, and the customer's credit.

    Args:
        plan: the document.
        lines: its usage.
        terms: the customer's.
        calendar: says where the periods of a discount end.
        period: the document's.
        taxes: who says which taxes are due.
        used: minor units that earlier documents of the period took of each discount's allowance, by its id.
        credit: minor units of customer credit that final documents have left.
    """
    discounted = [line for _, line in discount_lines(terms, calendar, period, [(0, line) for line in lines], used=used)]
    own = sorted(lines, key=lambda line: (line.subscription or "", line.price or "", sorted(line.dimensions.items())))
    documents = [Document(plan, (*own, *discounted))]
    (document,) = complete(documents, terms, period, Unsettled(credit=credit), taxes)
    return document
