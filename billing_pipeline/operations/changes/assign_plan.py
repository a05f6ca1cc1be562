"""Put a customer on another plan: now, later, or from the start of a period that is still open for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from billing_pipeline.catalog import Phase, Plan, Subscription
from billing_pipeline.catalog.problems import suggestion
from billing_pipeline.core.errors import Refused
from billing_pipeline.core.plain_text import instant
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.operations.changes.customer_change import CustomerCatalog, CustomerChange
from billing_pipeline.operations.changes.start import NOW
from billing_pipeline.operations.context import Billing


@dataclass(frozen=True, slots=True)
class AssignPlan:
    """Put a customer on a plan.

    It is in force from the start on, in place of the phases that start at or after it. A customer without a
    subscription that is in force then, or later, gets a new one. Where that version is in force already and nothing
    else is scheduled, nothing changes: its tiers go on.

    Attributes:
        customer: the customer's id.
        plan: the plan's id; its newest version is assigned.
        subscription: its id, where the customer has several.
        start: from when
        extend: where the subscription starts later than that, move its start; else the plan is in force from then on.
    """

    customer: str
    plan: str
    subscription: str | None = None
    start: str = NOW
    extend: bool = False

    def customer_id(self, _billing: Billing) -> str:
        """The customer who is named."""
        return self.customer

    def changed(self, recorded: CustomerCatalog) -> CustomerChange:
        """The subscription with the plan.

        Raises:
            Refused: an id is unknown, it is not clear which subscription is meant, or it has ended.
        """
        since = recorded.start(self.start)
        plan, subscription = self._plan(recorded), self._subscription(recorded, since)
        notes = []
        if subscription is not None and since < subscription.start and not self.extend:
            since = subscription.start
            notes.append(
                f"Subscription {subscription.id} starts on {recorded.written(since)}, and keeps its start; "
                "--extend moves it."
            )
        changed = _moved(recorded, subscription, plan, since) if subscription else _new(recorded, plan, since)
        words = f"plan assign {self.customer} {self.plan} --subscription {changed.id} --start {instant(since)}"
        if subscription is not None and changed.start < subscription.start:
            words += " --extend"
        if changed.end:
            notes.append(f"It still ends on {recorded.written(changed.end)}.")
        return CustomerChange(changed, since, words, " ".join(notes), firm=True)

    def _plan(self, recorded: CustomerCatalog) -> Plan:
        plans = recorded.catalog.plans
        if self.plan not in plans:
            raise Refused(f"There is no plan {self.plan!r}.", hint=suggestion(self.plan, plans))
        return plans[self.plan]

    def _subscription(self, recorded: CustomerCatalog, since: datetime) -> Subscription | None:
        """The subscription named, else the only one that is in force at the start, or will be; None: there is none."""
        subscriptions = recorded.catalog.subscriptions
        if self.subscription:
            if self.subscription not in subscriptions:
                raise Refused(
                    f"Customer {self.customer} has no subscription {self.subscription!r}.",
                    hint=suggestion(self.subscription, subscriptions),
                )
            return subscriptions[self.subscription]
        lasting = [
            subscription
            for subscription in subscriptions.values()
            if subscription.end is None or subscription.end > since
        ]
        if len(lasting) > 1:
            names = ", ".join(sorted(subscription.id for subscription in lasting))
            raise Refused(
                f"Customer {self.customer} has {len(lasting)} subscriptions: {names}.",
                hint="Name one with --subscription.",
            )
        return lasting[0] if lasting else None


def _moved(recorded: CustomerCatalog, subscription: Subscription, plan: Plan, since: datetime) -> Subscription:
    if subscription.end is not None and subscription.end <= since:
        raise Refused(
            f"Subscription {subscription.id} ends on {recorded.written(subscription.end)}; no plan starts "
            f"in it on {recorded.written(since)}.",
            hint="Leave --subscription out to start a new subscription, or take the end back: apply this one without "
            "its end with billing catalog apply, after billing catalog export.",
        )
    phases = _phases(subscription.phases, plan, since)
    return replace(subscription, start=min(subscription.start, since), phases=phases)


def _phases(phases: Sequence[Phase], plan: Plan, since: datetime) -> tuple[Phase, ...]:
    """The phases that start before; and the plan, unless the last of them is the same."""
    kept = tuple(phase for phase in phases if phase.start < since)
    if kept and (kept[-1].plan, kept[-1].plan_version) == (plan.id, plan.version):
        return kept
    return (*kept, Phase(plan.id, since, plan_version=plan.version))


def _new(recorded: CustomerCatalog, plan: Plan, since: datetime) -> Subscription:
    """A subscription with the first id that nobody has: acme-scale, else acme-scale-2 and so on."""
    base = name = f"{recorded.customer.id}-{plan.id}"
    number = 1
    while ledger_catalog.owner(recorded.connection, "subscription", name) is not None:
        number += 1
        name = f"{base}-{number}"
    return Subscription(name, recorded.customer.id, since, _phases((), plan, since))
