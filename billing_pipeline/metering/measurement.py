"""Measurements of usage and their answers: what metering is asked, and the quantities and counts that it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from billing_pipeline.usage.event import LakeFile

# Quantities of what cannot be measured: they hold their customer, and nobody else.
TOO_LARGE = Decimal("Infinity")  # more than the engine's 38 digits
NO_NUMBER = Decimal("NaN")  # an event has no number by which its meter multiplies

# What the price wants to know of single events: nothing, their values, or the amounts that stand in them.
Needs = Literal["quantity", "events", "amounts"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is to be measured of one customer: one meter over a stretch of time, for one price.

    Attributes:
        number: the asker's own; answers name it.
        customer: the ledger's code.
        meter: whose events.
        start: first instant that counts.
        end: first instant that does not.
        by: dimensions that the price depends on; there is a quantity for each combination of their values.
        matches: combinations that the price has rates for; all others add up to one quantity with no dimensions.
            Where there are none, each combination has its own.
        needs: what is wanted beside the quantity.
        amount_field: the dimension that holds an event's amount, where the price needs amounts.
    """

    number: int
    customer: int
    meter: str
    start: datetime
    end: datetime
    by: tuple[str, ...] = ()
    matches: tuple[Mapping[str, str], ...] = ()
    needs: Needs = "quantity"
    amount_field: str | None = None


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity that answers a measurement; a measurement without events has none.

    Attributes:
        number: the measurement's.
        dimensions: values of its ``by``; a dimension that the events do not have is left out.
        quantity: exact; a quotient without a last digit has 60 decimals. TOO_LARGE or NO_NUMBER where there is none.
        events: how many events count in it, > 0.
        provisional: how many sessions are open at the end, or now where that is earlier.
        counted_to: now, where something that lasts counts only so far; None where the quantity is complete.
        measures: for a price that needs events, the value of each in the order of (timestamp, arrival); for one that
            needs amounts, the sum of those in the events. None where it needs neither, or where an event has
            no amount that can be read.
    """

    number: int
    dimensions: dict[str, str]
    quantity: Decimal
    events: int
    provisional: int = 0
    counted_to: datetime | None = None
    measures: tuple[Decimal, ...] | None = None


class Step(NamedTuple):
    """A step of usage in the order of arrival: an event that counts from now on, or one that counts no more.

    A restatement is two steps of one arrival: the value before is taken back, the new one counts.

    Attributes:
        arrival: when, in the one order of receipt.
        event: the arrival of the report whose value it is; it names the event where that is taken back.
        value: what it counts, or counted.
        counts: whether it counts from now on; else it is taken back.
    """

    arrival: int
    event: int
    value: Decimal
    counts: bool

    @property
    def change(self) -> Decimal:
        """By how much the quantity changes."""
        return self.value if self.counts else -self.value


@dataclass(frozen=True, slots=True)
class UsageCount:
    """Where the reports of one customer and meter ended: landed = accepted + superseded + retracted.

    Attributes:
        unpriced: accepted events at instants that no measurement covers.
        pending: accepted events that stop a session whose start is not known.
    """

    customer: int
    meter: str
    landed: int
    accepted: int
    superseded: int
    retracted: int
    unpriced: int
    pending: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """All quantities, by number and dimensions, and counts, by customer and meter."""

    quantities: list[Quantity]
    counts: list[UsageCount]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The time around a measured period: how days are told, what runs into it, and where it stands.

    Attributes:
        time_zone: the billing time zone: whose days a meter's ``window: day`` means.
        now: when what nothing has ended stops counting; None where all that is asked is in the past.
        earlier: files of earlier periods, as far back as something in them may last into this one. Only levels and
            sessions are looked at, and no row of them is counted.
    """

    time_zone: ZoneInfo
    now: datetime | None = None
    earlier: Sequence[LakeFile] = ()
