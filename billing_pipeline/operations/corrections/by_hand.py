"""What voids and credit notes share: documents that a person issues, final at once."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256

from billing_pipeline.catalog.terms import CatalogView, Terms
from billing_pipeline.core.errors import Refused
from billing_pipeline.core.money import Money
from billing_pipeline.invoicing.document import Document, DocumentIdentity
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import finalization, payments, revisits, states
from billing_pipeline.ledger.documents.finalization import Finalization
from billing_pipeline.ledger.documents.payments import PaymentDue
from billing_pipeline.ledger.documents.states import NewState, StoredDocument
from billing_pipeline.ledger.periods import periods
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.context import Billing, code_version
from billing_pipeline.operations.reading.invoices import known_document
from billing_pipeline.operations.unit import AsOf, Work


@dataclass(frozen=True, slots=True)
class ByHand:
    """A transaction that issues something for a final document.

    Attributes:
        work: of the document's period and the customer's bucket, which is locked in all periods.
        stored: the document.
        number: its own.
        total: what it asks for.
        now: the ledger's clock.
        as_of: all that is known.
    """

    work: Work
    stored: StoredDocument
    number: str
    total: Money
    now: datetime
    as_of: AsOf

    @classmethod
    def of(cls, billing: Billing, connection: Connection, name: str) -> "ByHand":
        """Lock the customer's bucket and read the document with this number or id as it stands.

        Raises:
            Refused: there is none, or it is not final, was not issued, or is void.
        """
        known = known_document(connection, name)
        period = billing.calendar.period(known.period.isoformat())
        work = Work(billing, connection, period, (billing.facts.bucket_of(known.code),))
        ledger_catalog.wait_for_changes(connection)  # and hold: nothing is recorded before this commits
        manifest.wait_for_landings(connection)
        periods.lock_everywhere(connection, work.buckets)
        periods.lock_buckets(connection, _running(billing, connection), work.buckets)
        known = known_document(connection, name)  # a run may have locked it meanwhile
        stored = states.current(connection, work.first_day, [known.code])[known.id]
        if stored.status == "draft":
            raise Refused(
                f"Document {known.id} is a draft.", hint="A draft follows the catalog and the usage; change those."
            )
        if stored.status == "void":
            raise Refused(f"Invoice {known.number} is void already.", hint="See: billing invoices show")
        if known.number is None:
            raise Refused(f"Document {known.id} has no lines, so it was not issued.", hint="There is nothing to undo.")
        as_of = AsOf(manifest.newest_batch(connection), ledger_catalog.newest_change(connection))
        return cls(work, stored, known.number, known.total, billing.now(connection), as_of)

    @property
    def running(self) -> date:
        """First day of the period in which things are received now."""
        return _running(self.work.billing, self.work.connection)

    def view(self, change: int) -> CatalogView:
        """The catalog as far as it concerns the customer, as known through a change."""
        return self.work.billing.view(self.work.connection, change, customers=[self.stored.customer])

    def terms(self, change: int) -> Terms:
        """The customer's, as known through a catalog change."""
        return self.view(change).terms(self.stored.customer)

    def issue(self, made: Document, reason: Mapping[str, object]) -> str | None:
        """Write a document, finalize and number it, and queue it for payment; returns its number.

        Without lines it is final and not issued, as any other: it has no number.
        """
        connection, billing, terms = self.work.connection, self.work.billing, self.terms(self.as_of.change)
        state = NewState(made, self.stored.code, self.stored.bucket, 1, self.as_of.batch, self.as_of.change, reason)
        states.add_versions(connection, [state], self.now, code_version())
        payment = terms.customer.payment
        due = PaymentDue(
            made.id,
            made.amount_due.minor,
            payment.gateway if payment else None,
            payment.collection if payment else None,
        )
        payments.queue(connection, [due], self.now, billing.actor)
        inputs = self._keep_inputs()
        whole = sha256(f"{inputs} {terms.fingerprint} {code_version()}".encode()).hexdigest()
        final = Finalization(
            id=made.id,
            version=1,
            issued=bool(made.lines),
            cutoff=self.now,
            inputs=inputs,
            fingerprint=whole,
            batch=self.as_of.batch,
            change=self.as_of.change,
            terms=terms.fingerprint,
        )
        numbers = finalization.finalize(
            connection,
            [final],
            at=self.now,
            year=billing.calendar.local_day(self.now).year,
            number_format=terms.account.number_format,
            actor=billing.actor,
        )
        return numbers.get(made.id)

    def pass_on(self) -> None:
        """Have the customer's documents that are not final computed again: they depend on the final ones."""
        connection = self.work.connection
        visits = revisits.to_visit(connection, [self.stored.code], self.work.billing.calendar, self.now)
        own = (self.work.first_day, self.stored.code, None)  # what of its usage cannot be billed may be another now
        revisits.ask_again(connection, {*visits, own})

    def _keep_inputs(self) -> str:
        work = self.work
        files = manifest.files(work.connection, work.first_day, self.as_of.batch, buckets=work.buckets)
        content = {"batch": self.as_of.batch, "files": [[file.path, file.sha256] for file in files]}
        fingerprint = sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
        finalization.keep_inputs(work.connection, fingerprint, content)
        return fingerprint


def _running(billing: Billing, connection: Connection) -> date:
    """First day of the period in which things are received now."""
    running = billing.calendar.period_of(billing.now(connection))
    assert running is not None, "what is final was due in a period"  # noqa: S101
    return running.first_day


def next_reissue(taken: Iterable[StoredDocument], identity: DocumentIdentity) -> int:
    """The first number under which a document of the same customer, kind, date and period does not exist yet."""
    same = [
        one.reissue
        for one in taken
        if (one.kind, one.period, one.issue_date) == (identity.kind, identity.period, identity.issue_date)
    ]
    return max(same, default=-1) + 1
