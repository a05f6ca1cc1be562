"""What the ledger knows about a period and its usage is compared with; the profile itself reads only the lake."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.usage.event import LakeFile

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the profile.

    Attributes:
        name: the profile's column.
        value: a count, or a percentage.
        customers: codes of the customers it concerns.
        meter: code of the meter it concerns.
        subject: what else it concerns, e.g. a source or a delivery, in words.
        note: what a person wants to know beside it, e.g. the largest value.
        batch: the first batch with which it was so; a hold for it counts from then on.
    """

    name: str
    value: int | Decimal
    customers: tuple[int, ...] = ()
    meter: int | None = None
    subject: str = ""
    note: str = ""
    batch: int | None = None


def percent(part: int | Decimal, whole: int | Decimal) -> Decimal:
    """A figure in percent: a part of a whole, to a tenth."""
    return (Decimal(part) * 100 / Decimal(whole)).quantize(Decimal("0.1"))


# How many values of a meter lie in each power of ten: {meter code: {exponent: values}}. Small, exact, and those of
# several periods simply add up.
Magnitudes = Mapping[int, Mapping[int, int]]


def counts_schema() -> "pa.Schema":
    """How usage counts stand in a table: a row a customer (code) and meter (code)."""
    import pyarrow as pa

    figures = ("landed", "accepted", "superseded", "retracted", "unpriced", "pending")
    return pa.schema([("customer", pa.int32()), ("meter", pa.int16()), *((name, pa.int64()) for name in figures)])


@dataclass(frozen=True, slots=True)
class PeriodBatch:
    """One batch that concerns the period.

    Attributes:
        source: whose.
        name: the file's name.
        rows: input rows.
        quarantined: how many of them went to quarantine.
        kept: how many are in the lake, in all periods.
        snapshot: whether each delivery replaces the earlier ones; then a repeated key has failed it as a whole.
        revised: whether the source says that it repeats events, and which report counts (a revision, or the latest).
    """

    source: str
    name: str
    rows: int
    quarantined: int
    kept: int
    snapshot: bool = False
    revised: bool = False

    def title(self, number: int) -> str:
        """The batch in words by which a person finds it again."""
        return f"batch {number} of {self.source} ({self.name})"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """How much of one source waits in quarantine, of the deliveries that concern the period.

    Attributes:
        source: whose.
        rows: input rows of these deliveries.
        waiting: how many wait to be mended.
        customers: the codes of known customers that the waiting rows name.
        batch: the first delivery with waiting rows.
    """

    source: str
    rows: int
    waiting: int
    customers: tuple[int, ...] = ()
    batch: int | None = None


@dataclass(frozen=True, slots=True)
class NegativeQuantity:
    """A price's quantities below zero.

    Attributes:
        customer: code.
        price: id.
        count: how many of its quantities (per dimensions and cut point).
        least: the lowest.
    """

    customer: int
    price: str
    count: int
    least: Decimal


@dataclass(frozen=True, slots=True)
class MissedDeadline:
    """A required source that had not delivered the period when it was waited for no longer.

    Attributes:
        source: id.
        delivered: when it delivered after all; None: it has not yet.
    """

    source: str
    deadline: datetime
    delivered: datetime | None


@dataclass(frozen=True, slots=True)
class LateVolume:
    """A volume-priced quantity that changed after its line was final.

    Attributes:
        customer: code.
        price: id.
        dimensions: the values that the price tells apart.
        quantity: known now, less what was billed; in the priced unit.
    """

    customer: int
    price: str
    dimensions: Mapping[str, str]
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Unrated:
    """Quantities that rating found no rate for; it holds the customer's documents itself.

    Attributes:
        customer: code.
        reason: which quantities.
    """

    customer: int
    reason: str


@dataclass(frozen=True, slots=True)
class MetersThen:
    """What tells events apart for customers whose usage is final: the meters as they were at its lock.

    Attributes:
        customers: codes.
        meters: by code.
    """

    customers: frozenset[int]
    meters: Mapping[int, Meter]


@dataclass(frozen=True, slots=True)
class UsageFacts:
    """What the ledger knows of one period's usage, read in one transaction.

    Attributes:
        period: which.
        now: the ledger's clock.
        meters: by code.
        meters_then: where the usage of customers is final under other meters than these.
        files: the period's files in the lake.
        later_files: for the newest period that has begun, the files of periods that have not.
        deliveries: batches of each snapshot scope, by the scope's code.
        batches: by number, each batch that has rows in the period.
        counts: usage counts as metering left them (:func:`counts_schema`).
        settled_through: the last batch that metering has seen in every customer bucket.
        quarantined: by source.
        negative_quantities: by customer and price.
        unrated: by customer.
        missed_deadlines: of required sources.
        late_volume: what is known and not billable, by customer and price.
        earlier_events: accepted events by meter code, in each of the last periods.
        earlier_sources: sources that reported in an earlier period.
        magnitudes: of the last periods together.
    """

    period: BillingPeriod
    now: datetime
    meters: Mapping[int, Meter] = field(default_factory=dict)
    meters_then: Sequence[MetersThen] = ()
    files: Sequence[LakeFile] = ()
    later_files: Sequence[LakeFile] = ()
    deliveries: Mapping[int, Sequence[int]] = field(default_factory=dict)
    batches: Mapping[int, PeriodBatch] = field(default_factory=dict)
    counts: "pa.Table" = field(default_factory=lambda: counts_schema().empty_table())
    settled_through: int = 0
    quarantined: Sequence[Quarantined] = ()
    negative_quantities: Sequence[NegativeQuantity] = ()
    unrated: Sequence[Unrated] = ()
    missed_deadlines: Sequence[MissedDeadline] = ()
    late_volume: Sequence[LateVolume] = ()
    earlier_events: Mapping[int, Sequence[int]] = field(default_factory=dict)
    earlier_sources: frozenset[str] = frozenset()
    magnitudes: Magnitudes = field(default_factory=dict)

    @property
    def starts(self) -> Mapping[date, datetime]:
        """The first instant of the period, by its first local day."""
        return {self.period.first_day: self.period.start}
