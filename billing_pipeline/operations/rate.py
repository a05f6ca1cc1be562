"""Rate the quantities that metering handed over. Each unit of buckets is one transaction that can be repeated."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from time import monotonic
from typing import Any

from sqlalchemy import Connection

from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.money import Money
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger import holds, periods
from billing_pipeline.ledger.periods import CustomerState
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.report import StageReport, report
from billing_pipeline.operations.units import Progress, Unit, no_progress, run_units
from billing_pipeline.rating.rate import MeteredQuantity, Rated, RatedLine, rate

UNRATED = "every_quantity_has_a_rate"  # the cause of the holds that rating places
_ROWS_PER_CUSTOMER = 10


def rate_period(billing: Billing, period: BillingPeriod, *, progress: Progress = no_progress) -> StageReport:
    """Price the quantities of all customers that wait for it."""
    started = monotonic()
    with billing.ledger.begin() as connection:
        waiting = periods.waiting(connection, period.first_day, "rate")
    counts: Counter[str] = Counter()
    for one in run_units(billing, rate_unit, waiting * _ROWS_PER_CUSTOMER, period.key, progress=progress):
        counts.update(one)
    return report(billing, period, "rate", counts, monotonic() - started)


def rate_unit(billing: Billing, key: str, buckets: Unit) -> dict[str, int]:
    """One transaction: price these buckets' waiting customers and hand them to invoicing."""
    period = billing.calendar.period(key)
    counts: Counter[str] = Counter(customers=0, lines=0, unrated=0)
    now = billing.now()
    with billing.ledger.begin() as connection:
        by_change: dict[int, list[int]] = defaultdict(list)
        for one in periods.lock_buckets(connection, period.first_day, buckets):
            by_change[one.through_change].append(one.bucket)
        for change, same in by_change.items():
            waiting = periods.customers(connection, period.first_day, same, pending="rate")
            if not waiting:
                continue
            view = billing.view(connection, change, bucket=same[0] if len(same) == 1 else None)
            rated = _rate(billing, connection, period, view, waiting)
            codes = [state.code for state in waiting.values()]
            rows = _rows(period.first_day, waiting, rated)
            counts["lines"] += periods.replace_lines(connection, period.first_day, codes, rows)
            counts["customers"] += len(waiting)
            problems = {waiting[one].code: "; ".join(found.problems) for one, found in rated.items() if found.problems}
            counts["unrated"] += len(problems)
            holds.settle(
                connection, period=period.first_day, cause=UNRATED, checked=codes, failed=problems, at=now,
                actor=billing.actor,
            )  # fmt: skip
            periods.advance_customers(connection, period.first_day, codes, "invoice")
    return dict(counts)


def _rate(
    billing: Billing,
    connection: Connection,
    period: BillingPeriod,
    view: CatalogView,
    waiting: Mapping[str, CustomerState],
) -> dict[str, Rated]:
    stored = periods.quantities(connection, period.first_day, [state.code for state in waiting.values()])
    known = view.catalog.customers if view.catalog else {}
    rated = {}
    for customer, state in waiting.items():
        if customer not in known:
            rated[customer] = Rated()
            continue
        terms = view.terms(customer)
        quantities = [_quantity(row) for row in stored[state.code]]
        rated[customer] = rate(terms, segments(terms, period), quantities, billing.calendar)
    return rated


def _quantity(row: Mapping[str, Any]) -> MeteredQuantity:
    return MeteredQuantity(
        segment=(row["subscription"], row["phase_start"].isoformat(), row["price"]),
        start=row["start"],
        cut=row["cut"],
        dimensions=row["dimensions"],
        quantity=row["quantity"],
        events=row["events"],
    )


def _rows(
    first_day: date, waiting: Mapping[str, CustomerState], rated: Mapping[str, Rated]
) -> Iterable[tuple[object, ...]]:
    for customer, found in rated.items():
        for line in found.lines:
            yield (
                first_day, waiting[customer].code, line.kind, line.subscription, line.plan, line.plan_version,
                line.price, line.product, line.description, line.service_start, line.service_end,
                dict(line.dimensions), line.quantity, line.amount.minor, line.phase_start,
            )  # fmt: skip


def stored_line(row: Mapping[str, Any], currency: str) -> RatedLine:
    """A rated line as the ledger keeps it."""
    return RatedLine(
        kind=row["kind"],
        subscription=row["subscription"],
        plan=row["plan"],
        plan_version=row["plan_version"],
        price=row["price"],
        product=row["product"],
        description=row["description"],
        service_start=row["service_start"],
        service_end=row["service_end"],
        dimensions=row["dimensions"],
        quantity=row["quantity"],
        amount=Money(int(row["amount_minor"]), currency),
        phase_start=row["phase_start"],
    )
