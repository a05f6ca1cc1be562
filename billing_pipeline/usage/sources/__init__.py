"""Source formats: how files of usage are read.

To add one: write its file here, then add its line below.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from billing_pipeline.catalog.source import EventMapping
from billing_pipeline.usage.sources.chunk import BadRow, Chunk
from billing_pipeline.usage.sources.cloudevents import IDENTITY, read_cloudevents
from billing_pipeline.usage.sources.csv import read_csv
from billing_pipeline.usage.sources.focus import IDENTIFYING, read_focus
from billing_pipeline.usage.sources.jsonl import read_jsonl
from billing_pipeline.usage.sources.parquet import read_parquet


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """One format of files.

    Attributes:
        read: a file to chunks of text columns, in bounded memory.
        event: which column means what where the source does not say; its columns may be absent.
        further_dimensions: prefix of the columns that are dimensions too unless the source lists its dimensions:
            ``""`` is every column without another meaning, None is no column.
        time_zone: of timestamps without a zone, where the format says it.
    """

    read: Callable[[Path], Iterator[Chunk]]
    event: EventMapping
    further_dimensions: str | None = ""
    time_zone: str | None = None


# Our own names; a file that uses them needs no mapping.
PLAIN = EventMapping("customer", "meter", "timestamp", "value", {}, "event_id", "revision", "retract")
FOCUS = EventMapping(
    "SubAccountId", "ConsumedUnit", "ChargePeriodStart", "ConsumedQuantity", {name: name for name in IDENTIFYING}
)
CLOUDEVENTS = EventMapping("subject", "type", "time", "data.value", {}, IDENTITY, None, "data.retract")

USAGE_SOURCES: Mapping[str, SourceFormat] = {
    "cloudevents": SourceFormat(read_cloudevents, CLOUDEVENTS, further_dimensions="data."),
    "csv": SourceFormat(read_csv, PLAIN),
    "focus": SourceFormat(read_focus, FOCUS, further_dimensions=None, time_zone="UTC"),
    "jsonl": SourceFormat(read_jsonl, PLAIN),
    "parquet": SourceFormat(read_parquet, PLAIN),
}

__all__ = ["USAGE_SOURCES", "BadRow", "Chunk", "SourceFormat"]
