"""Meters: what is counted, and how."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from billing_pipeline.catalog.field_types import Id, Line, Positive
from billing_pipeline.core.period import Duration

# Aggregations that look at events, not at their values.
VALUELESS_AGGREGATIONS = frozenset({"count", "unique_count", "duration"})
# Aggregations that add events up: of two reports of one event that are two uses, one is usage lost.
ADDING_AGGREGATIONS = frozenset({"sum", "count", "average"})
# What an aggregation needs beside itself; no other aggregation may have it.
AGGREGATION_FIELDS = {"unique_count": "unique_by", "duration": "session_by"}
# Aggregations of what lasts: an event of one period may count in the next ones.
LASTING_AGGREGATIONS = frozenset({"weighted_sum", "duration"})
# The dimension that says whether an event starts or stops its session.
PHASE, START, STOP = "phase", "start", "stop"


@dataclass(frozen=True, slots=True)
class Convert:
    """From the metered unit to the one that is priced.

    Attributes:
        divide_by: how many metered units make one priced unit.
        round: whether a started unit counts as a whole one (up), not at all (down), nearest, or in part (none).
    """

    divide_by: Positive
    round: Literal["up", "down", "nearest", "none"] = "none"


@dataclass(frozen=True, slots=True)
class Meter:
    """One thing that is counted.

    Attributes:
        id: unique name of the meter; events name it.
        aggregation: how events become one quantity.
        unit: the unit of the quantity, as printed, e.g. GB-s.
        dimensions: what prices may depend on; more may be sent.
        filter: count only events whose dimension has one of these values.
        multiplier: a dimension that holds a number by which each value is multiplied.
        convert: conversion to the unit that is priced.
        unique_by: for unique_count, the dimension whose different values are counted.
        session_by: for duration, the dimension that pairs a start with its stop (dimension phase: start or stop).
        max_session: for duration, how long after its start a session ends without a stop.
        per: for weighted_sum, the time by which a level is multiplied; an hour unless given.
        window: aggregate within each hour or day first, then sum.
        deduplicate_by: what makes two reports the same event, its timestamp and dimensions or its event_id; none: each
            row is an event of its own (increments, corrections by plus and minus).
        identity_grain: for sources that restate whole hours or days (UTC): within a period, a timestamp counts as the
            start of its hour or day, for everything.
        keep: which report of an event counts, the latest received or the first.
    """

    id: Id
    aggregation: str
    unit: Line = ""
    dimensions: tuple[Id, ...] = ()
    filter: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    multiplier: str | None = None
    convert: Convert | None = None
    unique_by: str | None = None
    session_by: str | None = None
    max_session: Duration | None = None
    per: Literal["second", "hour", "day"] | None = None
    window: Literal["hour", "day"] | None = None
    deduplicate_by: Literal["identity", "event_id", "none"] = "identity"
    identity_grain: Literal["hour", "day"] | None = None
    keep: Literal["latest", "first"] = "latest"

    def measures_like(self, other: "Meter") -> bool:
        """Whether the same usage gives the same quantities: what is printed, or may be priced by, does not matter."""
        return replace(self, unit="", dimensions=()) == replace(other, unit="", dimensions=())

    @property
    def has_lasting_usage(self) -> bool:
        """Whether events of one period may count in later ones: levels that stand, sessions that run on."""
        return self.aggregation in LASTING_AGGREGATIONS
