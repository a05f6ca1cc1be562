"""What due documents wait for: holds of their customers, and sources that have not delivered."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import holds
from billing_pipeline.ledger.reading.documents import KnownDocument
from billing_pipeline.operations.closing.awaited_sources import awaited
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.reading.invoice_json import Json

_MOMENT = timedelta(microseconds=1)


class Waits:
    """What due documents wait for at an instant; what concerns a whole period is read once."""

    def __init__(self, billing: Billing, connection: Connection, at: datetime) -> None:
        """At ``at``, which is not in the future."""
        self._billing, self._connection, self._at = billing, connection, at
        self._held: dict[date, Mapping[int, Sequence[holds.HoldInterval]]] = {}
        self._sources: dict[date, list[Json]] = {}

    def of(self, one: KnownDocument) -> list[Json]:
        """Holds and sources; nothing for a document that is final, or not due."""
        if one.status != "draft" or one.lock_at > self._at:
            return []
        held = [
            {"kind": "hold", "cause": hold.cause, "reason": hold.reason}
            for hold in self._holds(one.period).get(one.code, ())
            if hold.created_at <= self._at and (hold.released_at is None or hold.released_at > self._at)
        ]
        return [*held, *(self._awaited(one.period) if one.has_usage else ())]

    def _holds(self, period: date) -> Mapping[int, Sequence[holds.HoldInterval]]:
        if period not in self._held:
            self._held[period] = holds.intervals(self._connection, period)
        return self._held[period]

    def _awaited(self, period: date) -> list[Json]:
        if period not in self._sources:
            known = ledger_catalog.change_before(self._connection, self._at + _MOMENT)
            found = awaited(
                self._billing, self._connection, self._billing.calendar.period(period.isoformat()), known, self._at
            )
            self._sources[period] = [{"kind": "source", "cause": one.source, "reason": one.reason} for one in found]
        return self._sources[period]
