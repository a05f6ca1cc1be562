"""Rating: conversion, included units, tiers over all values, minimum and maximum spend, on the days they fall on."""

from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.metering.segments import segments
from billing_pipeline.rating.line import MeteredQuantity
from billing_pipeline.rating.rate import rate
from billing_pipeline_tests.terms import JANUARY, UTC_MONTHS, subscribed, terms_of

PLANS = """
plans:
  - id: least
    prices: [{id: api, meter: api, minimum: "10", price: {model: per_unit, unit_amount: "0.10"}}]
  - id: most
    prices: [{id: api, meter: api, maximum: "10", price: {model: per_unit, unit_amount: "0.10"}}]
  - id: thousands
    prices: [{id: api, meter: api, convert: {divide_by: "1000", round: up}, included: "1",
              price: {model: per_unit, unit_amount: "2"}}]
  - id: together
    prices: [{id: api, meter: api, price: {model: graduated, by: [region], tiers_per: subscription,
              tiers: [{up_to: "100", unit_amount: "0.10"}, {unit_amount: "0.08"}]}}]
  - id: free
    prices: [{id: api, meter: api, included: "310", price: {model: per_unit, unit_amount: "1"}}]
"""


def lines_of(phases: list[str], *quantities: tuple[int, str, dict[str, str]]) -> list[tuple[str, str | None, str]]:
    """Kind, quantity and amount of January's lines; ``quantities`` are (segment, quantity, dimensions)."""
    terms = terms_of(PLANS + subscribed(*phases))
    in_force = list(segments(terms, JANUARY))
    metered = [
        MeteredQuantity(in_force[i].key, in_force[i].start, in_force[i].end, dimensions, Decimal(quantity), 1)
        for i, quantity, dimensions in quantities
    ]
    rated = rate(terms, in_force, metered, UTC_MONTHS)
    assert rated.problems == ()
    quantities_of = [None if line.quantity is None else f"{line.quantity:f}" for line in rated.lines]
    return [(line.kind, used, str(line.amount)) for line, used in zip(rated.lines, quantities_of, strict=True)]


@pytest.mark.parametrize(
    ("phases", "quantities", "lines"),
    [
        (["least 2026-01-01"], [(0, "30", {})], [("usage", "30", "3.00"), ("true_up", None, "7.00")]),
        (["least 2026-01-01"], [(0, "100", {})], [("usage", "100", "10.00")]),  # just reached
        (["least 2026-01-01"], [], [("true_up", None, "10.00")]),  # due without usage, too
        # from 22 January on: 10 of 31 days; 10 × 10 / 31 is 3.2258…
        (["least 2026-01-22"], [(0, "10", {})], [("usage", "10", "1.00"), ("true_up", None, "2.23")]),
        (["most 2026-01-01"], [(0, "140", {})], [("usage", "140", "14.00"), ("true_up", None, "-4.00")]),
        (["most 2026-01-01"], [(0, "100", {})], [("usage", "100", "10.00")]),
        (["thousands 2026-01-01"], [(0, "2001", {})], [("usage", "3", "4.00")]),  # three thousands, one of them free
        (["thousands 2026-01-01"], [(0, "1000", {})], [("usage", "1", "0.00")]),
        (  # 80 and 60 count in the same tiers: 100 at 0.10, 40 at 0.08
            ["together 2026-01-01"],
            [(0, "80", {"region": "eu"}), (0, "60", {"region": "us"})],
            [("usage", "140", "13.20")],
        ),
        # 10 free units a day: the day of a change belongs to what comes after it
        (
            ["free 2026-01-01", "free 2026-01-11T12:00:00Z"],
            [(0, "101", {}), (1, "211", {})],
            [("usage", "101", "1.00"), ("usage", "211", "1.00")],
        ),
    ],
)
def test_lines(phases: list[str], quantities: list[tuple[int, str, dict[str, str]]], lines: list[Any]) -> None:
    assert lines_of(phases, *quantities) == lines
