"""Discounts: is it clear what is taken off, from what, and for how long?"""

from collections.abc import Iterator

from billing_pipeline.catalog.checks.check_context import CheckContext, repeated
from billing_pipeline.catalog.discount import Discount
from billing_pipeline.catalog.problems import suggestion
from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.money import from_major


def check_discount(discount: Discount, context: CheckContext) -> Iterator[CatalogError]:
    """Customer, amount, times and the prices that it names."""
    yield from context.reference("customer", discount.customer, ("customer",))
    yield from _check_amount(discount, context)
    yield from _check_times(discount, context)
    yield from _check_prices(discount, context)
    recorded = context.recorded("discount", discount.id)
    if recorded and recorded.customer != discount.customer:
        message = f"The discount is of customer {recorded.customer!r} and cannot pass to another."
        yield CatalogError(message, hint="Put it back; add a discount with another id.", path=("customer",))


def _check_amount(discount: Discount, context: CheckContext) -> Iterator[CatalogError]:
    if discount.percent is None and discount.amount is None:
        yield CatalogError("Nothing is taken off.", hint="Write percent or amount.", path=("percent",))
    if discount.percent is not None and discount.amount is not None:
        yield CatalogError("Both a percentage and an amount are given.", hint="Keep one of them.", path=("amount",))
    customer = context.catalog.customers.get(discount.customer)
    if customer and discount.amount is not None:
        try:
            from_major(discount.amount, customer.currency)
        except CatalogError as error:
            yield CatalogError(error.message, hint="Round it.", path=("amount",))


def _check_times(discount: Discount, context: CheckContext) -> Iterator[CatalogError]:
    if discount.end is None:
        return
    ends = discount.ends(context.calendar)
    if discount.end < discount.start:
        message = f"The end {context.when(discount.end)} is before the start {context.when(discount.start)}."
        yield CatalogError(message, hint="Swap or correct them.", path=("end",))
    elif ends is not None and ends < discount.end:
        message = f"Its periods are over on {context.when(ends)}, before that."
        yield CatalogError(message, hint="Leave the end or the periods out.", path=("end",))


def _check_prices(discount: Discount, context: CheckContext) -> Iterator[CatalogError]:
    for i, name in repeated(discount.prices):
        yield CatalogError(f"The price {name!r} is named twice.", hint="Keep one.", path=("prices", i))
    unknown = set(discount.prices) - _recorded(discount, context)
    names = _names(context) if unknown and _all_readable(context) else unknown
    for i, name in enumerate(discount.prices):
        if name in unknown and name not in names:
            message = f"No plan has a price or fee {name!r}."
            yield CatalogError(message, hint=suggestion(name, sorted(names)), path=("prices", i))


def _recorded(discount: Discount, context: CheckContext) -> set[str]:
    """Names that were right once: a plan may have had the price."""
    recorded = context.recorded("discount", discount.id)
    return set(recorded.prices) if recorded else set()


def _all_readable(context: CheckContext) -> bool:
    """Whether a name may be looked for: a plan that cannot be read has its own problem."""
    return all(name in context.catalog.plans for kind, name in context.files if kind == "plan")


def _names(context: CheckContext) -> set[str]:
    plans = [*context.catalog.plans.values(), *context.plan_versions.values()]
    return {price.id for plan in plans for price in plan.prices} | {fee.id for plan in plans for fee in plan.fees}
