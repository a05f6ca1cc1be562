"""On demand: what can be invoiced in windows of receipt, and what can only be known of a whole period."""

from collections.abc import Iterator, Mapping

from billing_pipeline.catalog.checks.check_context import CheckContext, Path
from billing_pipeline.catalog.discount import Discount
from billing_pipeline.catalog.meter import Meter
from billing_pipeline.catalog.plan import Plan, PlanPrice
from billing_pipeline.catalog.subscription import Phase
from billing_pipeline.core.errors import CatalogError

ON_DEMAND = ("sum", "count", "max", "unique_count")
EVENT_BY_EVENT = ("sum", "count")  # of which each event changes the quantity by an amount of its own

_WHY_NOT = {
    "duration": "adds up as time passes, whether or not something is received",
    "weighted_sum": "adds up as time passes, whether or not something is received",
    "average": "can fall with each further event",
    "min": "can fall with each further event",
    "latest": "can fall with each further event",
}
_ELSEWHERE = "Put it on a plan with billing: period, in a subscription of its own."


def check_on_demand(plan: Plan, context: CheckContext) -> Iterator[CatalogError]:
    """An error for each part of a plan that windows cannot bill, its path relative to the plan."""
    if plan.billing != "on_demand":
        if plan.invoice_every is not None:
            hint = "Write billing: on_demand, or remove it."
            yield CatalogError("invoice_every belongs to billing: on_demand.", hint=hint, path=("invoice_every",))
        return
    if plan.fees:
        yield CatalogError("On demand, only usage is billed; there are no fees.", hint=_ELSEWHERE, path=("fees",))
    for name in ("minimum", "maximum"):
        bounds: list[tuple[Path, object]] = [((name,), getattr(plan, name))]
        bounds += ((("prices", i, name), getattr(price, name)) for i, price in enumerate(plan.prices))
        for path, bound in bounds:
            if bound is not None:
                yield CatalogError(f"On demand, there is no {name} spend.", hint=_ELSEWHERE, path=path)
    for i, price in enumerate(plan.prices):
        yield from _check_meter(price, context.catalog.meters.get(price.meter), ("prices", i))
        yield from _check_zero_usage(price, ("prices", i))


def _check_meter(price: PlanPrice, meter: Meter | None, path: Path) -> Iterator[CatalogError]:
    """Windows bill what was received in them: a quantity that changes by itself has none of its own."""
    if meter is None or meter.aggregation in ON_DEMAND:
        if meter is not None and price.price.get("model") == "volume" and meter.aggregation not in EVENT_BY_EVENT:
            message = f"On demand, volume prices each event's units, and {meter.id!r} ({meter.aggregation}) gives none."
            hint = f"Use a meter with aggregation: {' or '.join(EVENT_BY_EVENT)}, or another price model."
            yield CatalogError(message, hint=hint, path=(*path, "price", "model"))
        return
    if meter.aggregation in _WHY_NOT:
        message = f"Meter {meter.id!r} cannot be billed on demand: a {meter.aggregation} {_WHY_NOT[meter.aggregation]}."
        hint = f"Use aggregation: {', '.join(ON_DEMAND[:-1])} or {ON_DEMAND[-1]}, or a plan with billing: period."
        yield CatalogError(message, hint=hint, path=(*path, "meter"))


def _check_zero_usage(price: PlanPrice, path: Path) -> Iterator[CatalogError]:
    """Where nothing is received there is no window that could bill it."""
    for given, at in _terms(price.price, (*path, "price")):
        if given.get("zero_usage") not in (None, "none"):
            message = "On demand, nothing is due where nothing was used."
            yield CatalogError(message, hint="Remove zero_usage.", path=(*at, "zero_usage"))


def _terms(terms: object, path: Path) -> Iterator[tuple[Mapping[str, object], Path]]:
    """A price's terms, and those of its rates by dimension."""
    if isinstance(terms, Mapping):
        yield terms, path
        yield from _terms(terms.get("default"), (*path, "default"))
        rates = terms.get("rates")
        for i, rate in enumerate(rates if isinstance(rates, (list, tuple)) else ()):
            yield from _terms(rate, (*path, "rates", i))


def check_allowances(context: CheckContext) -> Iterator[tuple[str, str, CatalogError]]:
    """Kind and id of objects by which one fixed amount off would be used by windows and by documents of periods alike.

    These count an allowance each: together they would take it twice.
    """
    fixed = [discount for discount in context.catalog.discounts.values() if discount.amount is not None]
    phases: dict[str, list[tuple[str, Phase, Plan]]] = {discount.customer: [] for discount in fixed}
    for subscription in context.catalog.subscriptions.values() if fixed else ():
        for phase in subscription.phases if subscription.customer in phases else ():
            plan = context.plan(phase)
            if plan is not None:
                phases[subscription.customer].append((subscription.id, phase, plan))
    for discount in fixed:
        lowered = [one for one in phases[discount.customer] if _lowers(discount, one[2])]
        for name, phase, plan in lowered:
            beside = [other for _, at, other in lowered if not other.on_demand and _overlap(phase, at)]
            if plan.on_demand and beside:
                message = (
                    f"Discount {discount.id!r} takes a fixed amount off plan {plan.id!r}, which is billed on demand, "
                    f"and off plan {beside[0].id!r}, which is not."
                )
                hint = "Let it name prices of one of them, and add another for the other, or take a percentage off."
                given = ("discount", discount.id) in context.files
                kind, object_id = ("discount", discount.id) if given else ("subscription", name)
                yield kind, object_id, CatalogError(message, hint=hint, path=("amount",) if given else ())


def _lowers(discount: Discount, plan: Plan) -> bool:
    names = [*(price.id for price in plan.prices), *(fee.id for fee in plan.fees)]
    return any(discount.lowers(name) for name in names)


def _overlap(one: Phase, other: Phase) -> bool:
    starts, ends = (one.start, other.start), (one.end, other.end)
    end = min((instant for instant in ends if instant is not None), default=None)
    return end is None or max(starts) < end
