"""The ledger's clock: read it, and move a sandbox's forward."""

from dataclasses import dataclass
from datetime import datetime

from billing_pipeline.core.errors import Refused
from billing_pipeline.core.plain_json import JsonFields
from billing_pipeline.ledger import clock
from billing_pipeline.operations.context import Billing


@dataclass(frozen=True, slots=True)
class ClockReading(JsonFields):
    """What the clock says.

    Attributes:
        sandbox: whether it can be set; no other ledger's clock can.
    """

    now: datetime
    sandbox: bool


def read_clock(billing: Billing) -> ClockReading:
    """The ledger's now."""
    return ClockReading(billing.now(), billing.facts.sandbox)


def set_clock(billing: Billing, to: datetime) -> ClockReading:
    """Move a sandbox's clock forward, for all its processes at once. Setting it to where it stands changes nothing.

    Raises:
        Refused: the ledger is no sandbox, or its clock is later already.
    """
    if to.tzinfo is None:
        raise Refused(f"{to.isoformat()} has no time zone.", hint=f"Write {to.isoformat()}Z for UTC.")
    sandbox = billing.facts.sandbox
    with billing.ledger.begin() as connection:
        return ClockReading(clock.set_clock(connection, to), sandbox)
