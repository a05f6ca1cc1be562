"""Dynamic: the events bring their own amounts, computed elsewhere."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from billing_pipeline.core.plain_text import plain
from billing_pipeline.metering.measurement import Step
from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.price_models.model import EventModel, Example, Memory
from billing_pipeline.rating.tiers import ONE, ZERO


@dataclass(frozen=True, slots=True)
class Dynamic(EventModel):
    """The events bring their own amounts, computed elsewhere; the multiplier is a margin on them.

    Attributes:
        amount_field: the dimension of the event that holds its amount, in major units.
        multiplier: 1.2 adds a fifth.
    """

    amount_field: str = "amount"
    multiplier: Decimal = ONE

    needs: ClassVar = "amounts"
    example: ClassVar = Example(
        case={
            "price": {"model": "dynamic", "amount_field": "cost", "multiplier": "1.2"},
            "events": [{"value": "1", "dimensions": {"cost": "3.50"}}, {"value": "2", "dimensions": {"cost": "0.125"}}],
        },
        amount="4.3500",
        because="the events cost 3.50 and 0.125, times 1.2",
    )

    def details(self, measures: Iterable[Decimal]) -> tuple[LineDetail, ...]:
        """The sum of the amounts, times the multiplier."""
        amounts = tuple(measures)
        if not amounts:
            return ()
        total = sum(amounts, ZERO)
        return (LineDetail("amounts of the events", total, self.multiplier, total * self.multiplier),)

    def resume(self, memory: Memory, steps: Sequence[Step]) -> tuple[Decimal, Memory]:
        """The sum of the amounts that count by now, times the multiplier."""
        total = sum((step.change for step in steps), Decimal(memory.get("total", ZERO)))
        return total * self.multiplier, {"total": plain(total)}
