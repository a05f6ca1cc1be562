"""What the ledger gives: versions of plans, which a phase keeps, and when a subscription was first recorded."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from billing_pipeline.catalog.catalog import Catalog
from billing_pipeline.catalog.discount import Discount
from billing_pipeline.catalog.plan import Plan
from billing_pipeline.catalog.subscription import Phase, Subscription


def with_versions(catalog: Catalog, existing: Catalog | None, at: datetime | None = None) -> Catalog:
    """``catalog`` with a version for each plan, and each phase pinned to one: changed content is a new version.

    Args:
        catalog: as it will stand; a phase's plan may be missing from it.
        existing: as recorded.
        at: when it is recorded; None where it is not.
    """
    plans = {
        plan.id: _versioned(plan, existing.plans.get(plan.id) if existing else None) for plan in catalog.plans.values()
    }
    subscriptions = {
        subscription.id: _pinned(
            subscription, plans, existing.subscriptions.get(subscription.id) if existing else None, at
        )
        for subscription in catalog.subscriptions.values()
    }
    discounts = _ordered(catalog.discounts, existing.discounts if existing else {})
    return replace(catalog, plans=plans, subscriptions=subscriptions, discounts=discounts)


def _versioned(plan: Plan, recorded: Plan | None) -> Plan:
    if recorded is None:
        return replace(plan, version=1)
    if replace(plan, version=recorded.version) == recorded:
        return recorded
    return replace(plan, version=recorded.version + 1)


def _pinned(
    subscription: Subscription, plans: dict[str, Plan], recorded: Subscription | None, at: datetime | None
) -> Subscription:
    """A phase that is recorded (same plan, same start) keeps its version; a new one takes the newest.

    A verb names the version itself. The first phase is the same one also where the subscription's start moved, but
    that it starts then was not known before.
    """
    if subscription is recorded:
        return subscription
    before = recorded.phases if recorded else ()
    pins = {(phase.plan, phase.start): phase.plan_version for phase in before}
    recorded_at = {(phase.plan, phase.start, phase.plan_version): phase.recorded_at for phase in before}
    if recorded:
        pins.setdefault((recorded.phases[0].plan, subscription.start), recorded.phases[0].plan_version)

    def pinned(phase: Phase) -> Phase:
        newest = plans[phase.plan].version if phase.plan in plans else None
        version = phase.plan_version or pins.get((phase.plan, phase.start)) or newest
        return replace(phase, plan_version=version, recorded_at=recorded_at.get((phase.plan, phase.start, version), at))

    phases = tuple(pinned(phase) for phase in subscription.phases)
    extended_from = recorded.extended_from if recorded else None
    if recorded and subscription.start < recorded.start:
        extended_from = recorded.start
    first_recorded = recorded.recorded_at if recorded else at
    return replace(subscription, phases=phases, recorded_at=first_recorded, extended_from=extended_from)


def _ordered(discounts: Mapping[str, Discount], recorded: Mapping[str, Discount]) -> dict[str, Discount]:
    """A discount that is recorded keeps its place; new ones follow all others, in the order of the files."""
    newest = max((discount.order for discount in recorded.values()), default=0)
    places = {name: discount.order for name, discount in recorded.items()}
    places |= {name: place for place, name in enumerate((name for name in discounts if name not in places), newest + 1)}
    return {name: replace(discount, order=places[name]) for name, discount in discounts.items()}
