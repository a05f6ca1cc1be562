"""Quantities × prices in force → rated lines: exact, then rounded once on each line."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, Inexact, InvalidOperation, Overflow

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.money import EXACT
from billing_pipeline.core.period import MOMENT, BillingCalendar
from billing_pipeline.metering.segments import Segment, SegmentKey
from billing_pipeline.rating.bounds import true_up
from billing_pipeline.rating.exact import Exactly, too_large
from billing_pipeline.rating.line import LineKind, MeteredQuantity, Rated, RatedLine
from billing_pipeline.rating.price import ZERO, Price, amount_at
from billing_pipeline.rating.pricing import Interval, Pricing


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
    by_segment: dict[tuple[SegmentKey, datetime], list[MeteredQuantity]] = defaultdict(list)
    for quantity in quantities:
        by_segment[quantity.segment, quantity.start].append(quantity)
    lines: list[RatedLine] = []
    problems: list[str] = []
    for segment in in_force:
        pricing = Pricing.of(terms, segment, calendar)
        usage, errors = _rate(pricing, by_segment.get((segment.key, segment.start), []))
        lines += [*usage, *_true_up_lines(pricing, usage)]
        problems += [f"{segment.plan.id}/{segment.price.id}: {error}" for error in errors]
    return Rated(tuple(lines), tuple(problems))


def _rate(pricing: Pricing, quantities: Sequence[MeteredQuantity]) -> tuple[list[RatedLine], list[RatingError]]:
    """A segment's lines, and why some are missing."""
    lines: list[RatedLine] = []
    errors: list[RatingError] = []
    try:
        groups = _charged_together(quantities, pricing)
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


_AtCuts = Sequence[tuple[Interval, MeteredQuantity]]  # what was measured at the end of each interval


def _charged_together(
    quantities: Sequence[MeteredQuantity], pricing: Pricing
) -> Iterable[tuple[Mapping[str, str], _AtCuts]]:
    """Quantities at the cuts, for each combination of values that has tiers of its own."""
    price, intervals = pricing.price, pricing.intervals()
    if price.tiers_per == "subscription":
        return [({}, _at_cuts(intervals, _added(quantities, price)))]
    if not quantities and not price.by:
        return [({}, _at_cuts(intervals, {}))]  # a price may charge for no usage at all
    if len(intervals) == 1:  # as nearly always: each quantity stands alone
        (whole,), cut = intervals, intervals[0].cut
        return ((one.dimensions, ((whole, one),)) for one in quantities if one.cut == cut)
    groups: dict[tuple[tuple[str, str], ...], tuple[Mapping[str, str], dict[datetime, MeteredQuantity]]] = {}
    for one in quantities:
        key = tuple(sorted(one.dimensions.items()))
        groups.setdefault(key, (one.dimensions, {}))[1][one.cut] = one
    return [(dimensions, _at_cuts(intervals, found)) for dimensions, found in groups.values()]


def _at_cuts(intervals: Sequence[Interval], found: Mapping[datetime, MeteredQuantity]) -> _AtCuts:
    """What was measured at each cut; where nothing was, as much as at the one before."""
    at_cuts, measured = [], _NOTHING
    for interval in intervals:
        measured = found.get(interval.cut, measured)
        at_cuts.append((interval, measured))
    return at_cuts


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


_NEVER = datetime.min.replace(tzinfo=UTC)
_NOTHING = MeteredQuantity(SegmentKey("", _NEVER, ""), _NEVER, _NEVER, {}, ZERO, 0, measures=())
_new = tuple.__new__  # what RatedLine._make calls, in half the time


def _usage_lines(pricing: Pricing, dimensions: Mapping[str, str], at_cuts: _AtCuts) -> list[RatedLine]:
    """One line between each two cuts: rated(cumulative at the second) − rated(cumulative at the first)."""
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


def _true_up_lines(pricing: Pricing, usage: Sequence[RatedLine]) -> list[RatedLine]:
    """What the segment's lines lack of the price's minimum, or exceed its maximum by."""
    price, segment = pricing.segment.price, pricing.segment
    if price.minimum is None and price.maximum is None:
        return []
    difference = true_up(
        [line.amount for line in usage],
        pricing.currency,
        minimum=None if price.minimum is None else pricing.part_of(price.minimum),
        maximum=None if price.maximum is None else pricing.part_of(price.maximum),
        rounding=pricing.rounding,
    )
    if not difference.minor:
        return []
    bound = "Minimum spend" if difference.minor > 0 else "Maximum spend"
    service = pricing.service(segment.start, segment.end)
    at = segment.end - MOMENT  # a true-up counts at its end
    return [pricing.line(LineKind.TRUE_UP, f"{bound}: {pricing.description}", service, difference, at)]
