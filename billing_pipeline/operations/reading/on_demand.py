"""Windows on demand for people: what a period's invoiced, and which are due, or will be when they are over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing_pipeline.core.money import Money
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.core.plain_json import Json, JsonFields
from billing_pipeline.core.plain_text import instant
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import on_demand
from billing_pipeline.ledger.reading import overview
from billing_pipeline.operations.context import Billing


@dataclass(frozen=True, slots=True)
class WaitingWindow(JsonFields):
    """A window in which something arrived for a customer, not processed yet.

    Attributes:
        waits_for: why it was not when it was looked at last; None: it is not over, or was not looked at.
    """

    customer: str
    window_end: datetime
    waits_for: str | None


@dataclass(frozen=True, slots=True)
class OnDemandSummary:
    """The documents on demand of a period.

    Attributes:
        totals: by currency.
        newest: the last ones, for a table.
        waiting: windows of any period that are not processed, for a table.
    """

    documents: int
    totals: Sequence[Money]
    newest: Sequence[Json]
    waiting: Sequence[Json]


def waiting_windows(connection: Connection) -> tuple[WaitingWindow, ...]:
    """All windows that are not processed, oldest first."""
    return tuple(WaitingWindow(*row) for row in on_demand.waiting(connection))


def on_demand_summary(billing: Billing, period: BillingPeriod) -> OnDemandSummary:
    """The period's documents on demand, as the Dagster asset shows them."""
    with billing.ledger.begin() as connection:
        rows, windows = overview.on_demand(connection, period.first_day), waiting_windows(connection)
    totals: dict[str, Money] = {}
    for row in rows:
        total = Money(int(row.total_minor), row.currency)
        totals[row.currency] = totals.get(row.currency, Money(0, row.currency)) + total
    newest: list[Json] = [
        {
            "number": row.number,
            "customer": row.customer_id,
            "window end": instant(row.window_end),
            "total": str(Money(int(row.total_minor), row.currency)),
            "currency": row.currency,
        }
        for row in rows[:_SHOWN]
    ]
    waiting: list[Json] = [
        {"customer": one.customer, "window end": instant(one.window_end), "waits for": one.waits_for or ""}
        for one in windows[:_SHOWN]
    ]
    return OnDemandSummary(len(rows), tuple(totals.values()), newest, waiting)


_SHOWN = 20
