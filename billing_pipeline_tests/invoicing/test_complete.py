"""Completion: which document carries adjustments, what is taxed, and who uses the customer's credit first."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from billing_pipeline.catalog.customer import TaxRate
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.money import from_major
from billing_pipeline.invoicing.complete import OtherDocument, Unsettled, complete
from billing_pipeline.invoicing.document import Document, DocumentIdentity, DocumentKind, DocumentPlan
from billing_pipeline.invoicing.tax import CatalogTax
from billing_pipeline.rating.line import LineKind, RatedLine
from billing_pipeline_tests.invoicing.discounted import base
from billing_pipeline_tests.terms import UTC_MONTHS, terms_of

FEBRUARY = UTC_MONTHS.period("2026-02-01")
FIRST_OF_MARCH = date(2026, 3, 1)


def march(day: int) -> datetime:
    return datetime(2026, 3, day, tzinfo=UTC)


def late(amount: str = "4.50", *, start: date = date(2026, 1, 1)) -> RatedLine:
    """An adjustment of January."""
    return base(amount, kind=LineKind.ADJUSTMENT, adjusts=LineKind.USAGE, service_start=start)[1]


def of_february(
    amount: str = "40.00",
    *,
    kind: DocumentKind = DocumentKind.CLOSING,
    issued: date = FIRST_OF_MARCH,
    lock_at: datetime | None = None,
) -> Document:
    identity = DocumentIdentity("acme", kind, FEBRUARY.first_day, issued)
    return Document(DocumentPlan(identity, "USD", lock_at or march(4), frozenset()), (base(amount)[1],))


def opening_of_march(credit: str) -> OtherDocument:
    identity = DocumentIdentity("acme", DocumentKind.OPENING, FIRST_OF_MARCH, FIRST_OF_MARCH)
    return OtherDocument(identity.order(march(1)), minor(credit))


def minor(amount: str) -> int:
    return from_major(Decimal(amount), "USD").minor


def taxed() -> Terms:
    """Terms with VAT of 20%."""
    terms = terms_of("")
    return replace(terms, customer=replace(terms.customer, tax=(TaxRate("VAT", Decimal(20)),)))


def completed(unsettled: Unsettled, *documents: Document) -> list[tuple[str, str, str, str, str]]:
    """Kind, subtotal, tax, total and amount due of each document, where VAT is 20%."""
    return [
        (
            str(document.plan.identity.kind),
            str(document.subtotal),
            str(document.tax),
            str(document.total),
            str(document.amount_due),
        )
        for document in complete(documents, taxed(), FEBRUARY, unsettled, CatalogTax())
    ]


def test_the_example_that_the_module_begins_with() -> None:
    unsettled = Unsettled(adjustments=(late(),), credit=minor("8.00"))
    assert completed(unsettled, of_february()) == [("closing", "44.50", "8.90", "53.40", "45.40")]
    beside_march = replace(unsettled, others=(opening_of_march(credit="5.00"),))
    assert completed(beside_march, of_february()) == [("closing", "40.00", "8.00", "48.00", "45.00")]
    received = replace(unsettled, receipt=True)
    assert completed(received) == [("adjustment", "4.50", "0.90", "5.40", "0.00")]


def test_late_usage_has_no_document_of_its_own_where_another_is_open_or_it_came_in_another_period() -> None:
    unsettled = Unsettled(adjustments=(late(),), receipt=True)
    assert completed(replace(unsettled, others=(opening_of_march(credit="0.00"),))) == []
    assert completed(replace(unsettled, receipt=False)) == []


def test_the_document_that_locks_first_carries_all_of_it_and_uses_credit_first() -> None:
    closing = of_february("10.00", lock_at=march(1))
    delayed = of_february(kind=DocumentKind.DELAYED, issued=date(2026, 3, 6))
    unsettled = Unsettled(adjustments=(late("1.00"), late("2.00", start=date(2026, 1, 2))), credit=minor("20.00"))
    assert completed(unsettled, delayed, closing) == [
        ("delayed", "40.00", "8.00", "48.00", "43.60"),
        ("closing", "13.00", "2.60", "15.60", "0.00"),
    ]


def test_a_document_that_is_cut_off_keeps_the_credit_it_uses_and_carries_nothing_more() -> None:
    cut_off = replace(opening_of_march(credit="5.00"), cut_off=True)
    unsettled = Unsettled(adjustments=(late(),), credit=minor("8.00"), others=(cut_off,))
    assert completed(unsettled, of_february()) == [("closing", "44.50", "8.90", "53.40", "50.40")]
    assert completed(replace(unsettled, receipt=True)) == [("adjustment", "4.50", "0.90", "5.40", "2.40")]


def test_what_credits_an_advance_fee_stands_where_the_period_closes_in_which_the_subscription_ends() -> None:
    credited = late("-6.00")
    here = Unsettled(ended=((FEBRUARY.first_day, credited),), others=(opening_of_march(credit="0.00"),))
    assert completed(here, of_february()) == [("closing", "34.00", "6.80", "40.80", "40.80")]
    elsewhere = replace(here, ended=((FIRST_OF_MARCH, credited),))
    assert completed(elsewhere, of_february()) == [("closing", "40.00", "8.00", "48.00", "48.00")]


def other(kind: DocumentKind, lock_at: int, issued: int, period: date = FIRST_OF_MARCH) -> OtherDocument:
    """A document of another period, that locks and is issued on these days of March."""
    identity = DocumentIdentity("acme", kind, period, date(2026, 3, issued))
    return OtherDocument(identity.order(march(lock_at)), 0, own=kind == DocumentKind.ADJUSTMENT)


CLOSING = of_february()  # of 1 March, which locks on the 4th
DELAYED = of_february(kind=DocumentKind.DELAYED, issued=date(2026, 3, 3))  # locks with it
OWN = of_february(kind=DocumentKind.ADJUSTMENT)


@pytest.mark.parametrize(
    ("documents", "others", "carrier"),
    [
        pytest.param([CLOSING], [], "closing", id="the only one"),
        pytest.param([DELAYED, CLOSING], [], "closing", id="of those that lock together the one issued first"),
        pytest.param([CLOSING], [other(DocumentKind.OPENING, 3, 3)], None, id="another locks first"),
        pytest.param([CLOSING], [other(DocumentKind.OPENING, 4, 2)], "closing", id="another is issued later"),
        pytest.param([CLOSING], [other(DocumentKind.OPENING, 4, 1)], None, id="an opening comes before a closing"),
        pytest.param([CLOSING], [other(DocumentKind.DELAYED, 4, 1)], "closing", id="and that before a delayed one"),
        pytest.param(
            [CLOSING], [other(DocumentKind.CLOSING, 4, 1, date(2026, 1, 1))], None, id="of two the earlier period's"
        ),
        pytest.param([CLOSING], [other(DocumentKind.ADJUSTMENT, 1, 1)], None, id="late usage has a document already"),
        pytest.param([OWN], [], None, id="a document of its own carries no more"),
        pytest.param([], [], None, id="there is none"),
    ],
)  # fmt: skip
def test_one_document_carries_all_adjustments(
    documents: list[Document], others: list[OtherDocument], carrier: str | None
) -> None:
    found = complete(
        documents, terms_of(""), FEBRUARY, Unsettled(adjustments=(late(),), others=tuple(others)), CatalogTax()
    )
    assert len(found) == len(documents)
    carriers = [str(one.plan.identity.kind) for one in found if any(line.adjusts for line in one.lines)]
    assert carriers == ([carrier] if carrier else [])


@pytest.mark.parametrize(
    ("others", "issued"),
    [
        pytest.param([], True, id="nothing else carries it"),
        pytest.param([other(DocumentKind.CLOSING, 20, 20)], False, id="a later document will"),
        pytest.param([other(DocumentKind.ADJUSTMENT, 20, 20)], True, id="what came in a later month has its own"),
        pytest.param(
            [other(DocumentKind.ADJUSTMENT, 1, 1, date(2026, 1, 1))], False, id="an earlier month has it"
        ),
    ],
)  # fmt: skip
def test_late_usage_has_a_document_of_its_own_where_nothing_else_carries_it(
    others: list[OtherDocument], *, issued: bool
) -> None:
    unsettled = Unsettled(adjustments=(late(),), others=tuple(others), receipt=True)
    kinds = [kind for kind, *_ in completed(unsettled)]
    assert kinds == (["adjustment"] if issued else [])


@pytest.mark.parametrize(
    ("credit", "amounts", "due"),
    [
        pytest.param("0.00", ["10.00"], ["12.00"], id="none"),
        pytest.param("-5.00", ["10.00"], ["12.00"], id="owed, not given"),
        pytest.param("12.00", ["10.00"], ["0.00"], id="all of a total with its tax"),
        pytest.param("12.01", ["10.00", "10.00"], ["0.00", "11.99"], id="the rest for the next"),
        pytest.param("50.00", ["10.00", "10.00"], ["0.00", "0.00"], id="more than there is to pay"),
        pytest.param("5.00", ["-10.00", "10.00"], ["0.00", "7.00"], id="a negative total uses none"),
    ],
)
def test_credit_pays_totals_in_the_order_of_their_documents(credit: str, amounts: list[str], due: list[str]) -> None:
    documents = [of_february(amount, lock_at=march(4 + number)) for number, amount in enumerate(amounts)]
    assert [found[-1] for found in completed(Unsettled(credit=minor(credit)), *documents)] == due


def test_adjustments_come_after_a_documents_own_lines_oldest_first_and_are_taxed_with_them() -> None:
    found = [late("-50.00", start=date(2026, 1, 9)), late("1.00", start=date(2025, 12, 1)), late("3.00")]
    (document,) = complete([CLOSING], terms_of(""), FEBRUARY, Unsettled(adjustments=tuple(found)), CatalogTax())
    assert [str(line.amount) for line in document.lines] == ["40.00", "1.00", "3.00", "-50.00"]
    assert completed(Unsettled(adjustments=tuple(found)), CLOSING) == [("closing", "-6.00", "-1.20", "-7.20", "0.00")]


def test_a_document_without_lines_is_not_taxed() -> None:
    (empty,) = complete([replace(CLOSING, lines=())], taxed(), FEBRUARY, Unsettled(), CatalogTax())
    assert empty.lines == ()
