"""Measurements as a table that the engine can join: a row each, with the shape that says which query answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from billing_pipeline.catalog.meter import PHASE, Meter
from billing_pipeline.metering.aggregations import AGGREGATIONS, Spans
from billing_pipeline.metering.counted_events import Match, canonical
from billing_pipeline.metering.measurement import Measurement, Needs
from billing_pipeline.usage.arrow import pc

PAIR = ["customer", "meter"]  # the columns that say whose events of what

_QUESTION = pa.schema(
    [
        ("number", pa.int64()),
        ("customer", pa.int32()),
        ("meter", pa.int16()),
        ("start", pa.timestamp("us", tz="UTC")),
        ("end", pa.timestamp("us", tz="UTC")),
        ("shape", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a measurement selects, groups and aggregates events.

    Measurements of one shape differ only in whom and when they measure, so that one query answers them all.

    Attributes:
        meter: a meter that counts in this way; there may be others.
        counts_by: all that tells its way of counting from that of other meters.
        by: dimensions to group by.
        matches: the combinations that are groups of their own; empty for all.
        needs: what the price wants to know of single events, with the ``amount_field`` that it names.
    """

    meter: Meter = field(compare=False)
    counts_by: tuple[object, ...]
    by: tuple[str, ...]
    matches: tuple[Match, ...]
    needs: Needs
    amount_field: str | None

    @classmethod
    def of(cls, measurement: Measurement, meter: Meter) -> "Shape":
        """The shape of a measurement; meters that count alike share it."""
        counts_by = (
            meter.aggregation,
            meter.unique_by,
            meter.session_by,
            meter.max_session,
            meter.per,
            meter.multiplier,
            meter.window,
            tuple(sorted((dimension, tuple(sorted(values))) for dimension, values in meter.filter.items())),
        )
        matches = canonical(measurement.matches)
        return cls(meter, counts_by, measurement.by, matches, measurement.needs, measurement.amount_field)

    @property
    def dimensions(self) -> set[str]:
        """All dimensions that its query looks at."""
        meter = self.meter
        fields = (meter.unique_by, meter.session_by, meter.session_by and PHASE, meter.multiplier, self.amount_field)
        named = {dimension for match in self.matches for dimension, _ in match}
        return named | {*self.by, *meter.filter} | {dimension for dimension in fields if dimension is not None}

    @property
    def by_series(self) -> bool:
        """Whether its query looks at every dimension that there is."""
        aggregation = AGGREGATIONS[self.meter.aggregation]
        return isinstance(aggregation, Spans) and aggregation.by_series


@dataclass(frozen=True, slots=True)
class Questions:
    """All measurements that are answered in one go.

    Attributes:
        table: a row per measurement.
        shapes: by the number in ``table``'s column ``shape``.
        meters: the meters of each shape, in the same order.
    """

    table: pa.Table
    shapes: tuple[Shape, ...]
    meters: tuple[tuple[str, ...], ...]

    @classmethod
    def of(
        cls, measurements: Sequence[Measurement], meters: Mapping[str, Meter], codes: Mapping[str, int]
    ) -> "Questions":
        """The measurements as a table, and their shapes."""
        shapes: dict[Shape, int] = {}
        known_shapes: dict[tuple[object, ...], int] = {}  # prices share their tuples: most need no look into them
        used: dict[int, set[str]] = {}
        numbers = []
        for measurement in measurements:
            matches = id(measurement.matches)
            alike = (measurement.meter, measurement.by, matches, measurement.needs, measurement.amount_field)
            if alike not in known_shapes:
                known_shapes[alike] = shapes.setdefault(Shape.of(measurement, meters[measurement.meter]), len(shapes))
                used.setdefault(known_shapes[alike], set()).add(measurement.meter)
            numbers.append(known_shapes[alike])
        columns: dict[str, list[Any]] = {
            "number": [measurement.number for measurement in measurements],
            "customer": [measurement.customer for measurement in measurements],
            "meter": [codes[measurement.meter] for measurement in measurements],
            "start": [measurement.start for measurement in measurements],
            "end": [measurement.end for measurement in measurements],
            "shape": numbers,
        }
        table = pa.table(columns, schema=_QUESTION)
        return cls(table, tuple(shapes), tuple(tuple(sorted(used[shape])) for shape in shapes.values()))

    def of_shape(self, number: int) -> pa.Table:
        """The rows of the measurements that have the shape of that number."""
        return self.table.filter(pc.equal(self.table["shape"], number))

    @property
    def dimensions(self) -> list[str]:
        """All dimensions that any answer looks at."""
        return sorted({dimension for shape in self.shapes for dimension in shape.dimensions})

    @property
    def by_series(self) -> bool:
        """Whether an answer looks at every dimension that there is."""
        return any(shape.by_series for shape in self.shapes)
