"""One tick: do at once what the schedules and sensors would do now. Cron can run the product with it.

Each step looks at the ledger for what there is to do, and can be repeated: two ticks at once, or one after a kill,
waste work and change nothing twice. Where nothing is to be done it costs a few queries.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic, time
from typing import Any

from billing_pipeline.core.errors import BillingError, unexpected
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.core.plain_json import Json, fields_json
from billing_pipeline.core.private_files import FILE, make_private_folder
from billing_pipeline.ledger.periods import runs
from billing_pipeline.ledger.periods.runs import FailedStep
from billing_pipeline.operations.closing.standings import Standing, standings
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.due import due_payments, lockable, unchecked
from billing_pipeline.operations.on_demand.windows import invoice_windows, windows_due
from billing_pipeline.operations.payments.deliver import deliver

_SWEEP_SECONDS = 3600
_ROUNDS = 3  # late usage reaches the document that carries it in the second


@dataclass(frozen=True, slots=True)
class TickStep:
    """One step of a tick that was taken.

    Attributes:
        name: sweep, land, examine, close, check, on_demand, lock or deliver; note, where even that it failed cannot be
            kept.
        period: its key; None where it belongs to none.
        result: what it did, in the form of its own command.
        problem: why it could not be done; other steps went on.
    """

    name: str
    period: str | None
    seconds: float
    result: object = None
    problem: BillingError | None = None

    @property
    def summary(self) -> str:
        """What it did, in a line."""
        if self.problem is not None:
            return str(self.problem)
        return _SUMMARIES[self.name](self.result)

    def to_json(self) -> Json:
        """As the command line prints it."""
        content = {"step": self.name, **fields_json(self, "period", "seconds")}
        if self.problem is None:
            return content | {"result": self.result}
        return content | {"error": fields_json(self.problem, "code", "message", "hint")}


def _landed(result: Any) -> str:
    rows = sum(file["rows"] for file in result["landed"])
    return f"{len(result['landed'])} files, {rows} rows; refused {len(result['refused'])}"


def _checked(result: Any) -> str:
    failed = [check["name"] for check in result["checks"] if check["outcome"] != "passed"]
    return f"failed {', '.join(failed) or 'none'}; held {len(result['held'])}"


def _counted(result: Any) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in result.items() if isinstance(count, int))


_SUMMARIES: Mapping[str, Callable[[Any], str]] = {
    "sweep": lambda result: f"removed {len(result['removed'])} files that a crash left",
    "land": _landed,
    "examine": lambda result: f"lake files restored; released {', '.join(result['released'])}",
    "close": lambda result: "; ".join(f"{stage['stage']}: {_counted(stage['counts'])}" for stage in result),
    "check": _checked,
    "on_demand": _counted,
    "lock": lambda result: _counted(result["counts"]),
    "deliver": _counted,
}


@dataclass(slots=True)
class TickReport:
    """What a tick did. ``steps`` is empty where there was nothing to do."""

    now: datetime
    steps: list[TickStep] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def problems(self) -> list[TickStep]:
        """The steps that could not be done."""
        return [step for step in self.steps if step.problem is not None]

    def to_json(self) -> Json:
        """As the command line prints it."""
        return fields_json(self, "now", "seconds", "steps")


def tick(billing: Billing) -> TickReport:
    """Sweep once an hour, land files, close and check what is dirty, invoice windows on demand, lock, deliver payments.

    Returns:
        What was done. What was refused, or broke, is a problem in it and stops only what builds on it.
    """
    return _Tick(billing, TickReport(billing.now())).run()


@dataclass
class _Tick:
    billing: Billing
    report: TickReport
    _swept: bool = False

    def run(self) -> TickReport:
        """All steps, in the order of the data's path."""
        started = monotonic()
        self._sweep()
        self._land()
        self._examine_lake()
        closed, periods = self._close_dirty()
        checks = {period: self._check(period) for period in unchecked(self.billing, periods)}
        if checks:
            periods = standings(self.billing)
        next_locks = [drafts.next_lock_at for one in periods if (drafts := one.progress.drafts) and drafts.due]
        if self._invoice_windows(before=min(next_locks, default=None)):
            closed, periods = self._close_dirty()
            checks |= {period: self._check(period) for period in unchecked(self.billing, periods)}
        while due := [
            standing.period for standing in lockable(self.billing, periods, closed) if checks.get(standing.period, True)
        ]:
            locked = sum(self._lock(period) for period in due)
            closed, periods = self._close_dirty()
            checks |= {period: self._check(period) for period in unchecked(self.billing, periods)}
            if not locked:
                break  # else what became final may call for a document that is due, too
        if next_locks and self._invoice_windows():
            _, periods = self._close_dirty()
            for period in unchecked(self.billing, periods):
                self._check(period)
        self._deliver()
        self._keep_failures()
        self.report.seconds = monotonic() - started
        return self.report

    def _keep_failures(self) -> None:
        """Note which steps failed, for ``status``; forget those that were done, or that nothing is left to do for."""
        failed = {(step.name, step.period): step.problem for step in self.report.steps if step.problem is not None}
        not_asked = set() if self._swept else {("sweep", None)}

        def work() -> None:
            with self.billing.ledger.begin() as connection:
                known = {(step.step, step.period) for step in runs.failed_steps(connection)}
                if not known and not failed:
                    return
                now = self.billing.now(connection)
                for (name, period), error in failed.items():
                    runs.note_failed(connection, FailedStep(name, period, error.message, error.hint, now, now))
                runs.forget_failed(connection, known - failed.keys() - not_asked)

        self._step("note", None, work)

    def _close_dirty(self) -> tuple[list[BillingPeriod], list[Standing]]:
        """Close dirty periods, and those that this makes dirty: late usage of one period is billed in another."""
        closed: list[BillingPeriod] = []
        periods = standings(self.billing)
        refused = set[BillingPeriod]()
        for _ in range(_ROUNDS):
            dirty = [standing.period for standing in periods if standing.dirty and standing.period not in refused]
            if not dirty:
                break
            for period in dirty:
                (closed.append if self._close(period) else refused.add)(period)
            periods = standings(self.billing)
        return closed, periods

    def _step(self, name: str, period: BillingPeriod | None, work: Callable[[], object]) -> bool:
        """Take a step and note it; whether it could be taken. A result of None is not worth a note."""
        started, key = monotonic(), period.key if period else None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is in the report, and keeps nothing else from being done
            problem = error if isinstance(error, BillingError) else unexpected(error)
            self.report.steps.append(TickStep(name, key, monotonic() - started, problem=problem))
            return False
        if result is not None:
            self.report.steps.append(TickStep(name, key, monotonic() - started, result))
        return True

    def _land(self) -> None:
        from billing_pipeline.operations.landing.landing_folder import land_waiting

        def watch(url: str) -> Callable[[int, int, int], None]:
            step = self.billing.watch(f"land {url.rpartition('/')[2]}")
            return lambda _rows, done, in_all: step(done, in_all)

        def work() -> object:
            landed = land_waiting(self.billing, watch=watch)
            return landed.to_json() if landed else None

        self._step("land", None, work)

    def _sweep(self) -> None:
        """Remove what crashes left, once an hour on each machine: staging and spilling are its own."""
        marker = self.billing.settings.home / "swept"
        if marker.exists() and time() - marker.stat().st_mtime < _SWEEP_SECONDS:
            return

        def work() -> object:
            from billing_pipeline.operations.landing.sweep import sweep

            removed = sweep(self.billing)
            make_private_folder(marker.parent)
            marker.touch(mode=FILE)
            return {"removed": removed} if removed else None

        self._swept = True
        self._step("sweep", None, work)

    def _examine_lake(self) -> None:
        """See whether files were restored for which somebody is held: nothing else says so."""
        from billing_pipeline.operations.closing import lake_files

        for period in lake_files.held_periods(self.billing):

            def work(period: BillingPeriod = period) -> object:
                released = lake_files.examine(self.billing, period)
                return {"released": released} if released else None

            self._step("examine", period, work)

    def _close(self, period: BillingPeriod) -> bool:
        from billing_pipeline.operations.closing.close import (
            close,  # with the engine, which a tick with no work never needs
        )

        return self._step("close", period, lambda: [stage.to_json() for stage in close(self.billing, period)])

    def _check(self, period: BillingPeriod) -> bool:
        from billing_pipeline.operations.locking.check_and_lock import checked

        return self._step("check", period, lambda: checked(self.billing, period).to_json())

    def _lock(self, period: BillingPeriod) -> int:
        """How many documents became final."""
        from billing_pipeline.operations.locking.lock import lock

        finalized = 0

        def work() -> object:
            nonlocal finalized
            report = lock(self.billing, period)
            finalized = int(report.counts["finalized"])
            return report.to_json()

        self._step("lock", period, work)
        return finalized

    def _invoice_windows(self, before: datetime | None = None) -> bool:
        """Whether windows on demand became documents: these may use credit that drafts had."""
        issued = False
        if windows_due(self.billing):

            def work() -> object:
                nonlocal issued
                report = invoice_windows(self.billing, before)
                issued = bool(report.issued)
                return report.to_json() if report.windows or report.waiting else None

            self._step("on_demand", None, work)
        return issued

    def _deliver(self) -> None:
        if due_payments(self.billing):
            self._step("deliver", None, lambda: deliver(self.billing).to_json())
