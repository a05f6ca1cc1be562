"""A plan's minimum and maximum spend: one line a phase, on the document that locks last, over all its lines."""

from decimal import Decimal

import pytest

from billing_pipeline.invoicing.assemble import documents
from billing_pipeline.invoicing.document import Billed, Document
from billing_pipeline.metering.segments import segments
from billing_pipeline.rating.line import MeteredQuantity
from billing_pipeline.rating.rate import rate
from billing_pipeline_tests.terms import BASE, JANUARY, UTC_MONTHS, subscribed, terms_of

PLAN = """
  - id: floor
    minimum: "50"
    prices:
      - {id: api, meter: api, price: {model: per_unit, unit_amount: "0.10"}}
      - {id: gb, meter: gb, product: late, price: {model: per_unit, unit_amount: "1"}}
  - id: cap
    maximum: "40"
    prices:
      - {id: api, meter: api, price: {model: per_unit, unit_amount: "0.10"}}
      - {id: gb, meter: gb, product: late, price: {model: per_unit, unit_amount: "1"}}
plans:
"""


def documents_of(*phases: str, api: str, gb: str, billed: Billed | None = None) -> list[Document]:
    """January's documents; the quantities are those of each phase."""
    terms = terms_of(subscribed(*phases), base=BASE.replace("plans:\n", "plans:" + PLAN.removesuffix("plans:\n")))
    in_force = list(segments(terms, JANUARY))
    used = {"api": Decimal(api), "gb": Decimal(gb)}
    found = [MeteredQuantity(one.key, one.start, one.end, {}, used[one.price.id], 1) for one in in_force]
    lines = rate(terms, in_force, found, UTC_MONTHS).lines
    return documents(terms, JANUARY, UTC_MONTHS, lines, billed or Billed())


def amounts(document: Document) -> list[tuple[str, str]]:
    return [(line.kind, str(line.amount)) for line in document.lines]


@pytest.mark.parametrize(
    ("api", "gb", "delayed"),
    [
        ("100", "15", [("usage", "15.00"), ("true_up", "25.00")]),
        ("400", "10", [("usage", "10.00")]),  # just reached
        ("0", "0", [("usage", "0.00"), ("true_up", "50.00")]),
    ],
)
def test_it_looks_at_both_documents_and_stands_on_the_later(api: str, gb: str, delayed: list[tuple[str, str]]) -> None:
    closing, later = documents_of("floor 2026-01-01", api=api, gb=gb)
    assert [closing.plan.identity.kind, later.plan.identity.kind] == ["closing", "delayed"]
    assert amounts(closing) == [("usage", str(Decimal(api) / 10 + Decimal("0.00")))]
    assert amounts(later) == delayed
    assert later.subtotal.minor == sum(line.amount.minor for line in later.lines)


def test_a_part_of_a_period_has_a_part_of_it() -> None:
    """From 22 January on it is for 10 of 31 days: 50 × 10 / 31 is 16.129."""
    _, later = documents_of("floor 2026-01-22", api="10", gb="1")
    assert amounts(later) == [("usage", "1.00"), ("true_up", "14.13")]


@pytest.mark.parametrize(
    ("api", "gb", "delayed"),
    [
        ("100", "29.99", [("usage", "29.99")]),
        ("100", "30", [("usage", "30.00")]),  # just reached
        ("100", "50", [("usage", "50.00"), ("true_up", "-20.00")]),
        ("500", "0", [("usage", "0.00"), ("true_up", "-10.00")]),  # exceeded on the earlier document, kept on the later
    ],
)
def test_a_maximum_is_a_cap_whose_credit_stands_on_the_later(api: str, gb: str, delayed: list[tuple[str, str]]) -> None:
    closing, later = documents_of("cap 2026-01-01", api=api, gb=gb)
    assert amounts(closing) == [("usage", str(Decimal(api) / 10 + Decimal("0.00")))]
    assert amounts(later) == delayed
    assert closing.subtotal.minor + later.subtotal.minor <= 4000
    assert [line.description for line in later.lines if line.kind == "true_up"] in ([], ["Maximum spend: cap"])


def test_a_part_of_a_period_has_a_part_of_the_maximum() -> None:
    """From 22 January on it is for 10 of 31 days: 40 × 10 / 31 is 12.903; 30 were used."""
    _, later = documents_of("cap 2026-01-22", api="100", gb="20")
    assert amounts(later) == [("usage", "20.00"), ("true_up", "-17.10")]


def test_each_phase_has_its_own() -> None:
    """1–10 January and 11–31 come to 16.13 and 33.87, each less 2.00 of usage."""
    _, later = documents_of("floor 2026-01-01", "floor 2026-01-11", api="10", gb="1")
    assert sorted(amount for kind, amount in amounts(later) if kind == "true_up") == ["14.13", "31.87"]


def test_it_counts_what_is_final_and_never_moves_to_another_document() -> None:
    closing, later = documents_of("floor 2026-01-01", api="100", gb="15")
    (only,) = documents_of("floor 2026-01-01", api="100", gb="15", billed=Billed().adding(closing.plan))
    assert only.content == later.content
    (only,) = documents_of("floor 2026-01-01", api="100", gb="15", billed=Billed().adding(later.plan))
    assert amounts(only) == [("usage", "10.00")]
