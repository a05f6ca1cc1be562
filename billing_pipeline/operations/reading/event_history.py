"""Every report of an event, and which one won: what was superseded or retracted stays to be seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from billing_pipeline.catalog import Meter
from billing_pipeline.core.errors import Refused, nearest
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.core.plain_json import Json, fields_json
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.reading import causes
from billing_pipeline.ledger.reading.causes import CauseBatch
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.closing.measure_customers import engine, in_lake
from billing_pipeline.operations.context import Billing
from billing_pipeline.usage.history import Report, history

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KnownReport:
    """One report of an event, and the delivery that brought it."""

    report: Report
    batch: CauseBatch

    def to_json(self) -> Json:
        """As the command line prints it."""
        return {
            **fields_json(self.report, "timestamp", "dimensions", "value", "event_id", "retract", "status"),
            "won": self.report.status == "accepted",
            **fields_json(self.report, "batch", "row"),
            **fields_json(self.batch, "source", "name", "received_at"),
        }


def event_history(
    billing: Billing,
    customer: str,
    meter: str,
    *,
    timestamp: datetime | None = None,
    dimensions: Mapping[str, str] | None = None,
    event_id: str | None = None,
    period: str | None = None,
) -> list[KnownReport]:
    """All reports of a customer's events on a meter, in the order they were received, period by period.

    Args:
        billing: the ledger.
        customer: its id.
        meter: its id.
        timestamp: only the event of this instant.
        dimensions: only the event with exactly these.
        event_id: only the event with this id.
        period: only this period's events, by its key.

    Raises:
        Refused: there is no such customer, meter or period.
    """
    with billing.ledger.begin() as connection:
        codes, meters = ledger_catalog.customer_codes(connection), ledger_catalog.meter_codes(connection)
    code, rule = _named("customer", customer, codes), _rule(billing, meter)
    reports = []
    for billing_period in _periods(billing, timestamp, period):
        with billing.ledger.begin() as connection:
            newest = manifest.newest_batch(connection)
            buckets = [billing.facts.bucket_of(code)]
            files = manifest.files(connection, billing_period.first_day, newest, buckets=buckets)
            deliveries = manifest.deliveries(connection, newest)
        if not files:
            continue
        with engine(billing) as set_engine:
            reports += history(
                set_engine, in_lake(billing, files), deliveries, code, (meters[meter], rule),
                timestamp=timestamp, dimensions=dimensions, event_id=event_id,
                starts={billing_period.first_day: billing_period.start},
            )  # fmt: skip
    with billing.ledger.begin() as connection:
        batches = {batch.number: batch for batch in causes.batches(connection, {report.batch for report in reports})}
    return [KnownReport(report, batches[report.batch]) for report in reports]


def _periods(billing: Billing, timestamp: datetime | None, period: str | None) -> list[BillingPeriod]:
    if period is not None:
        return [billing.period(period)]
    if timestamp is None:
        return billing.periods()
    holding = billing.calendar.period_of(timestamp)
    return [holding] if holding else []


def _rule(billing: Billing, meter: str) -> Meter:
    with billing.ledger.begin() as connection:
        change = ledger_catalog.newest_change(connection)
        catalog = billing.view(connection, change, customers=()).catalog
    return _named("meter", meter, catalog.meters if catalog else {})


def _named(kind: str, name: str, choices: Mapping[str, T]) -> T:
    if name not in choices:
        raise Refused(f"There is no {kind} {name!r}.", hint=nearest(name, tuple(choices)))
    return choices[name]
