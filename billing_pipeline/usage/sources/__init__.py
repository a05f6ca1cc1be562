"""Source formats: how files of usage are read.

To add one: write its file here, with a function ``read_…`` of its name, then add its line below. A file, and the
engine with it, is imported when a file of its format is read: to know which formats there are takes nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from billing_pipeline.catalog.source import EventMapping
from billing_pipeline.usage.sources.columns import CLOUDEVENTS, FOCUS, PLAIN

if TYPE_CHECKING:
    from billing_pipeline.usage.sources.chunk import Chunk


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """One format of files.

    Attributes:
        name: the format's; also of its file here.
        event: which column means what where the source does not say; its columns may be absent.
        further_dimensions: prefix of the columns that are dimensions too unless the source lists its dimensions:
            ``""`` is every column without another meaning, None is no column.
        time_zone: of timestamps without a zone, where the format says it.
    """

    name: str
    event: EventMapping
    further_dimensions: str | None = ""
    time_zone: str | None = None

    def read(self, path: Path) -> "Iterator[Chunk]":
        """A file as chunks of text columns, in bounded memory."""
        read: Callable[[Path], Iterator[Chunk]]
        read = getattr(import_module(f"{__name__}.{self.name}"), f"read_{self.name}")
        return read(path)


USAGE_SOURCES: Mapping[str, SourceFormat] = {
    source_format.name: source_format
    for source_format in (
        SourceFormat("cloudevents", CLOUDEVENTS, further_dimensions="data."),
        SourceFormat("csv", PLAIN),
        SourceFormat("focus", FOCUS, further_dimensions=None, time_zone="UTC"),
        SourceFormat("jsonl", PLAIN),
        SourceFormat("parquet", PLAIN),
    )
}

__all__ = ["USAGE_SOURCES", "SourceFormat"]
