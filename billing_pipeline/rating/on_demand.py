"""On-demand billing: what is due when a phase's cumulative quantity has reached this and that."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.exact import Exactly, finish_quotient
from billing_pipeline.core.money import Money, Rounding, round_amount
from billing_pipeline.rating.price import NO_DIMENSIONS, Price
from billing_pipeline.rating.price_models import QuantityModel
from billing_pipeline.rating.tiers import ZERO


def running_amounts(
    price: Price, quantities: Sequence[Decimal], dimensions: Mapping[str, str] = NO_DIMENSIONS
) -> tuple[Decimal, ...]:
    """The exact amount due so far at each of a phase's cumulative ``quantities``.

    For most models it is what the quantity costs. ``volume`` prices only new units at the tier that the cumulative
    quantity has reached, so it needs every quantity that was invoiced, oldest first.

    Raises:
        RatingError: no rate matches, the model prices events, or the amount is larger than any bill.
    """
    model = price.rate_for(dimensions)
    if not isinstance(model, QuantityModel):
        raise RatingError(f"{price.model} prices single events.", hint="Charge the events received so far instead.")
    with Exactly():
        priced = [max(quantity - price.included, ZERO) for quantity in quantities]
        return tuple(finish_quotient(amount) for amount in model.running(priced))


def next_invoice(due: Decimal, invoiced: Sequence[Money], currency: str, rounding: Rounding) -> Money:
    """The amount of the next invoice: what is due so far less the rounded lines invoiced so far, rounded once."""
    with Exactly():
        return round_amount(due - sum((line.amount for line in invoiced), ZERO), currency, rounding)


def invoices(due: Sequence[Decimal], currency: str, rounding: Rounding = Rounding.HALF_UP) -> tuple[Money, ...]:
    """The amounts of successive invoices, from what is due so far at each."""
    invoiced: list[Money] = []
    for amount in due:
        invoiced.append(next_invoice(amount, invoiced, currency, rounding))
    return tuple(invoiced)
