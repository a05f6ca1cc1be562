"""Price models in general: frozen numbers, and ``details`` from what was measured to reasons."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Literal

from billing_pipeline.rating.line import LineDetail

# What a model is given: one aggregated quantity; the value of each event in the order of (timestamp, arrival); or the
# amount that stands in each event.
Needs = Literal["quantity", "events", "amounts"]


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
    example: ClassVar[Example]

    @abstractmethod
    def details(self, quantity: Decimal) -> tuple[LineDetail, ...]:
        """The reasons why a quantity, zero or more, costs what it costs. Runs in the EXACT context."""

    def amount_of(self, quantity: Decimal) -> Decimal:
        """The amount that the details add up to. A model may know it faster than by adding."""
        return sum([detail.amount for detail in self.details(quantity)], Decimal(0))

    def running(self, quantities: Sequence[Decimal]) -> tuple[Decimal, ...]:
        """The exact amount due so far at each cumulative quantity of an on-demand phase."""
        return tuple(self.amount_of(quantity) for quantity in quantities)


class EventModel(ABC):
    """A price model for single events: their values, or the amounts in them (``needs`` says which)."""

    __slots__ = ()
    needs: ClassVar[Literal["events", "amounts"]]
    example: ClassVar[Example]

    @abstractmethod
    def details(self, measures: Iterable[Decimal]) -> tuple[LineDetail, ...]:
        """The reasons why events, in order, cost what they cost. Runs in the EXACT context."""


PriceModel = QuantityModel | EventModel
