"""Where everything stands: each period, what may lock when, what is dirty, held, awaited and quarantined."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from billing_pipeline.core.plain_json import Json, JsonFields, fields_json
from billing_pipeline.core.plain_text import instant, maybe_instant
from billing_pipeline.invoicing.document import DocumentStatus
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import holds
from billing_pipeline.ledger.documents.holds import Hold
from billing_pipeline.ledger.periods import runs
from billing_pipeline.ledger.periods.runs import FailedStep
from billing_pipeline.ledger.reading import documents, overview
from billing_pipeline.ledger.reading.overview import QuarantinedRows, RefusedFile, Run
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.closing.awaited_sources import AwaitedSource, awaited_at
from billing_pipeline.operations.closing.standings import Standing, standings
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.reading.obstacles import Obstacles, standing_obstacles
from billing_pipeline.operations.reading.on_demand import WaitingWindow, waiting_windows

OPEN, IN_GRACE, LOCKED = "open", "in grace", "locked"


@dataclass(frozen=True, slots=True)
class PeriodStatus:
    """One period.

    Attributes:
        state: open, in grace (ended, with documents that are not final), or locked.
        batches: with usage in the period, and not on its documents yet.
        changes: catalog changes that are not either.
        held: what keeps customers' documents.
        awaited: required sources that have not delivered it; asked only once it has ended.
        obstacles: what keeps documents whose time to lock has come.
        runs: the last run of each stage.
    """

    standing: Standing
    state: str
    batches: int
    changes: int
    held: tuple[Hold, ...]
    awaited: tuple[AwaitedSource, ...]
    obstacles: Obstacles
    runs: tuple[Run, ...]

    @property
    def used(self) -> bool:
        """Whether the period has anything to see."""
        return self.state == OPEN or self.standing.progress.used or bool(self.held)

    def to_json(self) -> Json:
        """As the command line prints it."""
        period, progress, drafts = self.standing.period, self.standing.progress, self.standing.progress.drafts
        return {
            "period": period.key,
            "state": self.state,
            "start": instant(period.start),
            "end": instant(period.end),
            "next_lock_at": maybe_instant(drafts.next_lock_at) if drafts else None,
            "due": drafts.due if drafts else 0,
            "documents": {status: progress.documents.get(status, 0) for status in DocumentStatus},
            "dirty": {
                "dirty": self.standing.dirty,
                "batches": self.batches,
                "changes": self.changes,
                "customers": progress.pending,
                "unclosed": self.standing.unclosed,
            },
            "held": [
                {"hold": hold.id, "customer": hold.customer, "cause": hold.cause, "reason": hold.reason}
                for hold in self.held
            ],
            "awaited": [
                {"source": source.source, "until": maybe_instant(source.deadline), "reason": source.reason}
                for source in self.awaited
            ],
            "in_the_way": self.obstacles.to_json(),
            "runs": [fields_json(run, "stage", "at", "seconds", "counts", "actor") for run in self.runs],
        }


@dataclass(frozen=True, slots=True)
class Status(JsonFields):
    """The whole ledger.

    Attributes:
        quarantined: rows that wait to be mended.
        refused_files: what lies in the landing folder and could not be landed.
        payments: how many there are, by status.
        failed: steps of a tick that could not be done when they were last tried.
        windows: on demand, in which something arrived, and which are not processed.
    """

    now: datetime
    sandbox: bool
    batch: int
    change: int
    periods: tuple[PeriodStatus, ...]
    quarantined: Sequence[QuarantinedRows]
    refused_files: Sequence[RefusedFile]
    payments: Mapping[str, int]
    failed: Sequence[FailedStep]
    windows: Sequence[WaitingWindow] = ()


def status(billing: Billing, *, every: bool = False) -> Status:
    """Where all periods stand now.

    Args:
        billing: the ledger.
        every: also the periods in which there is nothing.
    """
    now, by_period = billing.now(), standings(billing)
    with documents.snapshot(billing.ledger) as connection:
        newest = ledger_catalog.newest_change(connection)
        reader = _Reader(billing, connection, now, newest)
        periods = [reader.status(standing) for standing in by_period]
        return Status(
            now=now,
            sandbox=billing.facts.sandbox,
            batch=reader.batch,
            change=newest,
            periods=tuple(period for period in periods if every or period.used),
            quarantined=overview.quarantined(connection),
            refused_files=overview.refused_files(connection),
            payments=overview.payments(connection),
            failed=runs.failed_steps(connection),
            windows=waiting_windows(connection),
        )


class _Reader:
    """Reads what concerns a period; what concerns all of them is read once."""

    def __init__(self, billing: Billing, connection: Connection, now: datetime, change: int) -> None:
        self._billing, self._connection, self._now, self._change = billing, connection, now, change
        self.batch = manifest.newest_batch(connection)
        self._held = defaultdict[date, list[Hold]](list)
        for hold in holds.placed(connection):
            self._held[hold.period].append(hold)
        self._runs = defaultdict[date, list[Run]](list)
        for run in overview.last_runs(connection):
            self._runs[run.period].append(run)

    def status(self, standing: Standing) -> PeriodStatus:
        """One period's status."""
        first_day, progress = standing.period.first_day, standing.progress
        batches = (
            manifest.touching(self._connection, first_day, progress.through_batch, self.batch)
            if standing.late_usage
            else ()
        )
        ended = standing.period.end <= self._now
        final = not progress.documents.get(DocumentStatus.DRAFT) and not standing.unclosed
        state = state_of(ended=ended, final=final)
        sources = tuple(
            awaited_at(self._billing, self._connection, standing.period, self._change, self._now)
            if state == IN_GRACE
            else ()
        )
        is_due = progress.drafts is not None and progress.drafts.due
        return PeriodStatus(
            standing=standing,
            state=state,
            batches=len(batches),
            changes=self._change - progress.through_change if standing.changed else 0,
            held=tuple(self._held.get(first_day, ())),
            awaited=sources,
            obstacles=standing_obstacles(self._connection, standing.period, sources, self._now)
            if is_due
            else Obstacles(),
            runs=tuple(self._runs.get(first_day, ())),
        )


def state_of(*, ended: bool, final: bool) -> str:
    """Open while the period runs, in grace while a document of it is not final, then locked."""
    if not ended:
        return OPEN
    return LOCKED if final else IN_GRACE
