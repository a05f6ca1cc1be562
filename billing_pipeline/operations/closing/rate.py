"""Lines of a period: the quantities that metering handed over, priced. Each unit of buckets is one transaction."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime

from billing_pipeline.ledger.documents import holds
from billing_pipeline.ledger.periods import periods, results
from billing_pipeline.ledger.periods.periods import CustomerState, Stage
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.closing.not_billable import note_not_billable
from billing_pipeline.operations.closing.recompute import rated_lines
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.unit import Unit, Work, codes_of, terms_of
from billing_pipeline.rating.line import Rated
from billing_pipeline.usage.expectations import UNRATED


def rate_unit(billing: Billing, key: str, buckets: Unit) -> dict[str, int]:
    """Price the quantities of these buckets' waiting customers and hand them to invoicing, in one transaction."""
    period = billing.calendar.period(key)
    counts: Counter[str] = Counter(customers=0, lines=0, unrated=0, not_billable=0)
    now = billing.now()
    with billing.ledger.begin() as connection:
        by_change: dict[int, list[int]] = defaultdict(list)
        for progress in periods.lock_buckets(connection, period.first_day, buckets):
            by_change[progress.through_change].append(progress.bucket)
        for change, same in by_change.items():
            waiting = periods.customers(connection, period.first_day, same, pending=Stage.RATE)
            if waiting:
                counts.update(_rate(Work(billing, connection, period, tuple(same)), change, waiting, now))
    return dict(counts)


def _rate(work: Work, change: int, waiting: Mapping[str, CustomerState], now: datetime) -> dict[str, int]:
    """Customers metered through one catalog change: their lines, and holds of those with a quantity without a rate."""
    connection, codes = work.connection, codes_of(waiting)
    quantities = results.quantities(connection, work.first_day, codes.values())
    rated = dict.fromkeys(waiting, Rated()) | {
        customer: rated_lines(work, terms, segments(terms, work.period), quantities[codes[customer]])
        for customer, terms in terms_of(work.view(change, waiting), waiting).items()
    }
    lines = {codes[customer]: rated[customer].lines for customer in rated}
    problems = {
        codes[customer]: "; ".join(of_customer.problems)
        for customer, of_customer in rated.items()
        if of_customer.problems
    }
    waived = holds.waived(connection, work.first_day, UNRATED) if problems else set()
    failed = {code: reason for code, reason in problems.items() if (code, reason) not in waived}
    counts = {
        "customers": len(waiting),
        "lines": results.replace_lines(connection, work.first_day, lines),
        "unrated": len(problems),
        "not_billable": note_not_billable(work, codes, rated),
    }
    holds.apply_check(
        connection, period=work.first_day, cause=UNRATED, checked=codes.values(), failed=failed, at=now,
        actor=work.billing.actor,
    )  # fmt: skip
    periods.advance_customers(connection, work.first_day, codes.values(), Stage.INVOICE)
    return counts
