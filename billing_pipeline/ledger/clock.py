"""The ledger's calendar and buckets, and its one clock.

A sandbox ledger's clock can be moved forward, for all its processes at once, and stands still in between. No other
ledger's clock can be set, and none goes back.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from billing_pipeline.core.errors import LedgerError, Refused, SettingsError
from billing_pipeline.core.period import END_OF_TIME, BillingCalendar, calendar
from billing_pipeline.ledger.database import lock_key
from billing_pipeline.ledger.tables import batch, catalog_change, finalization, ledger, stage_run


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """The ledger's own facts, which ``billing init`` wrote once.

    Attributes:
        calendar: time zone, cadence and first period.
        buckets: how many customer buckets there are.
        sandbox: whether the clock may be set.
    """

    calendar: BillingCalendar
    buckets: int
    sandbox: bool

    def bucket_of(self, code: int) -> int:
        """The customer bucket of a customer's code: given once with the code, and fixed for good."""
        return code % self.buckets


def facts(connection: Connection) -> LedgerFacts:
    """The ledger's own facts. Raises LedgerError where ``billing init`` has not run."""
    row = connection.execute(select(ledger)).one_or_none()
    if row is None:
        raise LedgerError("The ledger is not initialised.", hint="Run: billing init")
    return LedgerFacts(calendar(row.time_zone, row.cadence, row.first_day), row.buckets, row.sandbox)


def initialize(connection: Connection, new_facts: LedgerFacts, now: datetime | None) -> bool:
    """Write the ledger's facts (as the owner); False where the same facts are already there.

    Raises:
        SettingsError: the ledger was initialised with other facts; nothing is changed.
        Refused: a clock was given for a ledger that is no sandbox.
    """
    lock_key(connection, "initialize")
    present = connection.execute(select(ledger)).one_or_none()
    if present is not None:
        refuse_mismatch(facts(connection), new_facts.calendar)
        if present.sandbox != new_facts.sandbox:
            present_kind, requested = ("sandbox", "real") if present.sandbox else ("real", "sandbox")
            raise SettingsError(
                f"This is a {present_kind} ledger; it never becomes a {requested} one.",
                hint="Initialise another database for it (BILLING_DATABASE_URL or BILLING_HOME).",
            )
        return False
    if now is not None and not new_facts.sandbox:
        raise _not_a_sandbox()
    if now is not None:
        _refuse_beyond(now)
    connection.execute(
        insert(ledger).values(
            id=1,
            sandbox=new_facts.sandbox,
            sandbox_now=now,
            time_zone=new_facts.calendar.time_zone,
            cadence=str(new_facts.calendar.cadence),
            first_day=new_facts.calendar.first_day,
            buckets=new_facts.buckets,
            created_at=now or func.clock_timestamp(),
        )
    )
    return True


def refuse_mismatch(present: LedgerFacts, settings: BillingCalendar) -> None:
    """Refuse a calendar that differs from the ledger's: it would bill other periods than those already billed."""
    differences = [
        f"{name} is {setting} in the settings, {recorded} in the ledger"
        for name, setting, recorded in (
            ("BILLING_TIME_ZONE", settings.time_zone, present.calendar.time_zone),
            ("BILLING_PERIOD", str(settings.cadence), str(present.calendar.cadence)),
            ("BILLING_FIRST_PERIOD", settings.first_day, present.calendar.first_day),
        )
        if setting != recorded
    ]
    if differences:
        raise SettingsError(
            f"The settings do not fit this ledger: {'; '.join(differences)}.",
            hint="A ledger keeps its calendar for good; set the variables to the ledger's values.",
        )


def now(connection: Connection, sandbox_now: datetime | None = None) -> datetime:
    """The clock's instant. ``asked`` (BILLING_NOW) moves a sandbox's clock forward first.

    Raises:
        Refused: ``asked`` is before the clock, or the ledger is no sandbox.
    """
    row = connection.execute(select(ledger.c.sandbox, ledger.c.sandbox_now)).one()
    if sandbox_now is not None and sandbox_now != row.sandbox_now:
        return set_clock(connection, sandbox_now)
    if row.sandbox_now is not None:
        instant: datetime = row.sandbox_now
        return instant
    # Nothing is recorded before a cutoff that has passed, even where the machine's clock was put back.
    last_cutoff = select(func.max(finalization.c.cutoff)).scalar_subquery()
    real: datetime = connection.execute(select(func.greatest(func.clock_timestamp(), last_cutoff))).scalar_one()
    return real


def set_clock(connection: Connection, instant: datetime) -> datetime:
    """Move a sandbox's clock forward to ``instant``, for all processes."""
    _refuse_beyond(instant)
    lock_key(connection, "clock")
    row = connection.execute(select(ledger.c.sandbox, ledger.c.sandbox_now)).one()
    if not row.sandbox:
        raise _not_a_sandbox()
    latest = row.sandbox_now or _greatest_recorded(connection)
    if latest is not None and instant < latest:
        raise Refused(
            f"The clock stands at {latest.isoformat()} and never goes back to {instant.isoformat()}.",
            hint="Start a new sandbox in the past: BILLING_NOW=… billing init --sandbox, with another BILLING_HOME.",
        )
    connection.execute(update(ledger).values(sandbox_now=instant))
    return instant


def _refuse_beyond(instant: datetime) -> None:
    """When dates end no period does, and the clock never goes back."""
    if instant >= END_OF_TIME:
        raise Refused(
            f"{instant.isoformat()} is not before the year {END_OF_TIME.year}.", hint="Set an earlier instant."
        )


def _greatest_recorded(connection: Connection) -> datetime | None:
    """The last instant that anything was recorded at while the sandbox still ran with the real clock."""
    return connection.scalar(
        select(
            func.greatest(
                select(func.max(batch.c.received_at)).scalar_subquery(),
                select(func.max(catalog_change.c.recorded_at)).scalar_subquery(),
                select(func.max(stage_run.c.at)).scalar_subquery(),
            )
        )
    )


def _not_a_sandbox() -> Refused:
    return Refused(
        "The clock of a real ledger cannot be set.",
        hint="Unset BILLING_NOW, or use a sandbox: billing init --sandbox with another BILLING_HOME.",
    )
