"""What a person asks of a period at each stage: counts, totals, tables. For asset metadata, status and reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger import holds, summaries
from billing_pipeline.ledger.periods import Reconciliation, reconciliation
from billing_pipeline.operations.context import Billing

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """Where the period's rows are.

    Attributes:
        reconciliation: landed = accepted + superseded + retracted.
        batches: the newest batches that touch the period: number, source, file, rows, received.
        sources: by source: batches, rows, quarantined.
    """

    reconciliation: Reconciliation
    batches: Sequence[Row]
    sources: Sequence[Row]
    files: int
    quarantined: int


def usage_summary(billing: Billing, period: BillingPeriod) -> UsageSummary:
    """The period's usage, from the manifest and from what metering counted."""
    with billing.ledger.begin() as connection:
        return UsageSummary(
            reconciliation(connection, period.first_day),
            summaries.batches(connection, period.first_day),
            summaries.sources(connection, period.first_day),
            summaries.files(connection, period.first_day),
            summaries.quarantined(connection, period.first_day),
        )


def meter_summary(billing: Billing, period: BillingPeriod) -> Sequence[Row]:
    """By meter: customers, events accepted, superseded, retracted and unpriced."""
    with billing.ledger.begin() as connection:
        return summaries.meters(connection, period.first_day)


def stored_quantities(billing: Billing, period: BillingPeriod) -> int:
    """How many quantities the period has."""
    with billing.ledger.begin() as connection:
        return summaries.quantities(connection, period.first_day)


@dataclass(frozen=True, slots=True)
class PriceSummary:
    """The period's rated lines.

    Attributes:
        rows: by plan, price and currency: customers, lines, quantity and amount.
        totals: by currency, in major units.
    """

    rows: Sequence[Row]
    lines: int
    totals: dict[str, Decimal]


def price_summary(billing: Billing, period: BillingPeriod) -> PriceSummary:
    """What the period's usage comes to, by price."""
    with billing.ledger.begin() as connection:
        rows = summaries.prices(connection, period.first_day)
    return PriceSummary(rows, sum(int(str(row["lines"])) for row in rows), _totals(rows, "amount"))


def held_for(billing: Billing, period: BillingPeriod, cause: str) -> Sequence[Row]:
    """The customers that a cause holds now, with its reason."""
    with billing.ledger.begin() as connection:
        found = holds.known(connection, period=period.first_day)
    return [{"customer": one.customer, "reason": one.reason} for one in found if one.cause == cause]


def _totals(rows: Sequence[Row], column: str) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for row in rows:
        currency, amount = str(row["currency"]), row[column]
        assert isinstance(amount, Decimal), "amounts are decimals"  # noqa: S101
        totals[currency] = totals.get(currency, Decimal(0)) + amount
    return totals


@dataclass(frozen=True, slots=True)
class InvoiceSummary:
    """The period's documents.

    Attributes:
        totals: by currency, in major units.
        by_status: document status and kind → how many, with totals.
        largest: the largest documents.
        changed: documents whose newest version changed last: from, to, why.
    """

    documents: int
    totals: dict[str, Decimal]
    by_status: Sequence[Row]
    largest: Sequence[Row]
    changed: Sequence[Row]


def invoice_summary(billing: Billing, period: BillingPeriod) -> InvoiceSummary:
    """The period's documents as they stand."""
    with billing.ledger.begin() as connection:
        by_status = summaries.documents_by_status(connection, period.first_day)
        return InvoiceSummary(
            documents=sum(int(str(row["documents"])) for row in by_status),
            totals=_totals(by_status, "total"),
            by_status=by_status,
            largest=summaries.largest_documents(connection, period.first_day),
            changed=summaries.changed_documents(connection, period.first_day),
        )


def payment_summary(billing: Billing, period: BillingPeriod) -> Sequence[Row]:
    """By payment status and currency: how many, and how much."""
    with billing.ledger.begin() as connection:
        return summaries.payments(connection, period.first_day)


def waiting_documents(billing: Billing, period: BillingPeriod) -> Sequence[Row]:
    """Documents that are due and do not lock: customer, since when, and what holds them."""
    now = billing.now()
    with billing.ledger.begin() as connection:
        return summaries.waiting(connection, period.first_day, now)
