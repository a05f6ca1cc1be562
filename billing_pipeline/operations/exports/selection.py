"""Which final documents an export is of, as people say it: a billing period, days of booking, or all."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from billing_pipeline.core.errors import Refused
from billing_pipeline.core.period import A_DAY, BillingCalendar
from billing_pipeline.ledger.reading.exported import Booked, FinalLine

Progress = Callable[[int, int], None]  # documents done, in all


@dataclass(frozen=True, slots=True)
class Wanted:
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
        """The same in instants. Raises Refused for no such period, or days in the wrong order."""
        if self.first and self.last and self.first > self.last:
            raise Refused(f"--from {self.first} lies after --to {self.last}.", hint="Both days are included.")
        return Booked(
            period=None if self.period is None else calendar.period(self.period).first_day,
            since=None if self.first is None else calendar.midnight(self.first),
            until=None if self.last is None else calendar.midnight(self.last + A_DAY),
        )

    def to_json(self) -> dict[str, object]:
        """As machines read it."""
        return {
            "period": self.period,
            "from": self.first and self.first.isoformat(),
            "to": self.last and self.last.isoformat(),
        }


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


def no_progress(_done: int, _documents: int) -> None:
    """Nobody looks."""
