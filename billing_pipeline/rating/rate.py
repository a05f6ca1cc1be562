"""Quantities × prices in force → rated lines: exact, then rounded once on each line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal, Inexact, InvalidOperation, Overflow

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.money import EXACT, Money, round_amount
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.metering.segments import Segment
from billing_pipeline.rating.bounds import true_up
from billing_pipeline.rating.exact import Exactly, too_large
from billing_pipeline.rating.line import MeteredQuantity, Rated, RatedLine
from billing_pipeline.rating.price import ZERO, Price
from billing_pipeline.rating.pricing import Pricing

SegmentKey = tuple[str, str, str]  # subscription, phase start, price


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
    by_segment: dict[tuple[SegmentKey, datetime], list[MeteredQuantity]] = {}
    for quantity in quantities:
        by_segment.setdefault((quantity.segment, quantity.start), []).append(quantity)
    lines: list[RatedLine] = []
    problems: list[str] = []
    for segment in in_force:
        pricing = Pricing.of(terms, segment, calendar)
        usage, errors = _rate(pricing, by_segment.get((segment.key, segment.start), []))
        lines += [*usage, *_true_up_lines(pricing, [line.amount for line in usage])]
        problems += [f"{segment.plan.id}/{segment.price.id}: {error}" for error in errors]
    return Rated(tuple(lines), tuple(problems))


def _rate(pricing: Pricing, quantities: Sequence[MeteredQuantity]) -> tuple[list[RatedLine], list[RatingError]]:
    """A segment's lines, and why some are missing."""
    lines, errors, alike = list[RatedLine](), list[RatingError](), _alike(pricing)
    try:
        groups = _charged_together(quantities, pricing.price)
    except RatingError as error:  # usage without a rate, that shares its tiers with all the rest
        return [], [error]
    with Exactly():  # once for all: entering it costs as much as a line
        for dimensions, at_cuts in groups:
            try:
                lines += _usage_lines(pricing, alike, dimensions, at_cuts)
            except RatingError as error:
                errors.append(error)
            except (Inexact, InvalidOperation, Overflow):
                errors.append(too_large())
    return lines, errors


def _charged_together(
    quantities: Sequence[MeteredQuantity], price: Price
) -> Iterable[tuple[Mapping[str, str], dict[datetime, MeteredQuantity]]]:
    """Quantities at the cuts, for each combination of values that has tiers of its own."""
    if price.tiers_per == "subscription":
        return [({}, _added(quantities, price))]
    if not quantities and not price.by:
        return [({}, {})]  # a price may charge for no usage at all
    groups: dict[tuple[tuple[str, str], ...], tuple[Mapping[str, str], dict[datetime, MeteredQuantity]]] = {}
    for one in quantities:
        values = tuple(one.dimensions.items())
        key = values if len(values) <= 1 else tuple(sorted(values))
        if key not in groups:
            groups[key] = (one.dimensions, {})
        groups[key][1][one.cut] = one
    return groups.values()


def _added(quantities: Iterable[MeteredQuantity], price: Price) -> dict[datetime, MeteredQuantity]:
    """All values together, at each cut."""
    found: dict[datetime, MeteredQuantity] = {}
    for one in quantities:
        price.combination(one.dimensions)  # usage without a rate is an error, whoever shares the tiers
        other = found.get(one.cut)
        if other is None:
            found[one.cut] = replace(one, dimensions={})
        else:
            quantity = EXACT.add(one.quantity, other.quantity)
            events, provisional = one.events + other.events, one.provisional + other.provisional
            measures = None if one.measures is None or other.measures is None else (*other.measures, *one.measures)
            found[one.cut] = replace(
                other, quantity=quantity, events=events, provisional=provisional, measures=measures
            )
    return found


def _alike(pricing: Pricing) -> list[tuple[datetime, tuple[object, ...], tuple[object, ...]]]:
    """For each cut, what all lines up to it have in common: the fields of a line before and after its own."""
    starts = (pricing.segment.start, *pricing.segment.cuts)
    nothing = Money(0, pricing.currency)
    return [
        (
            cut,
            pricing.line("usage", pricing.description, pricing.service(start, cut), nothing)[:_OWN],
            (pricing.segment.phase_start, start, None, None),
        )
        for start, cut in zip(starts, pricing.segment.cuts, strict=False)
    ]


_MOMENT = timedelta(microseconds=1)
_OWN = RatedLine._fields.index("dimensions")  # from here on a line says what is its own


def _usage_lines(
    pricing: Pricing,
    alike: Iterable[tuple[datetime, tuple[object, ...], tuple[object, ...]]],
    dimensions: Mapping[str, str],
    at_cuts: Mapping[datetime, MeteredQuantity],
) -> list[RatedLine]:
    """One line between each two cuts: rated(cumulative at the second) − rated(cumulative at the first)."""
    lines = []
    amount_before, quantity_before, events_before = ZERO, ZERO, 0
    measures: Sequence[Decimal] | None = ()
    by_quantity = pricing.price.needs == "quantity"
    for cut, shared, after in alike:
        measured = at_cuts.get(cut)
        if measured is None:
            quantity, events = quantity_before, events_before
        else:
            quantity, events, measures = pricing.quantity(measured.quantity), measured.events, measured.measures
        amount = pricing.amount(quantity, dimensions) if by_quantity else pricing.events_amount(measures, dimensions)
        part = amount - amount_before
        if events > events_before or part:
            rounded = round_amount(part, pricing.currency, pricing.rounding)
            used = quantity - quantity_before
            line = RatedLine._make((*shared, dimensions, used, rounded, *after))
            lines.append(_provisional(line, measured.provisional) if measured and measured.provisional else line)
        amount_before, quantity_before, events_before = amount, quantity, events
    return lines


def _provisional(line: RatedLine, sessions: int) -> RatedLine:
    """A line that says that some of its sessions have not been stopped yet."""
    still = "1 session is" if sessions == 1 else f"{sessions} sessions are"
    return line._replace(description=f"{line.description}, provisional: {still} not stopped")


def _true_up_lines(pricing: Pricing, lines: Sequence[Money]) -> list[RatedLine]:
    """What the segment's lines lack of the price's minimum, or exceed its maximum by."""
    price, segment = pricing.segment.price, pricing.segment
    if price.minimum is None and price.maximum is None:
        return []
    difference = true_up(
        lines,
        pricing.currency,
        minimum=None if price.minimum is None else pricing.part_of(price.minimum),
        maximum=None if price.maximum is None else pricing.part_of(price.maximum),
        rounding=pricing.rounding,
    )
    if not difference.minor:
        return []
    bound = "Minimum spend" if difference.minor > 0 else "Maximum spend"
    service = pricing.service(segment.start, segment.end)
    line = pricing.line("true_up", f"{bound}: {pricing.description}", service, difference)
    return [line._replace(start=segment.end - _MOMENT)]  # a true-up counts at its end
