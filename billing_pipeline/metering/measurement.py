"""What is asked of metering, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Measurement:
    """Asks for one meter of one customer over a stretch of time, for one price.

    Attributes:
        number: the asker's own; answers name it.
        customer: the ledger's code.
        meter: whose events.
        start: first instant that counts.
        end: first instant that does not.
        before_arrival: look at what was received before it, deduplicated as of then; None looks at everything.
        by: dimensions that the price depends on; there is a quantity for each combination of their values.
        matches: combinations that the price has rates for; all others add up to one quantity with no dimensions.
            Where there are none, each combination has its own.
    """

    number: int
    customer: int
    meter: str
    start: datetime
    end: datetime
    before_arrival: int | None = None
    by: tuple[str, ...] = ()
    matches: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Quantity:
    """One answer to a measurement; a measurement without events has none.

    Attributes:
        number: the measurement's.
        dimensions: values of its ``by``; a dimension that the events do not have is left out.
        quantity: exact; an average has 50 digits.
        events: how many events count in it, > 0.
    """

    number: int
    dimensions: dict[str, str]
    quantity: Decimal
    events: int


@dataclass(frozen=True, slots=True)
class UsageCount:
    """Where the reports of one customer and meter ended: landed = accepted + superseded + retracted.

    Attributes:
        unpriced: accepted events at instants that no measurement covers, whatever its ``before_arrival``.
    """

    customer: int
    meter: str
    landed: int
    accepted: int
    superseded: int
    retracted: int
    unpriced: int


@dataclass(frozen=True, slots=True)
class Measured:
    """All answers: quantities by number and dimensions, counts by customer and meter."""

    quantities: list[Quantity]
    counts: list[UsageCount]
