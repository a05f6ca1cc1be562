"""Which final documents an export is of, as people say it: a billing period, days of booking, or all."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from billing_pipeline.core.errors import Refused
from billing_pipeline.core.period import A_DAY, BillingCalendar
from billing_pipeline.core.plain_json import Json
from billing_pipeline.core.plain_text import day
from billing_pipeline.ledger.reading.exported import Booked, FinalLine
from billing_pipeline.operations.exports.table_file import STDOUT, FileFormat
from billing_pipeline.operations.progress import Progress


@dataclass(frozen=True, slots=True)
class Selection:
    """What to export.

    Attributes:
        period: only the documents of this billing period, by its key.
        first: only what was booked (became final, or void) on this local day or later.
        last: only what was booked until the end of this local day.
    """

    period: str | None = None
    first: date | None = None
    last: date | None = None

    def booked(self, calendar: BillingCalendar) -> Booked:
        """The selection in instants. Raises Refused for no such period, or days in the wrong order."""
        if self.first and self.last and self.first > self.last:
            raise Refused(f"--from {self.first} lies after --to {self.last}.", hint="Both days are included.")
        return Booked(
            period=None if self.period is None else calendar.period(self.period).first_day,
            since=None if self.first is None else calendar.midnight(self.first),
            until=None if self.last is None else calendar.midnight(self.last + A_DAY),
        )

    def to_json(self) -> Json:
        """The selection as machines read it."""
        return {"period": self.period, "from": day(self.first), "to": day(self.last)}


@dataclass
class Export:
    """What an export wrote.

    Attributes:
        output: the file; ``-`` is standard output.
        selection: of which documents.
    """

    output: str
    file_format: FileFormat
    selection: Selection

    def to_json(self) -> Json:
        """The export as machines read it."""
        file = None if self.output == STDOUT else self.output
        return {"file": file, "format": str(self.file_format), **self.selection.to_json()}


def watched(lines: Iterable[FinalLine], documents: int, progress: Progress) -> Iterator[FinalLine]:
    """The same lines; tells how many documents have been read."""
    done, current = 0, None
    for line in lines:
        if (key := (line.document, line.reversal)) != current:
            current = key
            progress(done, documents)
            done += 1
        yield line
    progress(documents, documents)
