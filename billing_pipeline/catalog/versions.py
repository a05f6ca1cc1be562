"""Plan versions: changed content is a new one, and a phase keeps the one it began with."""

from dataclasses import replace

from billing_pipeline.catalog.catalog import Catalog
from billing_pipeline.catalog.plan import Plan
from billing_pipeline.catalog.subscription import Phase, Subscription


def with_versions(catalog: Catalog, existing: Catalog | None) -> Catalog:
    """``catalog`` with a version for each plan, and each phase pinned to one."""
    plans = {
        plan.id: _versioned(plan, existing.plans.get(plan.id) if existing else None) for plan in catalog.plans.values()
    }
    subscriptions = {
        one.id: _pinned(one, plans, existing.subscriptions.get(one.id) if existing else None)
        for one in catalog.subscriptions.values()
    }
    return replace(catalog, plans=plans, subscriptions=subscriptions)


def _versioned(plan: Plan, recorded: Plan | None) -> Plan:
    if recorded is None:
        return replace(plan, version=1)
    if replace(plan, version=recorded.version) == recorded:
        return recorded
    return replace(plan, version=recorded.version + 1)


def _pinned(subscription: Subscription, plans: dict[str, Plan], recorded: Subscription | None) -> Subscription:
    """A phase that is recorded (same plan, same start) keeps its version; a new one takes the newest.

    The first phase is the same one also where the subscription's start moved.
    """
    if subscription is recorded:
        return subscription
    pins = {(phase.plan, phase.start): phase.plan_version for phase in recorded.phases} if recorded else {}
    if recorded:
        pins.setdefault((recorded.phases[0].plan, subscription.start), recorded.phases[0].plan_version)

    def pinned(phase: Phase) -> Phase:
        return replace(phase, plan_version=pins.get((phase.plan, phase.start)) or plans[phase.plan].version)

    return replace(subscription, phases=tuple(pinned(phase) for phase in subscription.phases))
