"""Which column of a delivery is what: the source's mapping over the format's own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from billing_pipeline.catalog.source import Constant, EventMapping, Source
from billing_pipeline.core.errors import UsageError, nearest
from billing_pipeline.usage.sources import USAGE_SOURCES, SourceFormat

_FIELDS = ("customer", "meter", "timestamp", "value", "event_id", "revision", "retract")
_CORE = ("customer", "meter", "timestamp", "value")
# Formats whose columns stand at their beginning; of the others each row brings its own.
_WITH_HEADER = frozenset({"csv", "parquet", "focus"})


@dataclass(frozen=True, slots=True)
class Columns:
    """What a source's columns mean.

    Attributes:
        event: our field → the delivery's column or a constant.
        required: columns without which a whole delivery is refused.
        further_dimensions: prefix of columns that are dimensions although they are not listed; None for no column.
        scope: for snapshots, the columns whose values name what a delivery restates.
        time_zone: IANA zone of timestamps that name none.
    """

    event: EventMapping
    required: tuple[str, ...]
    further_dimensions: str | None
    scope: tuple[str, ...] = ()
    time_zone: str | None = None

    def dimensions(self, names: Sequence[str]) -> Iterator[tuple[str, str | Constant]]:
        """(dimension, column or constant) of a chunk with these columns; a listed column that is absent is left out."""
        for dimension, column in self.event.dimensions.items():
            if isinstance(column, Constant) or column in names:
                yield dimension, column
        if self.further_dimensions is None:
            return
        used = {getattr(self.event, field) for field in _FIELDS} | {*self.event.dimensions.values()}
        for name in names:
            if name and name not in used and name.startswith(self.further_dimensions):
                yield _dimension_name(name.removeprefix(self.further_dimensions)), name

    def refuse_missing(self, names: Sequence[str]) -> None:
        """Refuse a delivery without a column that the source's mapping names. Raises UsageError."""
        for column in self.required:
            if column not in names:
                raise UsageError(
                    f"The delivery has no column {column!r}, which the source maps. Its columns: {', '.join(names)}.",
                    hint=f"{nearest(column, names)} Mend the file or the source's 'event'; nothing was recorded.",
                )


def columns_of(source: Source, *, has_header: bool = False) -> Columns:
    """The source's mapping, completed by its format's.

    Args:
        source: whose deliveries.
        has_header: the delivery has its columns up front, whatever the format: a frame.

    Raises:
        UsageError: nobody knows the format.
    """
    if source.format not in USAGE_SOURCES:
        raise UsageError(
            f"Source {source.id!r} has the format {source.format!r}.", hint=nearest(source.format, tuple(USAGE_SOURCES))
        )
    source_format = USAGE_SOURCES[source.format]
    event, further = _effective(source, source_format)
    fields = _CORE if source.event is None else _FIELDS
    stated = source.event or source_format.event
    named = [getattr(stated, field) for field in fields] + ([*source.event.dimensions.values()] if source.event else [])
    required = dict.fromkeys([*(name for name in named if isinstance(name, str)), *source.scope])
    return Columns(
        event,
        tuple(required) if has_header or source.format in _WITH_HEADER else (),
        further,
        source.scope if source.mode == "snapshot" else (),
        source.time_zone or source_format.time_zone,
    )


def _effective(source: Source, source_format: SourceFormat) -> tuple[EventMapping, str | None]:
    """What the source does not say, a format that describes itself does."""
    stated, default = source.event, source_format.event
    if stated is None:
        return default, source_format.further_dimensions
    if source.format not in {"focus", "cloudevents"}:
        return stated, None
    completed = replace(
        stated,
        value=stated.value if stated.value is not None else default.value,
        event_id=stated.event_id or default.event_id,
        dimensions=stated.dimensions or default.dimensions,
    )
    return completed, None if stated.dimensions else source_format.further_dimensions


def _dimension_name(column: str) -> str:
    """Plain JSON may keep dimensions in an object of their own."""
    return column.removeprefix("dimensions.")
