"""A period's counts, totals and tables at each stage, as a person asks for them: for assets, status and reports."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from billing_pipeline.core.money import Money
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.document import DocumentStatus
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import holds
from billing_pipeline.ledger.periods.runs import Reconciliation, reconciliation
from billing_pipeline.ledger.reading import causes, summaries
from billing_pipeline.ledger.reading.summaries import Row
from billing_pipeline.operations.context import Billing


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """Where the period's rows are.

    Attributes:
        reconciliation: of the rows that are metered: landed = accepted + superseded + retracted.
        rows: in the lake, metered or not.
        batches: the newest batches that touch the period: number, source, file, rows, received.
        sources: by source: batches, rows, quarantined.
    """

    reconciliation: Reconciliation
    rows: int
    batches: Sequence[Row]
    sources: Sequence[Row]
    files: int
    quarantined: int

    @property
    def landed(self) -> int:
        """Rows that landed: each ends in exactly one column of :attr:`ended`."""
        return self.rows + self.quarantined

    @property
    def ended(self) -> Row:
        """Where every row ended. What has landed since the last close is not deduped yet."""
        metered = self.reconciliation
        return {
            "landed": self.landed,
            "accepted": metered.accepted,
            "superseded": metered.superseded,
            "retracted": metered.retracted,
            "quarantined": self.quarantined,
            "not deduped yet": self.rows - metered.files,
        }


def usage_summary(billing: Billing, period: BillingPeriod) -> UsageSummary:
    """The period's usage, from the manifest and from what metering counted."""
    with billing.ledger.begin() as connection:
        return UsageSummary(
            reconciliation(connection, period.first_day),
            summaries.rows(connection, period.first_day),
            summaries.batches(connection, period.first_day),
            summaries.sources(connection, period.first_day),
            summaries.files(connection, period.first_day),
            summaries.quarantined(connection, period.first_day),
        )


def meter_summary(billing: Billing, period: BillingPeriod) -> Sequence[Row]:
    """By meter: customers, events accepted, superseded, retracted and unpriced."""
    with billing.ledger.begin() as connection:
        return summaries.meters(connection, period.first_day)


def quantity_summary(billing: Billing, period: BillingPeriod) -> tuple[int, Sequence[Row]]:
    """How many quantities the period has; by price: customers, quantities, events."""
    with billing.ledger.begin() as connection:
        rows = summaries.quantities(connection, period.first_day)
    return _sum(rows, "quantities"), rows


@dataclass(frozen=True, slots=True)
class PriceSummary:
    """The period's rated lines.

    Attributes:
        rows: by plan, price and currency: customers, lines, quantity and amount.
        totals: one a currency.
    """

    rows: Sequence[Row]
    lines: int
    totals: Sequence[Money]


def price_summary(billing: Billing, period: BillingPeriod) -> PriceSummary:
    """What the period's usage comes to, by price."""
    with billing.ledger.begin() as connection:
        rows = summaries.prices(connection, period.first_day)
    return PriceSummary(rows, _sum(rows, "lines"), totals(rows, "amount"))


def held_for(billing: Billing, period: BillingPeriod, cause: str) -> Sequence[Row]:
    """The customers that a cause holds now, with its reason."""
    with billing.ledger.begin() as connection:
        held = holds.placed(connection, period=period.first_day)
    return [{"customer": hold.customer, "reason": hold.reason} for hold in held if hold.cause == cause]


@dataclass(frozen=True, slots=True)
class InvoiceSummary:
    """The period's documents.

    Attributes:
        final: how many of the documents are finalized or void.
        totals: one a currency.
        by_status: document status and kind → how many, with totals.
        largest: the largest documents.
        changed: documents whose newest version changed last: before, after, because of what.
    """

    documents: int
    final: int
    totals: Sequence[Money]
    by_status: Sequence[Row]
    largest: Sequence[Row]
    changed: Sequence[Row]


def invoice_summary(billing: Billing, period: BillingPeriod) -> InvoiceSummary:
    """The period's documents as they stand."""
    with billing.ledger.begin() as connection:
        by_status = summaries.documents_by_status(connection, period.first_day)
        return InvoiceSummary(
            documents=_sum(by_status, "documents"),
            final=_sum((row for row in by_status if row["status"] != DocumentStatus.DRAFT), "documents"),
            totals=totals(by_status, "total"),
            by_status=by_status,
            largest=summaries.largest_documents(connection, period.first_day),
            changed=_in_words(connection, summaries.changed_documents(connection, period.first_day)),
        )


def payment_summary(billing: Billing, period: BillingPeriod) -> Sequence[Row]:
    """By payment status and currency: how many, and how much."""
    with billing.ledger.begin() as connection:
        return summaries.payments(connection, period.first_day)


def _in_words(connection: Connection, rows: Sequence[Row]) -> Sequence[Row]:
    """The reason of each change as a person says it, with the names of the files that made it."""
    reasons = [cast("dict[str, list[int]]", row["because"]) for row in rows]
    named = causes.batches(connection, {number for reason in reasons for number in reason.get("batches", ())})
    names = {batch.number: f"batch {batch.number} ({batch.name})" for batch in named}
    for row, reason in zip(rows, reasons, strict=True):
        words = [names[number] for number in reason.get("batches", ())]
        words += [f"catalog change {number}" for number in reason.get("changes", ())]
        other = "another document became final" if reason.get("documents") else "the program changed"
        row["because"] = ", ".join(words) or other
    return rows


def _sum(rows: Iterable[Row], column: str) -> int:
    return sum(cast("int", row[column]) for row in rows)


def totals(rows: Iterable[Row], column: str) -> list[Money]:
    """An amount of these rows added up, one a currency."""
    sums: dict[str, Money] = {}
    for row in rows:
        amount = cast("Money", row[column])
        sums[amount.currency] = sums.get(amount.currency, Money(0, amount.currency)) + amount
    return [sums[currency] for currency in sorted(sums)]
