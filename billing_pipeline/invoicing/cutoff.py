"""When documents are cut off: the first instant at which ``lock_at`` had passed and nothing held the document.

What is received at or after the cutoff is late, whenever the run that locks the document comes. The cutoff follows
from what is recorded (catalog changes, holds, watermarks, each with its instant), so that it can be found again.

An example: acme's January closes with a document issued on 1 February; its grace is 3 days, so ``lock_at`` is midnight
of 4 February. Change 7 is the last one of the catalog that was recorded by the end of January.

- Nothing holds: the cutoff is 4 February, 00:00. A run on 9 February finds the same instant.
- A check holds acme from 3 February, 12:00, until a person releases it on 5 February, 09:00: that is the cutoff. Usage
  received on 4 February is on the document.
- Held like that, change 8 is recorded on 4 February, 18:00, and makes the grace 7 days. It came before the cutoff, so
  the document is looked at as change 8 calls for it: ``lock_at`` is 8 February, 00:00, and so is the cutoff.
- Not held, change 8 comes 18 hours after the cutoff: the document was cut off at 4 February, 00:00, under change 7.
- Held until 6 February, change 8 makes the grace 1 day: ``lock_at`` is 2 February, but the hold goes on, and the cutoff
  is 6 February, 00:00.
- Not held, the grace was 7 days before change 8 makes it 1: ``lock_at`` is 2 February, which nobody knew of until then.
  The cutoff is the moment after the recording, 4 February, 18:00:00.000001.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_pipeline.core.period import MOMENT
from billing_pipeline.invoicing.document import Billed, DocumentPlan

PlansAt = Callable[[int, Billed], list[DocumentPlan]]


@dataclass(frozen=True, slots=True)
class HeldInterval:
    """A time in which something held a document; ``end`` None: it still does."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class RecordedChange:
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

    @property
    def customer(self) -> str:
        """Id of the customer whose document it is."""
        return self.plan.identity.customer

    @property
    def document(self) -> UUID:
        """Id of the document."""
        return self.plan.identity.id


def free_from(instant: datetime, holds: Sequence[HeldInterval]) -> datetime | None:
    """The instant from which a document is free: the first at or after ``instant`` at which nothing held it.

    None while something still does.
    """
    # By their starts: a hold that begins while another holds only moves the end on; one that begins after a free moment
    # comes too late, whatever it holds, as the document was cut off at that moment.
    for interval in sorted(holds, key=lambda interval: interval.start):
        if interval.start <= instant and (interval.end is None or instant < interval.end):
            if interval.end is None:
                return None
            instant = interval.end
    return instant


@dataclass(frozen=True, slots=True)
class History:
    """What is recorded of a customer's documents of one period, as far as it moves their cutoffs.

    Attributes:
        first: number of the catalog change from which to look: documents are not looked at as earlier ones had them.
        changes: later ones, oldest first.
        holds: when something held the customer's documents.
        waits: when a required source had not delivered the period. Only documents with usage wait for it.
    """

    first: int
    changes: Sequence[RecordedChange]
    holds: Sequence[HeldInterval] = ()
    waits: Sequence[HeldInterval] = ()


def cut_off(plans_at: PlansAt, billed: Billed, history: History, now: datetime) -> Iterator[Cut]:
    """The documents of one customer and period whose cutoff has come.

    Args:
        plans_at: (catalog change, what is billed) → the documents that the catalog as known then calls for.
        billed: what is final already.
        history: what is recorded of the customer.
        now: the ledger's clock.
    """
    # Each change of the catalog may call for other documents, and lock them at another time. A step looks at them as
    # the catalog stood from one change to the next. What is cut off within a step is final: by ``billed`` the later
    # steps know of it, and neither bill it again nor add to it.
    steps = [RecordedChange(history.first, datetime.min.replace(tzinfo=now.tzinfo)), *history.changes]
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        for plan in plans_at(step.number, billed):
            cutoff = _cutoff(plan, step, history)
            # Where the next change was recorded before the cutoff, that change decides. One recorded at the very cutoff
            # is late: what counts was recorded before.
            if cutoff is None or cutoff > now or (following is not None and following.recorded_at < cutoff):
                continue
            billed = billed.adding(plan)
            yield Cut(plan, cutoff, step.number)


def _cutoff(plan: DocumentPlan, step: RecordedChange, history: History) -> datetime | None:
    """When a document would be cut off, if the catalog stayed as it was at ``step``."""
    # A change can move ``lock_at`` into the past, but no cutoff before its own recording: until then nobody knew of it.
    # The moment after, as what is recorded at the cutoff is late, and the document is as the change wants it.
    earliest = max(plan.lock_at, step.recorded_at + MOMENT)
    return free_from(earliest, [*history.holds, *history.waits] if plan.has_usage else history.holds)
