"""Plans: can each price be computed from what its meter gives, and each fee be told from the others?"""

from collections.abc import Iterator

from billing_pipeline.catalog.checks.check_context import CheckContext, repeated
from billing_pipeline.catalog.checks.on_demand import check_on_demand
from billing_pipeline.catalog.meter import Meter
from billing_pipeline.catalog.plan import Plan, PlanPrice
from billing_pipeline.catalog.problems import under
from billing_pipeline.core.errors import CatalogError, nearest


def check_plan(plan: Plan, context: CheckContext) -> Iterator[CatalogError]:
    """Prices one by one, ids, what on-demand bills, and the currency, which other documents already have."""
    for i, name in repeated([price.id for price in plan.prices]):
        message = f"The plan has another price {name!r}."
        yield CatalogError(message, hint="Give one of them another id.", path=("prices", i, "id"))
    for i, price in enumerate(plan.prices):
        for error in _check_price(price, context):
            for fault in under(i, error):
                yield from under("prices", fault)
    yield from _check_fee_ids(plan)
    yield from _check_bounds(plan)
    yield from check_on_demand(plan, context)
    recorded = context.recorded("plan", plan.id)
    if recorded and recorded.currency != plan.currency:
        message = f"The plan is in {recorded.currency}; it cannot become {plan.currency}."
        yield CatalogError(message, hint="Make a plan with another id.", path=("currency",))


def _check_fee_ids(plan: Plan) -> Iterator[CatalogError]:
    """Lines, discounts and quantities name fees as they name prices."""
    prices = [price.id for price in plan.prices]
    for i, name in repeated([fee.id for fee in plan.fees]):
        message = f"The plan has another fee {name!r}."
        yield CatalogError(message, hint="Give one of them another id.", path=("fees", i, "id"))
    for i, fee in enumerate(plan.fees):
        if fee.id in prices:
            message = f"The plan has a price {fee.id!r}, too."
            yield CatalogError(message, hint="Give the fee another id.", path=("fees", i, "id"))


def _check_bounds(of: Plan | PlanPrice) -> Iterator[CatalogError]:
    if of.minimum is not None and of.maximum is not None and of.minimum > of.maximum:
        message = f"The minimum {of.minimum} exceeds the maximum {of.maximum}."
        yield CatalogError(message, hint="Swap them, or remove one.", path=("minimum",))


def _check_price(price: PlanPrice, context: CheckContext) -> Iterator[CatalogError]:
    yield from _check_bounds(price)
    yield from context.reference("meter", price.meter, ("meter",))
    if price.product is not None:
        yield from context.reference("product", price.product, ("product",))
    if "included" in price.price:
        message = "In a plan, included units stand beside the price."
        yield CatalogError(message, hint="Move them one level up.", path=("price", "included"))
        return
    try:
        parsed = context.can.parse_price({"included": price.included, **price.price})
    except CatalogError as error:
        yield from [error] if error.path[:1] == ("included",) else under("price", error)
        return
    meter = context.catalog.meters.get(price.meter)
    if meter is None:
        return
    for name in parsed.by:
        if name not in meter.dimensions:
            message = f"Meter {meter.id!r} does not declare the dimension {name!r}."
            yield CatalogError(message, hint=nearest(name, meter.dimensions), path=("price", "by"))
    yield from _check_single_events(price, meter, parsed.needs)
    if parsed.needs == "events" and parsed.tiers_per == "subscription":
        message = "The price looks at single events, which are told apart by their dimensions."
        yield CatalogError(message, hint="Use tiers_per: dimension, or leave 'by' out.", path=("price", "tiers_per"))


def _check_single_events(price: PlanPrice, meter: Meter, needs: str) -> Iterator[CatalogError]:
    """A price of single events goes with a meter that adds them up: its quantity is what the events come to."""
    if needs == "quantity":
        return
    able = ("sum",) if needs == "events" else ("sum", "count")
    if meter.aggregation not in able or meter.window is not None:
        message = f"The price looks at single events, which {meter.id!r} ({meter.aggregation}) does not add up."
        hint = f"Use a meter with aggregation: {' or '.join(able)}, without a window."
        yield CatalogError(message, hint=hint, path=("meter",))
    conversions = (("convert",), price.convert), (("meter",), meter.convert)
    for path, conversion in conversions if needs == "events" else ():
        if conversion is not None and conversion.round != "none":
            message = "The price looks at single events, which are converted without rounding."
            yield CatalogError(message, hint="Use round: none.", path=path)
