"""Periods that are not computed through all that is known: late usage, catalog changes, work left half done."""

from dataclasses import dataclass

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.periods import progress as period_progress
from billing_pipeline.ledger.periods.progress import PeriodProgress
from billing_pipeline.ledger.reading import overview
from billing_pipeline.ledger.usage import lasting_usage
from billing_pipeline.operations.context import Billing


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
        """Whether closing the period would change anything."""
        return self.late_usage or self.changed or self.unclosed or bool(self.progress.pending)


def standings(billing: Billing) -> list[Standing]:
    """Standings of all periods that have started, oldest first. A few queries, however many there are."""
    periods, now = billing.periods(), billing.now()
    with billing.ledger.begin() as connection:
        progress_of = period_progress.progress(connection, len(billing.buckets), now)
        change = ledger_catalog.newest_change(connection)
        first_start = overview.first_start(connection)
        lasting = lasting_usage.newest_batches(connection, lasting_usage.meters(connection, change).keys())
    result = []
    earlier = 0  # the newest batch of an earlier period with events that may last into this one
    for period in periods:
        progress = progress_of.get(period.first_day, PeriodProgress())
        billed = first_start is not None and first_start < period.end
        behind = change > progress.through_change and billed
        result.append(
            Standing(
                period,
                progress,
                late_usage=max(progress.newest_batch, earlier) > progress.through_batch,
                # Where all documents are final, whom a change may concern was noted when it was recorded: they wait.
                changed=behind and not progress.locked,
                unclosed=period.end <= now and not progress.closed and (billed or progress.used),
            )
        )
        earlier = max(earlier, lasting.get(period.first_day, 0))
    return result
