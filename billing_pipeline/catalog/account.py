"""The account is the seller: what documents print, and what holds unless something more specific says otherwise."""

from dataclasses import dataclass
from typing import Literal

from billing_pipeline.catalog.field_types import NO_TIME, CurrencyCode, Line, NumberFormat
from billing_pipeline.core.money import Rounding
from billing_pipeline.core.period import Duration


@dataclass(frozen=True, slots=True)
class Account:
    """Who sells, in which currency unless said otherwise.

    Attributes:
        name: the seller's name, as printed on documents.
        currency: ISO 4217 code that customers and plans have unless they name their own.
        grace: how long after a period's end late usage still changes its documents, e.g. `3 days` or `12 hours`.
        rounding: how a line's exact amount becomes minor units, half away from zero or half to even.
        address: the seller's postal address, as printed on documents.
        tax_id: the seller's tax number, as printed on documents.
        number_format: how a document's number is written, from {year} and {number}.
        zero_documents: whether a document all of whose lines are zero is issued, with a number: `issue`, or `omit`.
    """

    name: Line
    currency: CurrencyCode
    grace: Duration = NO_TIME
    rounding: Rounding = Rounding.HALF_UP
    address: str = ""
    tax_id: Line = ""
    number_format: NumberFormat = "{year}-{number:06}"
    zero_documents: Literal["omit", "issue"] = "omit"
