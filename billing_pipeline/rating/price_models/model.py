"""Price models in general: frozen numbers, and ``details`` from what was measured to reasons."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Literal

from billing_pipeline.metering.measurement import Step
from billing_pipeline.rating.line import LineDetail

# What a model is given: one aggregated quantity; the value of each event in the order of (timestamp, arrival); or the
# amount that stands in each event.
Needs = Literal["quantity", "events", "amounts"]
# What a model keeps of an on-demand phase from one window to the next, as JSON; decimals are texts.
Memory = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """A worked example, printed in docs/prices.md and rated by the tests.

    Attributes:
        case: a quote case, as ``billing quote --jsonl`` reads it.
        amount: its exact amount.
        because: the arithmetic, in words.
    """

    case: Mapping[str, object]
    amount: str
    because: str


class QuantityModel(ABC):
    """A price model for one aggregated quantity."""

    __slots__ = ()
    needs: ClassVar[Literal["quantity"]] = "quantity"
    in_order: ClassVar[bool] = False  # whether on demand each arrival's own change is priced
    example: ClassVar[Example]

    @abstractmethod
    def details(self, quantity: Decimal) -> tuple[LineDetail, ...]:
        """The reasons why a quantity, zero or more, costs what it costs. Runs in the EXACT context."""

    def amount_of(self, quantity: Decimal) -> Decimal:
        """The amount that the details add up to. A model may know it faster than by adding."""
        return sum([detail.amount for detail in self.details(quantity)], Decimal(0))

    def resume(self, memory: Memory, quantities: Sequence[Decimal]) -> tuple[Decimal, Memory]:
        """The exact amount due so far in an on-demand phase, and what to go on with from there.

        Args:
            memory: what the last window kept; empty at first.
            quantities: the cumulative quantity after each arrival since then, or, unless ``in_order``, after the last.
        """
        return (self.amount_of(quantities[-1]) if quantities else Decimal(0)), memory


class EventModel(ABC):
    """A price model for single events: their values, or the amounts in them (``needs`` says which)."""

    __slots__ = ()
    needs: ClassVar[Literal["events", "amounts"]]
    in_order: ClassVar[bool] = True
    example: ClassVar[Example]

    @abstractmethod
    def details(self, measures: Iterable[Decimal]) -> tuple[LineDetail, ...]:
        """The reasons why events, in order, cost what they cost. Runs in the EXACT context."""

    @abstractmethod
    def resume(self, memory: Memory, steps: Sequence[Step]) -> tuple[Decimal, Memory]:
        """The exact amount due so far in an on-demand phase, and what to go on with from there.

        Args:
            memory: what the last window kept; empty at first.
            steps: what arrived since then, in order: values of events, or the amounts in them.
        """


PriceModel = QuantityModel | EventModel
