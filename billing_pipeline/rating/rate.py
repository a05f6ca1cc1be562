"""Rated lines from quantities and the prices in force: exact, then rounded once on each line."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, Inexact, InvalidOperation, Overflow

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.exact import Exactly, too_large
from billing_pipeline.core.money import EXACT, LARGEST_AMOUNT, Money
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.metering.measurement import TOO_LARGE
from billing_pipeline.metering.segments import Segment, SegmentKey
from billing_pipeline.rating.cost import amount_at
from billing_pipeline.rating.line import MeteredQuantity, Rated, RatedLine
from billing_pipeline.rating.price import Price
from billing_pipeline.rating.pricing import LineTemplate, Pricing
from billing_pipeline.rating.tiers import ZERO
from billing_pipeline.usage.event import MULTIPLIER_SCALE


def rate(
    terms: Terms,
    in_force: Iterable[Segment],
    quantities: Iterable[MeteredQuantity],
    calendar: BillingCalendar,
) -> Rated:
    """Price a customer's quantities of a period: conversion, included units, model, minimum and maximum spend.

    Args:
        terms: the customer's.
        in_force: the segments that were measured.
        quantities: cumulative, at every cut of every segment.
        calendar: gives the local days of service periods.
    """
    by_segment: dict[tuple[SegmentKey, datetime], list[MeteredQuantity]] = defaultdict(list)
    for quantity in quantities:
        by_segment[quantity.segment, quantity.start].append(quantity)
    lines: list[RatedLine] = []
    problems: list[str] = []
    for segment in in_force:
        pricing = Pricing.of(terms, segment, calendar)
        usage, errors = _rate(pricing, by_segment.get((segment.key, segment.start), []))
        try:
            true_up = pricing.true_up(line.amount for line in usage)
        except RatingError as error:
            true_up, errors = None, [*errors, error]
        lines += usage if true_up is None else [*usage, true_up]
        problems += [f"{segment.plan.id}/{segment.price.id}: {error}" for error in errors]
    minor = sum([abs(line.amount.minor) for line in lines])
    if minor and Money(minor, lines[0].amount.currency).amount > LARGEST_AMOUNT:
        return Rated((), (*problems, str(too_large())))  # nor could discounts and taxes be computed of it
    return Rated(tuple(lines), tuple(problems))


def _rate(pricing: Pricing, quantities: Sequence[MeteredQuantity]) -> tuple[list[RatedLine], list[RatingError]]:
    """A segment's lines, and why some are missing."""
    lines: list[RatedLine] = []
    errors: list[RatingError] = []
    for measured in quantities:
        if not measured.quantity.is_finite():
            return [], [_unmeasured(pricing, measured.quantity)]
    try:
        groups = _priced_together(quantities, pricing)
    except RatingError as error:  # usage without a rate, that shares its tiers with all the rest
        return [], [error]
    with Exactly():  # once for all: entering it costs as much as a line
        for dimensions, at_cuts in groups:
            try:
                lines += _usage_lines(pricing, dimensions, at_cuts)
            except RatingError as error:
                errors.append(error)
            except (Inexact, InvalidOperation, Overflow):
                errors.append(too_large())
    return lines, errors


def _unmeasured(pricing: Pricing, quantity: Decimal) -> RatingError:
    """Why there is no quantity, as metering says."""
    meter = pricing.terms.meters[pricing.segment.price.meter]
    if quantity == TOO_LARGE:
        hint = "Meter in a larger unit, or correct the events whose values are absurd."
        return RatingError(f"What meter {meter.id!r} counts has more than 38 digits.", hint=hint)
    hint = f"Send it again with a number of at most {MULTIPLIER_SCALE} decimals, or retract it."
    return RatingError(
        f"An event of meter {meter.id!r} has no number in {meter.multiplier!r} to multiply by.", hint=hint
    )


_AtCuts = Sequence[tuple[LineTemplate, MeteredQuantity]]  # what was measured at each cut


