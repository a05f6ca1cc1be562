"""Which periods are not computed through everything that is known: late usage, catalog changes, work left half done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.periods import progress as period_progress
from billing_pipeline.ledger.periods.progress import PeriodProgress
from billing_pipeline.ledger.reading import overview
from billing_pipeline.ledger.usage import lasting_usage
from billing_pipeline.operations.context import Billing

NOTHING = PeriodProgress()


@dataclass(frozen=True, slots=True)
class Standing:
    """One period: how far it is computed, and what that leaves out.

    Attributes:
        late_usage: batches with usage in it, or before it that may last into it, are newer than its quantities.
        changed: catalog changes may concern its documents.
        unclosed: it has ended, and its documents were not computed since.
    """

    period: BillingPeriod
    progress: PeriodProgress
    late_usage: bool
    changed: bool
    unclosed: bool

    @property
    def dirty(self) -> bool:
        """Whether closing it would change anything."""
        return self.late_usage or self.changed or self.unclosed or bool(self.progress.pending)


def standings(billing: Billing) -> list[Standing]:
    """All periods that have started, oldest first. A few queries, however many there are."""
    periods, now = billing.periods(), billing.now()
    with billing.ledger.begin() as connection:
        known = period_progress.progress(connection, len(billing.buckets), now)
        change = ledger_catalog.newest_change(connection)
        first_start = overview.first_start(connection)
        lasting = lasting_usage.newest_batches(connection, lasting_usage.meters(connection, change).keys())
        fresh = _Fresh(connection, min((one.through_change for one in known.values() if one.locked), default=change))
    found = []
    before = 0  # the newest batch with events that may last into the period
    for period in periods:
        progress = known.get(period.first_day, NOTHING)
        concerned = first_start is not None and first_start < period.end
        behind = change > progress.through_change and concerned
        found.append(
            Standing(
                period,
                progress,
                late_usage=max(progress.newest_batch, before) > progress.through_batch,
                changed=behind and (not progress.locked or fresh.concern(period, progress.through_change)),
                unclosed=period.end <= now and not progress.closed and (concerned or progress.used),
            )
        )
        before = max(before, lasting.get(period.first_day, 0))
    return found


class _Fresh:
    """Subscriptions that were new when some locked period had been computed already: they may need documents in it.

    Whatever else changes in the catalog, a period whose documents are all final stays as it is.
    """

    def __init__(self, connection: Connection, after: int) -> None:
        self._subscriptions: Sequence[tuple[int, datetime, datetime | None]] = overview.newest_subscriptions(
            connection, after
        )

    def concern(self, period: BillingPeriod, through_change: int) -> bool:
        """Whether one of them, recorded after a change, is in force in the period."""
        return any(
            change > through_change and start < period.end and (end is None or end > period.start)
            for change, start, end in self._subscriptions
        )
