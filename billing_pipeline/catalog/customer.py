"""Who buys: currency, grace, and how they pay."""

from dataclasses import dataclass
from typing import Annotated, Literal

from billing_pipeline.catalog.field_types import (
    CurrencyCode,
    DefaultsToAccount,
    Id,
    Line,
    LocaleName,
    Percent,
    Positive,
)
from billing_pipeline.core.period import Duration


@dataclass(frozen=True, slots=True)
class Payment:
    """How a customer's invoices are collected.

    Attributes:
        gateway: who collects.
        collection: `automatic` (the gateway charges) or `send` (the customer pays what they were sent).
        reference: the customer's id at the gateway.
    """

    gateway: Line
    collection: Literal["automatic", "send"] = "automatic"
    reference: Line | None = None


@dataclass(frozen=True, slots=True)
class TaxRate:
    """One tax that the customer pays.

    Attributes:
        name: as printed, e.g. VAT.
        percent: of the subtotal after prepaid credits.
    """

    name: Line
    percent: Percent


@dataclass(frozen=True, slots=True)
class Exempt:
    """The customer pays no tax.

    Attributes:
        exempt: the reason, as printed, e.g. reverse charge.
    """

    exempt: Line


@dataclass(frozen=True, slots=True)
class TopUp:
    """Buying prepaid credits automatically.

    Attributes:
        below: the balance under which credits are bought.
        amount: what is bought at once.
        monthly_maximum: the most that is bought in a calendar month.
    """

    below: Positive
    amount: Positive
    monthly_maximum: Positive | None = None


@dataclass(frozen=True, slots=True)
class Credits:
    """What happens as prepaid credits run out.

    Attributes:
        low_balance: balances that notify when they are crossed, an amount or a percentage of what was granted.
        top_up: buys credits automatically.
        uncovered: whether usage beyond the credits is invoiced or reported as overdrawn.
    """

    low_balance: tuple[str, ...] = ()
    top_up: TopUp | None = None
    uncovered: Literal["invoice", "overdrawn"] = "invoice"


@dataclass(frozen=True, slots=True)
class Customer:
    """One party that is invoiced, in one currency.

    Attributes:
        id: unique name of the customer; events name it.
        currency: ISO 4217 code of all documents; the account's unless given; it cannot change later.
        name: as printed; the id unless given.
        grace: overrides the grace of plan, product and account.
        locale: language and region in which documents are written, e.g. de_DE.
        tax: tax rates, or {exempt: a reason}.
        payment: who collects, and how; without it invoices wait for a payment method.
        credits: what happens as prepaid credits run out.
    """

    id: Id
    currency: Annotated[CurrencyCode, DefaultsToAccount()]
    name: Line = ""
    grace: Duration | None = None
    locale: LocaleName | None = None
    tax: tuple[TaxRate, ...] | Exempt = ()
    payment: Payment | None = None
    credits: Credits | None = None

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.id)