def _priced_together(
    quantities: Sequence[MeteredQuantity], pricing: Pricing
) -> Iterable[tuple[Mapping[str, str], _AtCuts]]:
    """Quantities at the cuts, for each combination of values that has tiers of its own."""
    price, templates = pricing.price, pricing.line_templates()
    if price.tiers_per == "subscription":
        return [({}, _at_cuts(templates, _added(quantities, price)))]
    if not quantities and not price.by:
        return [({}, _at_cuts(templates, {}))]  # a price may have an amount for no usage at all
    if len(templates) == 1:  # as nearly always: each quantity stands alone
        (whole,), cut = templates, templates[0].cut
        return ((quantity.dimensions, ((whole, quantity),)) for quantity in quantities if quantity.cut == cut)
    groups: dict[tuple[tuple[str, str], ...], tuple[Mapping[str, str], dict[datetime, MeteredQuantity]]] = {}
    for quantity in quantities:
        combination = tuple(sorted(quantity.dimensions.items()))
        groups.setdefault(combination, (quantity.dimensions, {}))[1][quantity.cut] = quantity
    return [(dimensions, _at_cuts(templates, by_cut)) for dimensions, by_cut in groups.values()]


def _at_cuts(templates: Sequence[LineTemplate], by_cut: Mapping[datetime, MeteredQuantity]) -> _AtCuts:
    """What was measured at each cut; where nothing was, as much as at the one before."""
    at_cuts, measured = [], _NOTHING
    for template in templates:
        measured = by_cut.get(template.cut, measured)
        at_cuts.append((template, measured))
    return at_cuts


def _added(quantities: Iterable[MeteredQuantity], price: Price) -> dict[datetime, MeteredQuantity]:
    """The quantities of all dimension values together, at each cut."""
    by_cut: dict[datetime, MeteredQuantity] = {}
    for more in quantities:
        price.combination(more.dimensions)  # usage without a rate is an error, whoever shares the tiers
        total = by_cut.get(more.cut)
        if total is None:
            by_cut[more.cut] = replace(more, dimensions={})
            continue
        measures = None if total.measures is None or more.measures is None else (*total.measures, *more.measures)
        by_cut[more.cut] = replace(
            total,
            quantity=EXACT.add(total.quantity, more.quantity),
            events=total.events + more.events,
            provisional=total.provisional + more.provisional,
            measures=measures,
        )
    return by_cut


_NEVER = datetime.min.replace(tzinfo=UTC)
_NOTHING = MeteredQuantity(SegmentKey("", _NEVER, ""), _NEVER, _NEVER, {}, ZERO, 0, measures=())
_new = tuple.__new__  # what RatedLine._make calls, in half the time


def _usage_lines(pricing: Pricing, dimensions: Mapping[str, str], at_cuts: _AtCuts) -> list[RatedLine]:
    """A line between each two cuts: what the cumulative quantity at the second costs, less that at the first.

    80 units until the cut and 120 in all, at 1.00 up to 100 and 0.80 above: 80.00, and 36.00 for the other 40.
    """
    lines = []
    model = pricing.price.rate_for(dimensions)
    earlier: tuple[Decimal, Decimal, int] | None = None
    measures: Sequence[Decimal] | None
    for (_, before, after), measured in at_cuts:
        quantity, measures, events = measured.quantity, measured.measures, measured.events
        if pricing.conversions:
            quantity, measures = pricing.quantity(quantity), pricing.measures(measures)
        amount = amount_at(model, quantity, pricing.included, measures)
        cumulative = quantity, amount, events
        # Exact amounts are subtracted, and each difference is rounded: what one line rounds away no other makes good.
        if earlier is not None:
            quantity, amount, events = quantity - earlier[0], amount - earlier[1], events - earlier[2]
        if events > 0 or amount:
            line = _new(RatedLine, (*before, dimensions, quantity, pricing.round(amount), *after))
            lines.append(_provisional(line, measured.provisional) if measured.provisional else line)
        earlier = cumulative
    return lines


def _provisional(line: RatedLine, sessions: int) -> RatedLine:
    """A line that says that some of its sessions have not been stopped yet."""
    still = "1 session is" if sessions == 1 else f"{sessions} sessions are"
    return line._replace(description=f"{line.description}, provisional: {still} not stopped")
