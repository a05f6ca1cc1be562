"""When documents are cut off: the first instant at which ``lock_at`` had passed and nothing held the document.

What is received at or after the cutoff is late, whenever the run that locks the document comes. The cutoff follows
from what is recorded (catalog changes, holds, watermarks, each with its instant), so that it can be found again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing_pipeline.core.period import MOMENT
from billing_pipeline.invoicing.document import Billed, DocumentPlan

PlansAt = Callable[[int, Billed], list[DocumentPlan]]


@dataclass(frozen=True, slots=True)
class Interval:
    """From when to when something held; ``end`` None: it still does."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """A catalog change that may concern the customer: its number and when it was recorded."""

    number: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Cut:
    """A document that is cut off.

    Attributes:
        cutoff: usage received, and catalog changes recorded, at or after it are late.
        change: the last catalog change before the cutoff.
        terms: fingerprint of the customer's terms as known then.
    """

    plan: DocumentPlan
    cutoff: datetime
    change: int
    terms: str = ""


def free_from(instant: datetime, holds: Sequence[Interval]) -> datetime | None:
    """The first moment at or after ``instant`` at which nothing held; None while something still does."""
    for interval in sorted(holds, key=lambda one: one.start):
        if interval.start <= instant and (interval.end is None or instant < interval.end):
            if interval.end is None:
                return None
            instant = interval.end
    return instant


@dataclass(frozen=True, slots=True)
class History:
    """What is recorded of one customer and period.

    Attributes:
        known: the last catalog change known at the period's end.
        changes: later ones, oldest first.
        holds: when something held the customer's documents.
        waits: when a required source had not delivered the period. Only documents with usage wait for it.
    """

    known: int
    changes: Sequence[Change]
    holds: Sequence[Interval] = ()
    waits: Sequence[Interval] = ()


def cut_off(plans_at: PlansAt, billed: Billed, history: History, now: datetime) -> Iterator[Cut]:
    """The documents of one customer and period whose cutoff has come.

    Args:
        plans_at: (catalog change, what is billed) → the documents that the catalog as known then calls for.
        billed: what is final already.
        history: what is recorded of the customer.
        now: the ledger's clock.
    """
    steps = [Change(history.known, datetime.min.replace(tzinfo=now.tzinfo)), *history.changes]
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        for plan in plans_at(step.number, billed):
            cutoff = _cutoff(plan, step, history)
            if cutoff is None or cutoff > now or (following is not None and following.recorded_at < cutoff):
                continue
            billed = billed.adding(plan)
            yield Cut(plan, cutoff, step.number)


def _cutoff(plan: DocumentPlan, step: Change, history: History) -> datetime | None:
    """When the document would be cut off, if the catalog stayed as it was at ``step``."""
    earliest = max(plan.lock_at, step.recorded_at + MOMENT)
    return free_from(earliest, [*history.holds, *history.waits] if plan.has_usage else history.holds)
