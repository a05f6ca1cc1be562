"""Rate the quantities that metering handed over. Each unit of buckets is one transaction that can be repeated."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime
from time import monotonic

from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger.documents import holds
from billing_pipeline.ledger.periods import periods, results
from billing_pipeline.ledger.periods.periods import CustomerState
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.closing.not_billable import note_not_billable
from billing_pipeline.operations.closing.recompute import rated_lines
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.parallel import run_units
from billing_pipeline.operations.stage_report import StageReport, note_stage
from billing_pipeline.operations.unit import Unit, Work, codes_of
from billing_pipeline.rating.line import Rated
from billing_pipeline.usage.expectations import UNRATED

_ROWS_PER_CUSTOMER = 10


def rate_period(billing: Billing, period: BillingPeriod) -> StageReport:
    """Price the quantities of all customers that wait for it."""
    started = monotonic()
    with billing.ledger.begin() as connection:
        waiting = periods.waiting(connection, period.first_day, "rate")
    counts: Counter[str] = Counter()
    progress = billing.watch(f"rate {period.key}")
    for one in run_units(billing, rate_unit, waiting * _ROWS_PER_CUSTOMER, period.key, progress=progress):
        counts.update(one)
    return note_stage(billing, period, "rate", counts, monotonic() - started)


def rate_unit(billing: Billing, key: str, buckets: Unit) -> dict[str, int]:
    """One transaction: price these buckets' waiting customers and hand them to invoicing."""
    period = billing.calendar.period(key)
    counts: Counter[str] = Counter(customers=0, lines=0, unrated=0, not_billable=0)
    now = billing.now()
    with billing.ledger.begin() as connection:
        by_change: dict[int, list[int]] = defaultdict(list)
        for one in periods.lock_buckets(connection, period.first_day, buckets):
            by_change[one.through_change].append(one.bucket)
        for change, same in by_change.items():
            waiting = periods.customers(connection, period.first_day, same, pending="rate")
            if waiting:
                counts.update(_rate(Work(billing, connection, period, tuple(same)), change, waiting, now))
    return dict(counts)


def _rate(work: Work, change: int, waiting: Mapping[str, CustomerState], now: datetime) -> dict[str, int]:
    connection, codes = work.connection, codes_of(waiting)
    rated = _rated(work, work.view(change, waiting), waiting)
    by_code = {codes[customer]: found.lines for customer, found in rated.items()}
    lines = results.replace_lines(connection, work.first_day, by_code)
    counted = note_not_billable(work, codes, rated)
    problems = {codes[one]: "; ".join(found.problems) for one, found in rated.items() if found.problems}
    holds.apply_check(
        connection, period=work.first_day, cause=UNRATED, checked=codes.values(), failed=problems, at=now,
        actor=work.billing.actor,
    )  # fmt: skip
    periods.advance_customers(connection, work.first_day, codes.values(), "invoice")
    return {"customers": len(waiting), "lines": lines, "unrated": len(problems), "not_billable": counted}


def _rated(work: Work, view: CatalogView, waiting: Mapping[str, CustomerState]) -> dict[str, Rated]:
    stored = results.quantities(work.connection, work.first_day, codes_of(waiting).values())
    known = work.known_customers(view)
    rated = {}
    for customer, state in waiting.items():
        if customer not in known:
            rated[customer] = Rated()
            continue
        terms = view.terms(customer)
        in_force = segments(terms, work.period)
        rated[customer] = rated_lines(terms, work.period, work.billing.calendar, in_force, stored[state.code])
    return rated
