"""What stands on an invoice: facts, not yet words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from billing_pipeline.core.money import Money


@dataclass(frozen=True, slots=True)
class Seller:
    """Who sells. ``address`` line by line."""

    name: str
    address: tuple[str, ...]
    tax_id: str


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys. ``exempt``: why no tax is paid, where none is."""

    id: str
    name: str
    locale: str | None
    exempt: str | None


@dataclass(frozen=True, slots=True)
class PaperDetail:
    """One reason inside a line; ``amount`` is exact, in major units."""

    description: str
    quantity: Decimal
    unit_amount: Decimal | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class PaperLine:
    """One line.

    Attributes:
        kind: usage, fee, true_up, discount, adjustment, credit or tax.
        product: the product's name.
        price: id of the price, which tells lines of one product apart.
        service: local days ``[start, end)``.
        unit: of the quantity, as printed.
        adjusts: of an adjustment, the first and last day of the billing period that it adjusts.
        details: the line's reasoning, where it is asked for.
    """

    kind: str
    description: str
    product: str | None
    price: str | None
    service: tuple[date, date] | None
    dimensions: Mapping[str, str]
    quantity: Decimal | None
    unit: str
    amount: Money
    adjusts: tuple[date, date] | None = None
    details: tuple[PaperDetail, ...] = ()


@dataclass(frozen=True, slots=True)
class PaperDocument:
    """One document in one state.

    Attributes:
        name: its number, or its id while it has none.
        number: None until it is finalized.
        status: draft, finalized or void.
        version: of the draft.
        period: first and last day of the billing period.
        corrects: number or id of the document that a credit note lowers.
        reason: why, as the credit note says.
        replaced_by: number or id of the document that was issued in its place, where it is void.
        detailed: whether lines have their details.
    """

    name: str
    number: str | None
    status: str
    kind: str
    version: int
    seller: Seller
    buyer: Buyer
    issue_date: date
    period: tuple[date, date]
    currency: str
    lines: tuple[PaperLine, ...]
    subtotal: Money
    credits_applied: Money
    total: Money
    customer_credit_applied: Money
    amount_due: Money
    corrects: str | None = None
    reason: str | None = None
    replaced_by: str | None = None
    detailed: bool = False
