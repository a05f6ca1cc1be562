"""What documents with usage wait for: required sources that have not said that they delivered the whole period."""

from dataclasses import dataclass
from datetime import datetime

from billing_pipeline.catalog import Catalog, Source
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.core.plain_text import instant
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.usage import watermarks
from billing_pipeline.operations.context import Billing


@dataclass(frozen=True, slots=True)
class Awaited:
    """A required source that has not delivered a period yet.

    Attributes:
        needed: the instant that its watermark must reach: the period's end.
        deadline: when it is waited for no longer; None: for ever.
    """

    source: str
    needed: datetime
    deadline: datetime | None

    @property
    def reason(self) -> str:
        """For people."""
        until = f" or until {instant(self.deadline)}" if self.deadline else ""
        return f"waits for the watermark of {self.source} to reach {instant(self.needed)}{until}"


def awaited(
    billing: Billing, connection: Connection, period: BillingPeriod, change: int, at: datetime
) -> list[Awaited]:
    """The sources that the period's documents with usage wait for at ``at``.

    Args:
        billing: of the run.
        connection: of the ledger.
        period: which has ended.
        change: the catalog as known.
        at: an instant that is not in the future.
    """
    catalog = billing.view(connection, change, customers=()).catalog
    required = [source for source in catalog.sources.values() if source.required] if catalog else []
    return [one for source in required if (one := _awaited(billing, connection, period, source, at))]


def _awaited(
    billing: Billing, connection: Connection, period: BillingPeriod, source: Source, at: datetime
) -> Awaited | None:
    complete_at = delivered_at(billing, connection, period, source)
    if complete_at is not None and complete_at <= at:
        return None
    return Awaited(source.id, period.end, _deadline(billing, period, source))


@dataclass(frozen=True, slots=True)
class Missed:
    """A required source that had not delivered a period by its deadline: documents with usage lock without it.

    Attributes:
        deadline: which has passed.
        delivered: when it delivered after all; None: it has not yet.
    """

    source: str
    deadline: datetime
    delivered: datetime | None


def missed(
    billing: Billing, connection: Connection, period: BillingPeriod, catalog: Catalog, at: datetime
) -> list[Missed]:
    """The gaps in what the period's documents know, by the catalog given; found from what is recorded, for good."""
    found = []
    for source in catalog.sources.values():
        deadline = _deadline(billing, period, source)
        if not source.required or deadline is None or deadline > at:
            continue
        delivered = watermarks.passed_at(connection, source.id, period.end)
        if delivered is None or delivered > deadline:
            found.append(Missed(source.id, deadline, delivered))
    return found


def delivered_at(billing: Billing, connection: Connection, period: BillingPeriod, source: Source) -> datetime | None:
    """When a required source had delivered the period, or its deadline passes; None: not yet, and it has none."""
    passed = watermarks.passed_at(connection, source.id, period.end)
    known = [one for one in (passed, _deadline(billing, period, source)) if one is not None]
    return min(known, default=None)


def _deadline(billing: Billing, period: BillingPeriod, source: Source) -> datetime | None:
    return billing.calendar.after(period.end, source.deadline) if source.deadline else None
