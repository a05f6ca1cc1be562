"""What stands on an invoice, in words."""

from dataclasses import fields, replace

import pytest

from billing_pipeline.core.money import Money
from billing_pipeline.invoicing.document import DocumentKind
from billing_pipeline.invoicing.render.labels import ENGLISH, LABELS
from billing_pipeline.invoicing.render.sheet import sheet
from billing_pipeline_tests.invoicing.render.papers import DECEMBER, REASONS, document, every_kind, line, to, usage


def test_lines_stand_in_groups_in_the_order_of_a_bill() -> None:
    groups = [(group.title, len(group.rows), group.total) for group in sheet(document()).groups]
    assert groups == [
        ("Fees", 1, ""),
        ("Functions", 2, "75.00"),
        ("Minimum and maximum spend", 1, ""),
        ("Discounts", 1, ""),
        ("Adjustments of December 2025", 1, ""),
        ("Prepaid credits", 1, ""),
    ]


def test_a_line_says_what_when_how_much_and_of_which_dimensions() -> None:
    (_, functions, *_) = sheet(document()).groups
    first, second = functions.rows
    assert (first.description, first.small) == ("Functions", "compute · provider:\u00a0aws · region:\u00a0eu")
    assert (first.quantity, first.unit, first.amount) == ("1,600", "GB-s", "53.00")
    assert first.service == "Jan 1\u2009–\u200931, 2026"
    assert (second.small, second.quantity) == ("requests", "1,000,000")  # the price tells them apart


def test_totals_follow_one_another_as_in_the_ledger() -> None:
    written = sheet(document())
    assert written.totals == (
        ("Subtotal", "$400.00"),
        ("Prepaid credits", "-$40.00"),
        ("VAT 19%", "$76.00"),
        ("Total", "$436.00"),
        ("Customer credit applied", "-$36.00"),
    )
    assert written.due == ("Amount due", "$400.00")
    assert written.mark == ""


def test_who_is_exempt_reads_the_reason() -> None:
    lines = tuple(one for one in every_kind() if one.kind != "tax")
    written = sheet(document(lines=lines, buyer=to("de_DE", exempt="Reverse Charge")))
    assert ("Steuerfrei (Reverse Charge)", "0,00\u00a0$") in written.totals


def test_german_customers_read_german() -> None:
    written = sheet(document(buyer=to("de_AT")))
    assert (written.title, written.due[0]) == ("Rechnung 2026-000042", "Zahlbetrag")
    assert ("Abrechnungszeitraum", "Jänner 2026") in written.facts  # as it is called in Austria
    assert [group.title for group in written.groups][4] == "Anpassungen für Dezember 2025"


def test_other_languages_have_english_words_and_their_own_formats() -> None:
    written = sheet(document("EUR", buyer=to("fr_FR")))
    assert (written.words, written.locale) == (ENGLISH, "fr-FR")
    assert ("Issue date", "1 févr. 2026") in written.facts
    assert written.due == ("Amount due", "400,00\u00a0€")


def test_a_draft_says_so_and_has_no_number() -> None:
    written = sheet(document(status="draft", number=None, name="6d1f0f0e"))
    assert (written.mark, written.title) == ("Draft", "Invoice 6d1f0f0e")
    assert "may change" in written.mark_note
    assert ("Version", "3") in written.facts
    assert "Number" not in dict(written.facts)


def test_a_void_one_names_what_replaces_it() -> None:
    written = sheet(document(status="void", replaced_by="2026-000050"))
    assert (written.mark, written.mark_note) == ("Void", "This document is void. 2026-000050 replaces it.")
    assert sheet(document(status="void")).mark_note == "This document is void."


def test_a_credit_note_names_what_it_corrects_and_why() -> None:
    minus = Money(-500, "USD")
    lines = (usage("-5", adjusts=None),)
    made = document(
        kind="credit_note", corrects="2026-000041", reason="outage", lines=lines, total=minus, subtotal=minus
    )
    written = sheet(made)
    assert written.heading == "Credit note"
    assert {"Corrects": "2026-000041", "Reason": "outage"}.items() <= dict(written.facts).items()
    assert written.notes == ("The negative total is kept as customer credit and pays for the next invoices.",)


def test_details_stand_below_their_line_and_are_exact() -> None:
    written = sheet(document(lines=every_kind(details=REASONS), detailed=True))
    assert written.columns[3] == "Unit price"
    line_, first, second, _ = written.groups[1].rows
    assert (line_.detail, first.detail) == (False, True)
    assert (second.description, second.quantity, second.unit_price, second.amount) == (
        "over 100", "1,500", "0.028666666667", "43.0000000005",
    )  # fmt: skip


def test_adjustments_are_grouped_by_the_period_that_they_adjust() -> None:
    november = (DECEMBER[0].replace(month=11), DECEMBER[0].replace(month=11, day=30))
    lines = tuple(replace(line("adjustment", "Functions", "1"), adjusts=one) for one in (DECEMBER, november, DECEMBER))
    groups = sheet(document(lines=lines)).groups
    assert [(one.title, one.total) for one in groups] == [
        ("Adjustments of November 2025", ""),
        ("Adjustments of December 2025", "2.00"),
    ]


def test_a_document_without_lines_says_so() -> None:
    assert sheet(document(lines=())).notes == ("Nothing was billed.",)


@pytest.mark.parametrize("language", LABELS)
def test_every_language_has_every_word(language: str) -> None:
    words = LABELS[language]
    assert {str(kind) for kind in DocumentKind} <= words.kinds.keys()
    for one in fields(words):
        word = getattr(words, one.name)
        if isinstance(word, str):
            assert word, one.name
            assert word.count("{}") == getattr(ENGLISH, one.name).count("{}"), one.name
