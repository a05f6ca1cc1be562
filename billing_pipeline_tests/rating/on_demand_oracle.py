"""An oracle of on-demand phases, plain and slow: every arrival is played one by one, in fractions, and nothing is kept.

It knows the rules of windows only by their sentences: volume prices each arrival's units at the tier that is reached,
and takes back of the dearest-numbered tier; an event is free while free events and free amount last; what is taken back
gives back what it had.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Any

from billing_pipeline.metering.measurement import Step

Terms = Mapping[str, Any]


def volume(terms: Terms, steps: Sequence[Step], included: Fraction = Fraction(0)) -> Fraction:
    """What a phase of these arrivals owes."""
    tiers = terms["tiers"]
    pieces: list[tuple[int, Fraction]] = []  # tier and units, of each arrival that was billed
    entered, metered, due = set[int](), Fraction(0), Fraction(0)
    for _, same in groupby(steps, key=lambda step: step.arrival):
        metered += sum((_signed(step) for step in same), Fraction(0))
        reached = max(metered - included, Fraction(0))
        standing = sum((piece for _, piece in pieces), Fraction(0))
        if reached > standing:
            number = next(
                i for i, tier in enumerate(tiers) if "up_to" not in tier or reached <= Fraction(tier["up_to"])
            )
            pieces.append((number, reached - standing))
            if number not in entered:
                entered.add(number)
                due += Fraction(tiers[number].get("flat_amount", 0))
        else:
            pieces = list(_without(pieces, standing - reached))
    return due + sum((piece * Fraction(tiers[number].get("unit_amount", 0)) for number, piece in pieces), Fraction(0))


def _without(pieces: Iterable[tuple[int, Fraction]], reduction: Fraction) -> Iterable[tuple[int, Fraction]]:
    for number, piece in sorted(pieces, reverse=True):
        taken = min(piece, reduction)
        reduction -= taken
        if piece > taken:
            yield number, piece - taken


def percentage(terms: Terms, steps: Sequence[Step]) -> Fraction:
    """What a phase of these arrivals owes."""
    events, amount = terms.get("free_events"), terms.get("free_amount")
    standing: dict[int, tuple[Fraction, Fraction | None, bool]] = {}  # value, what it pays for, whether it used a place
    for step in steps:
        if not step.counts:
            del standing[step.event]
            continue
        value, free, placed = Fraction(step.value), Fraction(0), False
        used = sum(place for _, _, place in standing.values())
        given = sum((all_ - (paid or 0) for all_, paid, place in standing.values() if place), Fraction(0))
        lasts = (events is None or used < int(events)) and (amount is None or given < Fraction(amount))
        if (events is not None or amount is not None) and lasts:
            placed, free = True, value if amount is None else min(value, Fraction(amount) - given)
        standing[step.event] = (value, None if placed and free == value else value - free, placed)
    if sum(value for value, _, _ in standing.values()) < 0:
        return Fraction(0)
    return sum((_of_event(terms, paid) for _, paid, _ in standing.values() if paid is not None), Fraction(0))


def _of_event(terms: Terms, value: Fraction) -> Fraction:
    cost = value * Fraction(terms["rate"]) / 100 + Fraction(terms.get("fixed_amount", 0))
    if terms.get("minimum_per_event") is not None:
        cost = max(cost, Fraction(terms["minimum_per_event"]))
    if terms.get("maximum_per_event") is not None:
        cost = min(cost, Fraction(terms["maximum_per_event"]))
    return cost


def dynamic(terms: Terms, steps: Sequence[Step]) -> Fraction:
    """What a phase of these arrivals owes."""
    return sum((_signed(step) for step in steps), Fraction(0)) * Fraction(terms.get("multiplier", 1))


def _signed(step: Step) -> Fraction:
    return Fraction(step.value) * (1 if step.counts else -1)
