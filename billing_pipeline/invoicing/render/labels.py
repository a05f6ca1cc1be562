"""The words on paper, by language.

To add a language: write its :class:`Labels` below and add its line to ``LABELS``.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Labels:
    """Every word that paper adds to the facts. ``{}`` takes a figure or a name."""

    language: str
    invoice: str
    credit_note: str
    draft: str
    void: str
    kinds: Mapping[str, str]
    bill_to: str
    tax_id: str
    customer: str
    number: str
    issue_date: str
    period: str
    kind: str
    version: str
    corrects: str
    reason: str
    description: str
    service: str
    quantity: str
    unit_price: str
    amount: str
    fees: str
    usage: str
    true_ups: str
    discounts: str
    adjustments: str
    credits: str
    others: str
    sum_of: str
    subtotal: str
    credits_applied: str
    exempt: str
    total: str
    customer_credit: str
    due: str
    no_lines: str
    draft_note: str
    void_note: str
    replaced_note: str
    negative_note: str
    details_note: str
    missing_note: str
    page: str


ENGLISH = Labels(
    language="en",
    invoice="Invoice",
    credit_note="Credit note",
    draft="Draft",
    void="Void",
    kinds={
        "opening": "Fees from the start of a subscription",
        "closing": "End of the billing period",
        "delayed": "Usage of the billing period",
        "adjustment": "Adjustment of earlier periods",
        "credit_note": "Correction of an invoice",
        "on_demand": "Usage on demand",
    },
    bill_to="Bill to",
    tax_id="Tax ID {}",
    customer="Customer",
    number="Number",
    issue_date="Issue date",
    period="Billing period",
    kind="Issued for",
    version="Version",
    corrects="Corrects",
    reason="Reason",
    description="Description",
    service="Service period",
    quantity="Quantity",
    unit_price="Unit price",
    amount="Amount ({})",
    fees="Fees",
    usage="Usage",
    true_ups="Minimum and maximum spend",
    discounts="Discounts",
    adjustments="Adjustments of {}",
    credits="Prepaid credits",
    others="Other",
    sum_of="{}, sum",
    subtotal="Subtotal",
    credits_applied="Prepaid credits",
    exempt="Tax: exempt ({})",
    total="Total",
    customer_credit="Customer credit applied",
    due="Amount due",
    no_lines="Nothing was billed.",
    draft_note="This is a draft. It may change, and has no number, until it is finalized.",
    void_note="This document is void.",
    replaced_note="This document is void. {} replaces it.",
    negative_note="The negative total is kept as customer credit and pays for the next invoices.",
    details_note="Figures within a line are exact; the line is rounded once.",
    missing_note="□ stands for a character that this form cannot print. The HTML form shows it.",
    page="Page {} of {}",
)
GERMAN = Labels(
    language="de",
    invoice="Rechnung",
    credit_note="Rechnungskorrektur",
    draft="Entwurf",
    void="Storniert",
    kinds={
        "opening": "Gebühren ab Vertragsbeginn",
        "closing": "Ende des Abrechnungszeitraums",
        "delayed": "Nutzung im Abrechnungszeitraum",
        "adjustment": "Anpassung früherer Zeiträume",
        "credit_note": "Korrektur einer Rechnung",
        "on_demand": "Nutzung nach Bedarf",
    },
    bill_to="Rechnung an",
    tax_id="USt-IdNr. / Steuernummer {}",
    customer="Kunde",
    number="Nummer",
    issue_date="Datum",
    period="Abrechnungszeitraum",
    kind="Anlass",
    version="Fassung",
    corrects="Korrigiert",
    reason="Grund",
    description="Beschreibung",
    service="Leistungszeitraum",
    quantity="Menge",
    unit_price="Einzelpreis",
    amount="Betrag ({})",
    fees="Gebühren",
    usage="Nutzung",
    true_ups="Mindest- und Höchstumsatz",
    discounts="Rabatte",
    adjustments="Anpassungen für {}",
    credits="Guthaben",
    others="Sonstiges",
    sum_of="{}, Summe",
    subtotal="Zwischensumme",
    credits_applied="Vorausbezahltes Guthaben",
    exempt="Steuerfrei ({})",
    total="Gesamtbetrag",
    customer_credit="Verrechnetes Kundenguthaben",
    due="Zahlbetrag",
    no_lines="Es wurde nichts berechnet.",
    draft_note="Dies ist ein Entwurf. Er kann sich ändern und hat keine Nummer, bis er abgeschlossen wird.",
    void_note="Dieses Dokument ist storniert.",
    replaced_note="Dieses Dokument ist storniert. {} ersetzt es.",
    negative_note="Der negative Gesamtbetrag bleibt als Kundenguthaben stehen und wird mit den nächsten Rechnungen verrechnet.",  # noqa: E501
    details_note="Die Angaben zu einer Zeile sind exakt; gerundet wird die Zeile, und nur einmal.",
    missing_note="□ steht für ein Zeichen, das in dieser Form nicht gedruckt werden kann. Die HTML-Form zeigt es.",
    page="Seite {} von {}",
)

LABELS: dict[str, Labels] = {words.language: words for words in (ENGLISH, GERMAN)}


def labels(language: str) -> Labels:
    """The words of a language; English where we have none."""
    return LABELS.get(language, ENGLISH)
