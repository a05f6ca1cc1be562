"""Sources that documents with usage wait for: the required ones that have not said that they delivered the period."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from billing_pipeline.catalog import Catalog, Source
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.core.plain_text import instant
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.usage import watermarks
from billing_pipeline.operations.context import Billing

if TYPE_CHECKING:
    from billing_pipeline.usage.profiles.facts import MissedDeadline


@dataclass(frozen=True, slots=True)
class AwaitedSource:
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


def awaited_at(
    billing: Billing, connection: Connection, period: BillingPeriod, change: int, at: datetime
) -> list[AwaitedSource]:
    """The sources that the period's documents with usage wait for at ``at``.

    Args:
        billing: of the run.
        connection: of the ledger.
        period: which has ended.
        change: the catalog as known.
        at: an instant that is not in the future.
    """
    catalog = billing.view(connection, change, customers=()).catalog
    return [
        AwaitedSource(source.id, period.end, _deadline(billing, period, source))
        for source in required_sources(catalog)
        if (complete_at := delivered_at(billing, connection, period, source)) is None or complete_at > at
    ]


def missed_deadlines(
    billing: Billing, connection: Connection, period: BillingPeriod, catalog: Catalog | None, at: datetime
) -> "list[MissedDeadline]":
    """Gaps in what the period's documents know, by the catalog given; found from what is recorded, for good."""
    from billing_pipeline.usage.profiles.facts import MissedDeadline

    missed = []
    for source in required_sources(catalog):
        deadline = _deadline(billing, period, source)
        if deadline is not None and deadline <= at:
            delivered = watermarks.passed_at(connection, source.id, period.end)
            if delivered is None or delivered > deadline:
                missed.append(MissedDeadline(source.id, deadline, delivered))
    return missed


def required_sources(catalog: Catalog | None) -> list[Source]:
    """The sources that a period is incomplete without."""
    return [source for source in catalog.sources.values() if source.required] if catalog else []


def delivered_at(billing: Billing, connection: Connection, period: BillingPeriod, source: Source) -> datetime | None:
    """When a required source had delivered the period, or its deadline passes; None: not yet, and it has none."""
    passed = watermarks.passed_at(connection, source.id, period.end)
    deadline = _deadline(billing, period, source)
    return min((at for at in (passed, deadline) if at is not None), default=None)


def _deadline(billing: Billing, period: BillingPeriod, source: Source) -> datetime | None:
    return billing.calendar.after(period.end, source.deadline) if source.deadline else None
