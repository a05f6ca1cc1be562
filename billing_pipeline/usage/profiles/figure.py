"""One figure of the profile and what it is about."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the profile.

    Attributes:
        name: the profile's column.
        value: a count, or a percentage.
        customers: codes of the customers it concerns.
        meter: code of the meter it concerns.
        subject: what else it concerns, e.g. a source or a delivery, in words.
        note: what a person wants to know beside it, e.g. the largest value.
        batch: the first batch with which it was so; a hold for it counts from then on.
    """

    name: str
    value: int | Decimal
    customers: tuple[int, ...] = ()
    meter: int | None = None
    subject: str = ""
    note: str = ""
    batch: int | None = None


def percent(part: int | Decimal, whole: int | Decimal) -> Decimal:
    """``part`` in percent of ``whole``, to a tenth."""
    return (Decimal(part) * 100 / Decimal(whole)).quantize(Decimal("0.1"))
