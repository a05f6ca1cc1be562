"""One event of a quote."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from billing_pipeline.core.errors import RatingError

NO_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class QuotedEvent:
    """One event of a quote.

    Attributes:
        position: its place among the events, from 0; stands for its arrival.
        timestamp: when it was used; NO_TIME where the quote does not say.
        value: its own figure, already times its multiplier; None where it has none.
        dimensions: what it can be priced by.
    """

    position: int
    timestamp: datetime
    value: Decimal | None
    dimensions: Mapping[str, str]

    @property
    def number(self) -> Decimal:
        """The value. Raises RatingError where there is none; a missing value is never zero."""
        if self.value is None:
            raise RatingError(f"Event {self.position + 1} has no value.", hint="Write 0 where it is zero.")
        return self.value

    @property
    def instant(self) -> datetime:
        """The timestamp. Raises RatingError where there is none."""
        if self.timestamp == NO_TIME:
            raise RatingError(f"Event {self.position + 1} has no timestamp, and this meter needs one.")
        return self.timestamp
