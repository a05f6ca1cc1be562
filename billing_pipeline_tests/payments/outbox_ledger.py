"""A sandbox ledger with finalized invoices, as the lock leaves them, for tests of what comes after it."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar, Self
from uuid import UUID, uuid4

from sqlalchemy import create_engine, insert, select

from billing_pipeline.core.errors import PaymentError
from billing_pipeline.core.period import BillingCalendar, Cadence
from billing_pipeline.ledger import catalog, clock, payments
from billing_pipeline.ledger.catalog import CatalogEntry
from billing_pipeline.ledger.database import Ledger, psycopg_url
from billing_pipeline.ledger.known_payments import KnownPayment, find, history
from billing_pipeline.ledger.payments import PaymentDue
from billing_pipeline.ledger.tables import customer, document, document_version, finalization, input_set
from billing_pipeline.operations.context import Billing
from billing_pipeline.payments.handoff import GatewaySettings, PaymentRequest, PaymentStatus, Submission
from billing_pipeline.settings import Settings

START = datetime(2026, 2, 1, 9, 30, tzinfo=UTC)
PERIOD = date(2026, 1, 1)


def open_billing(ledger: Ledger, home: Path) -> Billing:
    """The ledger as a sandbox whose clock stands at START."""
    owner = create_engine(psycopg_url(ledger.owner_url))
    with owner.begin() as connection:
        facts = clock.LedgerFacts(BillingCalendar("UTC", Cadence.MONTH, date(2024, 1, 1)), 4, sandbox=True)
        assert clock.initialize(connection, facts, START)
    owner.dispose()
    return Billing(Settings(home=home, database_url=ledger.url), ledger, "tester")


def set_clock(billing: Billing, instant: datetime) -> None:
    """Move the sandbox's clock forward."""
    with billing.ledger.begin() as connection:
        clock.set_clock(connection, instant)


def apply(billing: Billing, *entries: CatalogEntry) -> None:
    """Record catalog entries."""
    with billing.ledger.begin() as connection:
        catalog.record(connection, entries, at=billing.now(), actor="tester", action="catalog apply", buckets=4)


def customer_entry(name: str, **payment: str | None) -> CatalogEntry:
    """A customer, with or without a way to pay."""
    content = {"id": name, "name": name, "payment": payment or None}
    return CatalogEntry("customer", name, name, content)


def finalize(
    billing: Billing,
    number: str,
    *,
    customer_id: str = "acme",
    amount_minor: int = 11190,
    currency: str = "USD",
    gateway: str | None = "file",
    collection: str | None = "automatic",
) -> UUID:
    """A finalized invoice, queued in the transaction that finalizes it."""
    identity = uuid4()
    amounts = {
        f"{name}_minor": amount_minor
        for name in ("subtotal", "credits_applied", "tax", "total", "customer_credit_applied", "amount_due")
    }
    at = billing.now()
    with billing.ledger.begin() as connection:
        code = connection.scalar(select(customer.c.code).where(customer.c.id == customer_id))
        connection.execute(
            insert(document).values(
                id=identity,
                customer=code,
                kind="on_demand",
                period=PERIOD,
                issue_date=date(2026, 2, 1),
                window_end=datetime.now(UTC),  # any: tells the test's documents apart
                bucket=0,
                currency=currency,
            )
        )
        texts = {"has_usage": True, "covers": [], "reason": {}, "content": "c", "code_version": "v"}
        positions = {"as_of_batch": 0, "as_of_change": 0, "lock_at": at, "recorded_at": at}
        connection.execute(
            insert(document_version).values(document=identity, version=1, **amounts, **texts, **positions)
        )
        if not connection.scalar(select(input_set.c.fingerprint)):
            connection.execute(insert(input_set).values(fingerprint="none", content=[]))
        values = {
            "number": number,
            "cutoff": at,
            "finalized_at": at,
            "fingerprint": "f",
            "inputs": "none",
            "actor": "lock",
        }
        connection.execute(insert(finalization).values(document=identity, version=1, **values))
        payments.queue(connection, [PaymentDue(identity, amount_minor, gateway, collection)], at, "lock")
    return identity


def payment_of(billing: Billing, name: str) -> KnownPayment:
    """The payment of an invoice."""
    with billing.ledger.begin() as connection:
        found = find(connection, name)
    assert found is not None
    return found


def steps_of(billing: Billing, name: str) -> list[str]:
    """The statuses that a payment went through."""
    identity = payment_of(billing, name).document
    with billing.ledger.begin() as connection:
        return [str(event.status) for event in history(connection, identity)]


@dataclass
class ScriptedGateway:
    """A gateway that does what a test wrote down, and counts what would reach the customer."""

    needs_payment_method: ClassVar[bool] = False
    script: ClassVar[dict[str, list[Exception | PaymentStatus]]] = {}
    asked: ClassVar[defaultdict[str, list[PaymentRequest]]] = defaultdict(list)
    collected: ClassVar[dict[str, str]] = {}
    settings: GatewaySettings = field(repr=False)

    @classmethod
    def configured(cls, settings: GatewaySettings) -> Self:
        """Remembers nothing of its own: the class is the outside world."""
        return cls(settings)

    def submit(self, request: PaymentRequest) -> Submission:
        """The next entry of the script for this invoice; SUBMITTED where there is none left."""
        self.asked[request.number].append(request)
        scripted = self.script.get(request.number) or [PaymentStatus.SUBMITTED]
        verdict = scripted.pop(0) if len(scripted) > 1 else scripted[0]
        if isinstance(verdict, Exception):
            raise verdict
        return Submission(self.collected.setdefault(request.idempotency_key, f"ref_{request.number}"), verdict)


def scripted(*, needs_payment_method: bool = False, **script: list[Exception | PaymentStatus]) -> type[ScriptedGateway]:
    """A gateway of its own for one test."""
    return type(
        "Scripted",
        (ScriptedGateway,),
        {
            "needs_payment_method": needs_payment_method,
            "script": {number.replace("_", "-"): list(verdicts) for number, verdicts in script.items()},
            "asked": defaultdict(list),
            "collected": {},
        },
    )


REFUSED = PaymentError("Card declined.", hint="Ask the customer for another card.")
