"""Measurements as a table that the engine can join: one row each, with the shape that says which query answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.measurement import Measurement
from billing_pipeline.metering.shape import Shape

NOW = 0  # the cut that looks at everything received; each ``before_arrival`` has one of its own

_QUESTION = pa.schema(
    [
        ("number", pa.int64()),
        ("customer", pa.int32()),
        ("meter", pa.int16()),
        ("cut", pa.int32()),
        ("start", pa.timestamp("us", tz="UTC")),
        ("end", pa.timestamp("us", tz="UTC")),
        ("shape", pa.int32()),
    ]
)
_CUT = pa.schema([("customer", pa.int32()), ("meter", pa.int16()), ("cut", pa.int32()), ("before_arrival", pa.int64())])


@dataclass(frozen=True, slots=True)
class Questions:
    """All that is asked in one go.

    Attributes:
        table: a row per measurement.
        shapes: by the number in ``table``'s column ``shape``.
        meters: the meters of each shape, in the same order.
        cuts: for whom which ``before_arrival`` is looked at; empty where all of it is now.
    """

    table: pa.Table
    shapes: tuple[Shape, ...]
    meters: tuple[tuple[str, ...], ...]
    cuts: pa.Table

    @property
    def dimensions(self) -> list[str]:
        """All dimensions that any answer looks at."""
        return sorted({dimension for shape in self.shapes for dimension in shape.dimensions})

    @property
    def by_series(self) -> bool:
        """Whether an answer looks at every dimension that there is."""
        return any(shape.by_series for shape in self.shapes)


def questions(measurements: Sequence[Measurement], meters: Mapping[str, Meter], codes: Mapping[str, int]) -> Questions:
    """The measurements as tables."""
    shapes: dict[Shape, int] = {}
    known: dict[tuple[object, ...], int] = {}  # prices share their tuples: most need no look at what is in them
    used: dict[int, set[str]] = {}
    arrivals = sorted({each.before_arrival for each in measurements if each.before_arrival is not None})
    cuts: dict[int | None, int] = {None: NOW} | {arrival: cut for cut, arrival in enumerate(arrivals, start=1)}
    rows = []
    looks = set()
    for each in measurements:
        alike = (each.meter, each.by, id(each.matches), each.needs, each.amount_field)
        if alike not in known:
            known[alike] = shapes.setdefault(Shape.of(each, meters[each.meter]), len(shapes))
            used.setdefault(known[alike], set()).add(each.meter)
        shape = known[alike]
        code, cut = codes[each.meter], cuts[each.before_arrival]
        rows.append((each.number, each.customer, code, cut, each.start, each.end, shape))
        if cut != NOW:
            looks.add((each.customer, code, cut, each.before_arrival))
    return Questions(
        _table(rows, _QUESTION),
        tuple(shapes),
        tuple(tuple(sorted(used[shape])) for shape in shapes.values()),
        _table(sorted(looks), _CUT),
    )


def _table(rows: Sequence[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
