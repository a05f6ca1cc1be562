"""A sandbox ledger with finalized invoices, as the lock leaves them, for tests of what comes after it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar, Self
from uuid import UUID, uuid4

from sqlalchemy import insert, select

from billing_pipeline.core.errors import PaymentError
from billing_pipeline.core.period import BillingCalendar, Cadence
from billing_pipeline.ledger import catalog, clock, migrate
from billing_pipeline.ledger.catalog import CatalogEntry
from billing_pipeline.ledger.database import Ledger
from billing_pipeline.ledger.documents import payments
from billing_pipeline.ledger.documents.payments import PaymentDue
from billing_pipeline.ledger.reading.payments import KnownPayment, find, history
from billing_pipeline.ledger.tables import customer, document, document_version, finalization, input_set
from billing_pipeline.operations.context import Billing
from billing_pipeline.payments.handoff import GatewaySettings, PaymentRequest, PaymentStatus, Submission
from billing_pipeline.settings import Settings
from billing_pipeline_tests.sandbox import new_ledger
from billing_pipeline_tests.servers import Server

START = datetime(2026, 2, 1, 9, 30, tzinfo=UTC)
PERIOD = date(2026, 1, 1)


@contextmanager
def sandbox(server: Server, home: Path) -> Iterator[Billing]:
    """A new sandbox ledger whose clock stands at START; dropped afterwards."""
    with new_ledger(server) as ledger:
        facts = clock.LedgerFacts(BillingCalendar("UTC", Cadence.MONTH, date(2024, 1, 1)), 4, sandbox=True)
        with migrate.as_owner(ledger) as connection:
            assert clock.initialize(connection, facts, START)
        yield Billing(
            Settings(home=home, database_url=ledger.url, database_owner_url=ledger.owner_url), ledger, "tester"
        )


def another_process(billing: Billing) -> Billing:
    """The same ledger as another process would open it, with connections of its own; close its ledger."""
    return Billing(billing.settings, Ledger(billing.ledger.url), "another")


def set_clock(billing: Billing, instant: datetime) -> None:
    """Move the sandbox's clock forward."""
    with billing.ledger.begin() as connection:
        clock.set_clock(connection, instant)


def apply(billing: Billing, *entries: CatalogEntry) -> None:
    """Record catalog entries."""
    with billing.ledger.begin() as connection:
        catalog.record(connection, entries, billing.facts, at=billing.now(), actor="tester", action="catalog apply")


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
            "batch": 0,
            "change": 0,
            "terms": "t",
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


def scripted(
    script: Mapping[str, Sequence[Exception | PaymentStatus]] | None = None, *, needs_payment_method: bool = False
) -> type[ScriptedGateway]:
    """A gateway of its own for one test: verdicts by invoice number, the last one for ever."""
    verdicts = {number: list(listed) for number, listed in (script or {}).items()}
    outside: dict[str, object] = {"asked": defaultdict(list), "collected": {}}
    fields = {"needs_payment_method": needs_payment_method, "script": verdicts} | outside
    return type("Scripted", (ScriptedGateway,), fields)


REFUSED = PaymentError("Card declined.", hint="Ask the customer for another card.")
