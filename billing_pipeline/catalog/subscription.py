"""A customer on plans, phase after phase."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from billing_pipeline.catalog.field_types import Assigned, Id, NotNegative
from billing_pipeline.core.errors import CatalogError


@dataclass(frozen=True, slots=True)
class Phase:
    """A customer on one plan, from ``start`` to ``end``.

    Attributes:
        plan: id of the plan in force.
        start: when the phase starts, a local day or an instant; the subscription's start for the first phase.
        end: when the next phase starts, or the subscription ends; derived from them.
        plan_version: the plan's version in force; given when the phase is first applied, and kept.
        recorded_at: when the ledger first heard of the phase; given when it is first applied, and kept.
    """

    plan: str
    start: datetime
    end: Annotated[datetime | None, Assigned()] = None
    plan_version: Annotated[int | None, Assigned()] = None
    recorded_at: Annotated[datetime | None, Assigned()] = None


@dataclass(frozen=True, slots=True)
class QuantityChange:
    """Other quantities of fees from an instant on; a fee that is not named keeps its own.

    Attributes:
        start: when they begin to count, a local day or an instant; the whole of its local day counts.
        quantities: how many of a fee, by the fee's id.
    """

    start: datetime
    quantities: Mapping[str, NotNegative]


@dataclass(frozen=True, slots=True)
class Subscription:
    """Puts a customer on a plan.

    Attributes:
        id: unique name of the subscription.
        customer: id of the customer.
        start: when it starts, a local day or an instant.
        phases: the plans in force one after the other; `plan: x` is short for a single one.
        end: when it ends, a local day or an instant; without one it goes on.
        quantities: how many of a fee, by the fee's id; 1 unless given.
        quantity_changes: other quantities, each from its start on; a change prorates fees by days.
        billing_time: what fees are aligned to: `calendar` (weeks from Monday, months from the 1st, quarters and years
            from January; or as billing periods are), or `anniversary` (the subscription's first day).
        recorded_at: when the ledger first heard of the subscription; given when it is first applied, and kept.
        extended_from: its start before that was moved to an earlier instant; given when that is applied, and kept.
    """

    id: Id
    customer: str
    start: datetime
    phases: tuple[Phase, ...]
    end: datetime | None = None
    quantities: Mapping[str, NotNegative] = field(default_factory=dict)
    quantity_changes: tuple[QuantityChange, ...] = ()
    billing_time: Literal["calendar", "anniversary"] = "calendar"
    recorded_at: Annotated[datetime | None, Assigned()] = None
    extended_from: Annotated[datetime | None, Assigned()] = None
    short: ClassVar[tuple[str, ...]] = ("plan",)
    copies: ClassVar[Mapping[tuple[str | int, ...], tuple[str, ...]]] = {("phases", 0, "start"): ("start",)}

    def __post_init__(self) -> None:
        """A phase ends where the next one starts, the last with the subscription; so no two can disagree."""
        ends = [*(phase.start for phase in self.phases[1:]), self.end]
        phases = tuple(replace(phase, end=end) for phase, end in zip(self.phases, ends, strict=False))
        object.__setattr__(self, "phases", phases)

    def recorded_later(self, phase: Phase) -> datetime | None:
        """When a phase was recorded that came after the subscription itself; None for those it came with."""
        later = phase.recorded_at is not None and phase.recorded_at != self.recorded_at
        return phase.recorded_at if later else None

    def phase_at(self, instant: datetime) -> Phase | None:
        """The phase in force at ``instant``, or None outside the subscription."""
        for phase in self.phases:
            if phase.start <= instant and (phase.end is None or instant < phase.end):
                return phase
        return None

    def quantities_at(self, instant: datetime) -> dict[str, Decimal]:
        """How many of each fee that is not counted once: ``quantities`` as changed until ``instant``, inclusive."""
        quantities = dict(self.quantities)
        for change in self.quantity_changes:
            if change.start <= instant:
                quantities |= change.quantities
        return {fee: quantity for fee, quantity in quantities.items() if quantity != 1}

    @staticmethod
    def expand(content: Mapping[str, object]) -> Mapping[str, object]:
        """``plan: x`` is short for one phase; the first phase starts with the subscription."""
        expanded = dict(content)
        plan, phases = expanded.pop("plan", None), content.get("phases")
        if plan is not None and phases is not None:
            raise CatalogError("Both a plan and phases are given.", hint="Keep one of them.", path=("plan",))
        if plan is not None:
            phases = [{"plan": plan}]
        if isinstance(phases, list) and phases and isinstance(phases[0], dict):
            first = phases[0] if phases[0].get("start") is not None else {**phases[0], "start": content.get("start")}
            expanded["phases"] = [first, *phases[1:]]
        return expanded


def first_difference(old: Subscription | None, new: Subscription) -> datetime | None:
    """The first instant at which the subscription is billed otherwise: by another plan, none, or other quantities.

    None where it is billed the same.
    """
    if old is None:
        return new.start
    instants = {phase.start for version in (old, new) for phase in version.phases}
    instants |= {change.start for version in (old, new) for change in version.quantity_changes}
    instants |= {instant for version in (old, new) for instant in (version.start, version.end) if instant}
    return next((instant for instant in sorted(instants) if _billed_by(old, instant) != _billed_by(new, instant)), None)


def _billed_by(subscription: Subscription, instant: datetime) -> tuple[object, ...] | None:
    """What a subscription is billed by at an instant; None outside it."""
    phase = subscription.phase_at(instant)
    if phase is None or instant < subscription.start or (subscription.end and instant >= subscription.end):
        return None
    quantities = subscription.quantities_at(instant)
    return phase.plan, phase.plan_version, phase.start, subscription.billing_time, quantities
