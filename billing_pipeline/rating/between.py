"""The reasons of a line between two cumulative quantities: what the second costs, less what the first did."""

from collections import defaultdict
from decimal import Decimal

from billing_pipeline.core.exact import Exactly
from billing_pipeline.rating.detail import LineDetail
from billing_pipeline.rating.price import ZERO, Charge, sum_of


def between(before: Charge, after: Charge) -> Charge:
    """``after`` less ``before``, reason by reason; what is the same in both is no reason and is left out."""
    quantities: dict[tuple[str, Decimal | None], Decimal] = defaultdict(lambda: ZERO)
    amounts: dict[tuple[str, Decimal | None], Decimal] = defaultdict(lambda: ZERO)
    with Exactly():
        for sign, charge in ((1, after), (-1, before)):
            for detail in charge.details:
                key = (detail.description, detail.unit_amount)
                quantities[key] += sign * detail.quantity
                amounts[key] += sign * detail.amount
        details = tuple(
            LineDetail(description, quantities[description, unit_amount], unit_amount, amount)
            for (description, unit_amount), amount in amounts.items()
            if amount or quantities[description, unit_amount]
        )
        return Charge(sum_of(details), details)
