"""Where usage comes from, and which of a file's columns mean what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from billing_pipeline.catalog.field_types import Id, TimeZone
from billing_pipeline.core.period import Duration

# Formats that complete a mapping which does not say everything.
SELF_DESCRIBING_FORMATS = frozenset({"focus", "cloudevents"})


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that every event of the source has, where the file has no column for it.

    Attributes:
        value: the value, as text.
    """

    value: str


@dataclass(frozen=True, slots=True)
class EventMapping:
    """Our field on the left, the file's column (or a constant) on the right.

    Attributes:
        customer: column that holds the customer's id, or {value: an id}.
        meter: column that holds the meter's id, or {value: an id}.
        timestamp: column that says when it was used.
        value: column that says how much, in the meter's unit; optional where the meter merely counts events, or where
            the format says it.
        dimensions: columns that the event can be priced by, as a list, or as a mapping of our name to a column.
        event_id: column that identifies the event, for meters with `deduplicate_by: event_id`.
        revision: column that orders the reports of one event within a file; else the order of the rows counts.
        retract: column that is true where the row takes back the event of its identity.
    """

    customer: str | Constant
    meter: str | Constant
    timestamp: str
    value: str | Constant | None = None
    dimensions: Mapping[str, str | Constant] = field(default_factory=dict)
    event_id: str | None = None
    revision: str | None = None
    retract: str | None = None

    @staticmethod
    def expand(content: Mapping[str, object]) -> Mapping[str, object]:
        """``dimensions: [region]`` is short for ``{region: region}``."""
        listed = content.get("dimensions")
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            return content
        return {**content, "dimensions": {name: name for name in listed}}


@dataclass(frozen=True, slots=True)
class Source:
    """One stream of usage files.

    Attributes:
        id: unique name of the source.
        format: the format of its files.
        mode: `event` (each row is a report) or `snapshot` (each delivery replaces the earlier ones of its scope).
        event: which column means what; without it, what the format says, or columns of our own names.
        scope: for snapshots, the columns (its account and period) that name what a delivery restates.
        required: whether documents wait until the source's watermark has passed their period's end.
        deadline: how long after the period's end a required source is waited for.
        repeats: `latest` where a delivery that reports one event several times means it: the last row counts. Otherwise
            rows that differ hold their customers, as usage that may be lost.
        time_zone: IANA zone of timestamps that name none; without it such rows go to quarantine.
    """

    id: Id
    format: str
    mode: Literal["event", "snapshot"] = "event"
    event: EventMapping | None = None
    scope: tuple[str, ...] = ()
    required: bool = False
    deadline: Duration | None = None
    repeats: Literal["latest"] | None = None
    time_zone: TimeZone | None = None
