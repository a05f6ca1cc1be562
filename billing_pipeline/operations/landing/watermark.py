"""Watermarks: record that a source has delivered everything up to an instant."""

from datetime import datetime

from billing_pipeline.core.errors import Refused, nearest
from billing_pipeline.ledger.usage import watermarks
from billing_pipeline.operations.context import Billing


def record(billing: Billing, source: str, instant: datetime) -> bool:
    """Record that ``source`` has delivered all usage before ``instant``; False where it had said exactly that.

    Raises:
        Refused: an unknown source; an instant without time zone, in the future, or before the recorded one.
    """
    now = billing.now()
    if instant.tzinfo is None:
        raise Refused(f"{instant.isoformat()} has no time zone.", hint=f"Write {instant.isoformat()}Z for UTC.")
    if instant > now:
        # It could never be taken back, and documents would lock without waiting for their usage.
        raise Refused(
            f"{instant.isoformat()} is in the future; now is {now.isoformat()}.",
            hint="A watermark says what is delivered, and what is not used yet cannot be.",
        )
    with billing.ledger.begin() as connection:
        sources = watermarks.sources(connection)
        if source not in sources:
            raise Refused(f"There is no source {source!r} in the catalog.", hint=nearest(source, sources))
        return watermarks.record(connection, source, instant, at=now, actor=billing.actor)
