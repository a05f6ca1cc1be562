"""Lines and what they are made from: metered quantities, lines rounded once, and the reasons inside a line."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from billing_pipeline.core.money import Money
from billing_pipeline.metering.segments import SegmentKey


class LineKind(StrEnum):
    """What a line states: what was used or is due, what lowers it, what corrects it, and what follows from the sum."""

    USAGE = "usage"
    FEE = "fee"
    TRUE_UP = "true_up"
    DISCOUNT = "discount"
    ADJUSTMENT = "adjustment"
    CREDIT = "credit"
    TAX = "tax"


@dataclass(frozen=True, slots=True)
class MeteredQuantity:
    """A metered quantity of one price, cumulative from the segment's start to ``cut``.

    Attributes:
        segment: key of the segment.
        start: the segment's start.
        cut: usage before this instant is counted.
        dimensions: the values that the price tells apart.
        quantity: in the meter's unit, exact.
        events: how many events it counts.
        provisional: how many sessions in it have not been stopped yet.
        counted_to: where something that lasts counts only to the instant of the measurement, that instant.
        measures: for a price of single events, their values in order, or the sum of the amounts in them; None
            for other prices, and where an amount cannot be read.
    """

    segment: SegmentKey
    start: datetime
    cut: datetime
    dimensions: Mapping[str, str]
    quantity: Decimal
    events: int
    provisional: int = 0
    counted_to: datetime | None = None
    measures: tuple[Decimal, ...] | None = None


class RatedLine(NamedTuple):
    """A line: one priced quantity of a customer and service period, rounded once.

    Attributes:
        kind: what it states.
        service_start, service_end: local days ``[start, end)`` in which it was used.
        quantity: pricing quantity; None where there is none.
        amount: rounded to the currency's minor unit.
        phase_start: start of the subscription's phase; with subscription and price it names the segment.
        start: the instant from which its usage, or what a fee pays for, counts.
        adjusts: of an adjustment, the kind of the line that it corrects.
        adjusts_document: of an adjustment or a credit note, the final document that it corrects.
    """

    kind: LineKind
    subscription: str | None
    plan: str | None
    plan_version: int | None
    price: str | None
    product: str | None
    description: str
    service_start: date | None
    service_end: date | None
    dimensions: Mapping[str, str]
    quantity: Decimal | None
    amount: Money
    phase_start: datetime | None = None
    start: datetime | None = None
    adjusts: LineKind | None = None
    adjusts_document: UUID | None = None


@dataclass(frozen=True, slots=True)
class Rated:
    """The lines of a customer, and the quantities that have no rate: these hold the customer's documents."""

    lines: tuple[RatedLine, ...] = ()
    problems: tuple[str, ...] = ()


class LineDetail(NamedTuple):
    """A line's detail: one of the reasons for its amount, to which all of them add up exactly.

    Attributes:
        description: what is priced, e.g. ``"over 100 up to 1000"``.
        quantity: how much of it, in the meter's unit, or how many events, packages or flat amounts.
        unit_amount: major units per one of ``quantity``; None where the amount is no such product.
        amount: major units, exact, unrounded.
    """

    description: str
    quantity: Decimal
    unit_amount: Decimal | None
    amount: Decimal
