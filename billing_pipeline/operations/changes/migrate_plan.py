"""Move all subscribers of a plan to its newest version, from a start on: a new rate reaches who is on an older one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from billing_pipeline.catalog import ObjectChange, Phase, Plan, Subscription
from billing_pipeline.catalog.problems import suggestion
from billing_pipeline.core.errors import Refused
from billing_pipeline.core.plain_json import Json, fields_json
from billing_pipeline.core.plain_text import instant
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.operations.changes.preview import DocumentChange, preview_all
from billing_pipeline.operations.changes.record_change import record_change
from billing_pipeline.operations.changes.start import NOW, parse_start
from billing_pipeline.operations.context import Billing


@dataclass(frozen=True, slots=True)
class PlanMigration:
    """What moving a plan's subscribers changed, or would change.

    Attributes:
        version: the plan's newest, to which they move.
        number: of the catalog change; None where nobody moves, or nothing was to be written.
        customers: ids of those who move.
        documents: those that differ, where it was only shown.
    """

    plan: str
    version: int
    start: datetime
    number: int | None
    dry_run: bool
    customers: Sequence[str]
    changes: tuple[ObjectChange, ...]
    documents: tuple[DocumentChange, ...]

    def to_json(self) -> Json:
        """As the command line prints it."""
        return {
            "change": self.number,
            **fields_json(self, "plan", "version", "dry_run"),
            "start": instant(self.start),
            **fields_json(self, "customers", "changes", "documents"),
        }


def migrate_plan(
    billing: Billing, plan: str, *, from_version: int | None = None, start: str = NOW, dry_run: bool = False
) -> PlanMigration:
    """Move the subscriptions that are on an older version of a plan at the start, or later, to its newest one.

    All in one catalog change: either everybody is moved, or nobody. What else is scheduled stays.

    Args:
        billing: names the actor.
        plan: id.
        from_version: only those on this one; None: on any older one.
        start: from when, as people say it.
        dry_run: show each document that changes, and record nothing.

    Raises:
        Refused: there is no such plan, or somebody's period is locked at the start.
    """
    with billing.ledger.begin() as connection:
        ledger_catalog.wait_for_changes(connection)
        now, newest = billing.now(connection), ledger_catalog.newest_change(connection)
        existing = billing.view(connection, newest).catalog
        if existing is None or plan not in existing.plans:
            known = existing.plans if existing else ()
            raise Refused(f"There is no plan {plan!r}.", hint=suggestion(plan, known))
        since, of_plan = parse_start(start, billing.calendar, now), existing.plans[plan]
        moved = {
            subscription.id: changed
            for subscription in existing.subscriptions.values()
            if (changed := _moved(subscription, of_plan, from_version, since, now)) is not None
        }
        customers = sorted({subscription.customer for subscription in moved.values()})
        catalog = replace(existing, subscriptions={**existing.subscriptions, **moved})
        words = f"plan migrate {plan} --start {instant(since)}"
        with connection.begin_nested() as trial:
            recorded = record_change(billing, connection, existing, catalog, action=words, at=now)
            number, documents = recorded.number, tuple[DocumentChange, ...]()
            if dry_run:
                if number is not None:
                    apart = replace(billing, _views={})  # nobody may remember a change that is taken back
                    documents = preview_all(apart, connection, customers, (newest, number))
                trial.rollback()
                number = None
    return PlanMigration(plan, of_plan.version, since, number, dry_run, customers, recorded.changes, documents)


def _moved(
    subscription: Subscription, plan: Plan, from_version: int | None, since: datetime, now: datetime
) -> Subscription | None:
    """The subscription on the plan's newest version from the start on; None where that changes nothing."""
    since = max(since, subscription.start)
    if subscription.end is not None and subscription.end <= since:
        return None
    phases: list[Phase] = []
    for phase in subscription.phases:
        older = phase.plan == plan.id and phase.plan_version != plan.version
        concerned = older and from_version in (None, phase.plan_version)
        if not concerned or (phase.end is not None and phase.end <= since):
            phases.append(phase)
            continue
        if phase.start < since:
            phases.append(phase)
        phases.append(Phase(plan.id, max(phase.start, since), plan_version=plan.version, recorded_at=now))
    changed = replace(subscription, phases=tuple(phases))
    return None if _versions(changed.phases) == _versions(subscription.phases) else changed


def _versions(phases: Collection[Phase]) -> list[tuple[str, datetime, int | None]]:
    return [(phase.plan, phase.start, phase.plan_version) for phase in phases]
