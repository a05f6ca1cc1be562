"""Where everything stands: each period, what may lock when, what is dirty, held, awaited and quarantined."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from billing_pipeline.core.plain_text import instant, maybe_instant
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import holds
from billing_pipeline.ledger.documents.holds import Hold
from billing_pipeline.ledger.reading import documents, overview
from billing_pipeline.ledger.reading.overview import Run
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.closing.awaited_sources import Awaited, awaited
from billing_pipeline.operations.closing.standings import Standing, standings
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.reading.obstacles import InTheWay, standing_in_the_way

OPEN, IN_GRACE, LOCKED = "open", "in grace", "locked"

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class PeriodStatus:
    """One period.

    Attributes:
        state: open, in grace (ended, with documents that are not final), or locked.
        batches: with usage in the period, and not on its documents yet.
        changes: catalog changes that are not either.
        held: what keeps customers' documents.
        awaited: required sources that have not delivered it; asked only once it has ended.
        in_the_way: what keeps documents whose time to lock has come.
        runs: the last run of each stage.
    """

    standing: Standing
    state: str
    batches: int
    changes: int
    held: tuple[Hold, ...]
    awaited: tuple[Awaited, ...]
    in_the_way: InTheWay
    runs: tuple[Run, ...]

    @property
    def used(self) -> bool:
        """Whether there is anything to see."""
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
            "documents": {name: progress.documents.get(name, 0) for name in ("draft", "finalized", "void")},
            "dirty": {
                "dirty": self.standing.dirty,
                "batches": self.batches,
                "changes": self.changes,
                "customers": progress.pending,
                "unclosed": self.standing.unclosed,
            },
            "held": [
                {"hold": one.id, "customer": one.customer, "cause": one.cause, "reason": one.reason}
                for one in self.held
            ],
            "awaited": [
                {"source": one.source, "until": maybe_instant(one.deadline), "reason": one.reason}
                for one in self.awaited
            ],
            "in_the_way": self.in_the_way.to_json(),
            "runs": [
                {
                    "stage": one.stage,
                    "at": instant(one.at),
                    "seconds": round(one.seconds, 3),
                    "counts": dict(one.counts),
                    "actor": one.actor,
                }
                for one in self.runs
            ],
        }


@dataclass(frozen=True, slots=True)
class Status:
    """The whole ledger.

    Attributes:
        quarantined: (source, code, rows) that wait to be mended.
        refused: (URL, error, seen at) of files in the landing folder that could not be landed.
        payments: how many there are, by status.
    """

    now: datetime
    sandbox: bool
    batch: int
    change: int
    periods: tuple[PeriodStatus, ...]
    quarantined: Sequence[tuple[str, str, int]]
    refused: Sequence[tuple[str, str, datetime]]
    payments: Mapping[str, int]

    def to_json(self) -> Json:
        """As the command line prints it."""
        return {
            "now": instant(self.now),
            "sandbox": self.sandbox,
            "batch": self.batch,
            "change": self.change,
            "periods": [one.to_json() for one in self.periods],
            "quarantined": [{"source": source, "code": code, "rows": rows} for source, code, rows in self.quarantined],
            "refused_files": [
                {"url": url, "error": error, "seen_at": instant(seen_at)} for url, error, seen_at in self.refused
            ],
            "payments": dict(self.payments),
        }


def status(billing: Billing, *, every: bool = False) -> Status:
    """Where everything stands now.

    Args:
        billing: the ledger.
        every: also the periods in which there is nothing.
    """
    now, known = billing.now(), standings(billing)
    with documents.snapshot(billing.ledger) as connection:
        newest = ledger_catalog.newest_change(connection)
        by_period = _Found(billing, connection, now, newest)
        periods = [by_period.status(one) for one in known]
        return Status(
            now=now,
            sandbox=billing.facts.sandbox,
            batch=manifest.newest_batch(connection),
            change=newest,
            periods=tuple(one for one in periods if every or one.used),
            quarantined=overview.quarantined(connection),
            refused=overview.refused_files(connection),
            payments=overview.payments(connection),
        )


class _Found:
    """What is known by period, read at once."""

    def __init__(self, billing: Billing, connection: Connection, now: datetime, change: int) -> None:
        self._billing, self._connection, self._now, self._change = billing, connection, now, change
        self._held = defaultdict[date, list[Hold]](list)
        for hold in holds.known(connection):
            self._held[hold.period].append(hold)
        self._runs = defaultdict[date, list[Run]](list)
        for run in overview.last_runs(connection):
            self._runs[run.period].append(run)

    def status(self, one: Standing) -> PeriodStatus:
        """One period's."""
        first_day, progress = one.period.first_day, one.progress
        late = (
            manifest.touching(self._connection, first_day, progress.through_batch, self._newest)
            if one.late_usage
            else ()
        )
        sources = self._awaited(one)
        return PeriodStatus(
            standing=one,
            state=self._state(one),
            batches=len(late),
            changes=self._change - progress.through_change if one.changed else 0,
            held=tuple(self._held.get(first_day, ())),
            awaited=sources,
            in_the_way=self._in_the_way(one, sources),
            runs=tuple(self._runs.get(first_day, ())),
        )

    @property
    def _newest(self) -> int:
        return manifest.newest_batch(self._connection)

    def _state(self, one: Standing) -> str:
        if one.period.end > self._now:
            return OPEN
        return IN_GRACE if one.progress.documents.get("draft") or one.unclosed else LOCKED

    def _in_the_way(self, one: Standing, sources: tuple[Awaited, ...]) -> InTheWay:
        """Looked for only where a document is due."""
        if one.progress.drafts is None or not one.progress.drafts.due:
            return InTheWay()
        return standing_in_the_way(self._connection, one.period, sources, self._now)

    def _awaited(self, one: Standing) -> tuple[Awaited, ...]:
        """Nothing is awaited before the period's end, or once its documents are final."""
        if self._state(one) != IN_GRACE:
            return ()
        return tuple(awaited(self._billing, self._connection, one.period, self._change, self._now))
