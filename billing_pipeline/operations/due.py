"""Which periods and payments are due now, beside periods that are dirty: for all that starts work by itself."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.documents import payments
from billing_pipeline.ledger.reading import overview
from billing_pipeline.operations.closing.awaited_sources import awaited_at
from billing_pipeline.operations.closing.standings import Standing
from billing_pipeline.operations.context import Billing


def unchecked(billing: Billing, periods: Sequence[Standing]) -> list[BillingPeriod]:
    """Periods in which something happened since they were checked."""
    with billing.ledger.begin() as connection:
        days = overview.unchecked(connection)
    return [standing.period for standing in periods if standing.period.first_day in days]


def lockable(billing: Billing, periods: Sequence[Standing], closed: Collection[BillingPeriod] = ()) -> list[Standing]:
    """Periods in which documents may lock now.

    Args:
        billing: of the run.
        periods: where they stand.
        closed: those just closed; a change may have moved a lock in them.
    """
    now = billing.now()
    return [
        standing
        for standing in periods
        if (drafts := standing.progress.drafts) is not None
        and (
            (standing.period in closed and standing.period.end <= now)
            or drafts.due_without_usage
            or (drafts.due_and_free and not _awaits(billing, standing.period))
        )
    ]


def _awaits(billing: Billing, period: BillingPeriod) -> bool:
    """Whether the documents with usage wait for a source."""
    now = billing.now()
    with billing.ledger.begin() as connection:
        return bool(awaited_at(billing, connection, period, ledger_catalog.newest_change(connection), now))


@dataclass(frozen=True, slots=True)
class DuePayments:
    """The payments that may be handed over now.

    Attributes:
        by_gateway: how many payments.
        last_event: of all that happened to payments; it differs once something was handed over.
    """

    by_gateway: Mapping[str, int]
    last_event: int

    def __bool__(self) -> bool:
        return bool(self.by_gateway)


def due_payments(billing: Billing) -> DuePayments:
    """The payments that are queued, or due for another try."""
    now = billing.now()
    with billing.ledger.begin() as connection:
        return DuePayments(payments.due_by_gateway(connection, now), payments.last_event(connection))
