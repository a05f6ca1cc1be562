"""Quantities × prices in force → rated lines: exact, then rounded once on each line."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.money import EXACT, Money
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.metering.segments import Segment
from billing_pipeline.rating.bounds import true_up
from billing_pipeline.rating.line import MeteredQuantity, Rated, RatedLine
from billing_pipeline.rating.price import ZERO, Price
from billing_pipeline.rating.pricing import Pricing, end_day


def rate(
    terms: Terms,
    in_force: Iterable[Segment],
    quantities: Iterable[MeteredQuantity],
    calendar: BillingCalendar,
) -> Rated:
    """Price one customer's quantities of one period: conversion, included units, model, minimum and maximum spend.

    Args:
        terms: the customer's.
        in_force: the segments that were measured.
        quantities: cumulative, at every cut of every segment.
        calendar: gives the local days of service periods.
    """
    by_segment: dict[tuple[tuple[str, str, str], datetime], list[MeteredQuantity]] = defaultdict(list)
    for quantity in quantities:
        by_segment[quantity.segment, quantity.start].append(quantity)
    lines: list[RatedLine] = []
    problems = []
    for segment in in_force:
        pricing = Pricing.of(terms, segment, calendar)
        usage = []
        for dimensions, at_cuts in _charged_together(by_segment.get((segment.key, segment.start), ()), pricing.price):
            try:
                usage += _usage_lines(pricing, dimensions, at_cuts)
            except RatingError as error:
                problems.append(f"{segment.plan.id}/{segment.price.id}: {error}")
        lines += [*usage, *_true_up_lines(pricing, [line.amount for line in usage])]
    return Rated(tuple(lines), tuple(problems))


def _charged_together(
    quantities: Iterable[MeteredQuantity], price: Price
) -> list[tuple[Mapping[str, str], dict[datetime, MeteredQuantity]]]:
    """Quantities at the cuts, for each combination of values that has tiers of its own, in the order of the values."""
    groups: dict[tuple[tuple[str, str], ...], dict[datetime, MeteredQuantity]] = defaultdict(dict)
    for one in quantities:
        values = () if price.tiers_per == "subscription" else tuple(sorted(one.dimensions.items()))
        if price.tiers_per == "subscription":
            price.combination(one.dimensions)  # usage without a rate is an error, whoever shares the tiers
        before = groups[values].get(one.cut)
        groups[values][one.cut] = _added(before, one) if before else one
    if not groups and (not price.by or price.tiers_per == "subscription"):
        groups[()] = {}  # a price may charge for no usage at all
    return [(dict(values), groups[values]) for values in sorted(groups)]


def _added(one: MeteredQuantity, other: MeteredQuantity) -> MeteredQuantity:
    quantity = EXACT.add(one.quantity, other.quantity)
    return replace(one, dimensions={}, quantity=quantity, events=one.events + other.events)


def _usage_lines(
    pricing: Pricing, dimensions: Mapping[str, str], at_cuts: Mapping[datetime, MeteredQuantity]
) -> list[RatedLine]:
    """One line between each two cuts: rated(cumulative at the second) − rated(cumulative at the first)."""
    lines, segment = [], pricing.segment
    amount_before, quantity_before, events_before, start = ZERO, ZERO, 0, segment.start
    for cut in segment.cuts:
        measured = at_cuts.get(cut)
        quantity = pricing.quantity(measured.quantity) if measured else quantity_before
        events = measured.events if measured else events_before
        amount = pricing.amount(quantity, dimensions)
        part = EXACT.subtract(amount, amount_before)
        if events > events_before or part:
            service = (pricing.calendar.local_day(start), end_day(cut, pricing.calendar))
            line = pricing.line("usage", pricing.description, pricing.round(part), service)
            used = EXACT.subtract(quantity, quantity_before)
            lines.append(replace(line, dimensions=dimensions, quantity=used))
        amount_before, quantity_before, events_before, start = amount, quantity, events, cut
    return lines


def _true_up_lines(pricing: Pricing, lines: Sequence[Money]) -> list[RatedLine]:
    """What the segment's lines lack of the price's minimum, or exceed its maximum by."""
    price, segment = pricing.segment.price, pricing.segment
    if price.minimum is None and price.maximum is None:
        return []
    difference = true_up(
        lines,
        segment.plan.currency,
        minimum=None if price.minimum is None else pricing.part_of(price.minimum),
        maximum=None if price.maximum is None else pricing.part_of(price.maximum),
        rounding=pricing.terms.account.rounding,
    )
    if not difference.minor:
        return []
    bound = "Minimum spend" if difference.minor > 0 else "Maximum spend"
    service = (pricing.calendar.local_day(segment.start), end_day(segment.end, pricing.calendar))
    return [pricing.line("true_up", f"{bound}: {pricing.description}", difference, service)]
